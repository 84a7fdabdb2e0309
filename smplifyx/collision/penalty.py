"""The conic distance-field penalty of colliding triangles (Tzionas et al. 2016; Pavlakos et al. 2019, E_C).

Each triangle of a pair carries a cone-shaped distance field along its normal; each vertex of the other triangle adds
the field's value at its position, to the power of ``exponent``.

The cone widens without end behind its triangle, so a vertex on the far side of a thin part (a finger) is inside the
field without touching anything: the field alone cannot tell a colliding pair from a near one. So each pair is tested
at each evaluation, as in the paper; a pair that does not intersect adds exactly zero. The energy then has steps: a
vertex on its way in adds 0.3 to 1 at once, and a moving arm gains and loses pairs all the time. Line searches end
early on it. :mod:`~smplifyx.collision.contact_term` has an energy without steps.

One Warp source tests, evaluates and differentiates the pairs on the CPU and on CUDA; touching counts as intersecting,
in the energy as in the reported number of pairs.
"""

from __future__ import annotations

import importlib
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from smplifyx.collision.body_evaluation import BodyEvaluation, Evaluation, body_energy
from smplifyx.collision.candidates import CandidateCache
from smplifyx.collision.skinning import BoneStates, ConeOptions, SparseSkinning, cone_struct
from smplifyx.warp_runtime import load_warp, torch_stream


class CollisionTerm:
    """Energy of the triangles of bodies that pass through each other, differentiable in what moves the body.

    Args:
        skinning: of the full body.
        pairs: candidates, of R rows.
        cones: shape of the distance field.
    """

    def __init__(self, skinning: SparseSkinning, pairs: CandidateCache, cones: ConeOptions) -> None:
        self.skinning, self.pairs, self.cones = skinning, pairs, cones
        self._latest: tuple[Tensor, Evaluation] | None = None

    @property
    def truncated(self) -> Tensor:
        """[R] rows that once had more pairs than the search returns, so that some were left out."""
        return self.pairs.truncated

    def __call__(self, state: BoneStates, rows: Tensor) -> Tensor:
        """Energies [B] of bodies that own the rows [B] of the pairs; no row twice."""
        if self._latest is None or self._latest[0] is not rows:
            self._latest = rows, self.evaluation(rows)
        return body_energy(self._latest[1], state)

    def evaluation(self, rows: Tensor, weight: float = 1.0) -> Evaluation:
        """Energies [B] of bodies that own the rows [B], and their gradients, which the next call may overwrite."""
        skinning, body = self.skinning, self._body

        def evaluate(state: BoneStates) -> tuple[Tensor, BoneStates]:
            meets = skinning.wrap(self.pairs.pose(state, rows))
            pairs = skinning.wrap(self.pairs.lists.pairs, skinning.vec2i), skinning.wrap(self.pairs.lists.n_pairs)
            surface = meets, skinning.triangles, body.listed[1], cone_struct(skinning.kernels, self.cones)
            inputs = body.rows, *pairs, *surface, *body.gradients
            body.set(state, rows, pose=False)
            energies, gradient = body.evaluated(
                len(rows), lambda n_rows: skinning.launch(skinning.kernels.add_pairs, (n_rows,), *inputs)
            )
            return weight * energies, gradient.times(weight)

        return evaluate

    @cached_property
    def _body(self) -> BodyEvaluation:
        return BodyEvaluation(self.skinning, self.pairs.lists.lists)

    def directions(self, state: BoneStates, rows: Tensor, weight: float = 1.0) -> None:
        """None: the curvature of an energy with steps says little."""


def penalty(triangles_a: Tensor, triangles_b: Tensor, options: ConeOptions) -> Tensor:
    """Energy of each pair of triangles, both directions summed; zero where the two do not intersect.

    Args:
        triangles_a: [P, 3, 3] corners, metres, counter-clockwise seen from outside.
        triangles_b: [P, 3, 3] the other triangle of each pair.
        options: shape of the field.

    Returns:
        [P] energies, differentiable in the corners.
    """
    energies: Tensor = _PairEnergy.apply(triangles_a, triangles_b, options, True)
    return energies


def cone_energy(triangles_a: Tensor, triangles_b: Tensor, options: ConeOptions) -> Tensor:
    """Energy [P] of pairs that are taken to collide: as :func:`penalty`, but without its test and its steps."""
    energies: Tensor = _PairEnergy.apply(triangles_a, triangles_b, options, False)
    return energies


class _PairEnergy(torch.autograd.Function):
    """Energies of pairs [P] outside a body; computed in float64."""

    @staticmethod
    def forward(ctx: Any, first: Tensor, second: Tensor, options: ConeOptions, only_meeting: bool) -> Tensor:
        warp, kernels = load_warp(), importlib.import_module("smplifyx.collision.term_kernels")
        corners = [tensor.detach().double().contiguous() for tensor in (first, second)]
        energies = corners[0].new_zeros(len(first))
        gradients = [torch.zeros_like(tensor) for tensor in corners]
        if len(first):
            inputs = [
                *(warp.from_torch(tensor, dtype=warp.mat33d) for tensor in corners),
                int(only_meeting),
                cone_struct(kernels, options),
                warp.from_torch(energies),
                *(warp.from_torch(tensor, dtype=warp.mat33d) for tensor in gradients),
            ]
            with torch_stream(warp, first.device):
                warp.launch(kernels.loose_pairs, len(first), inputs, device=str(first.device))
        ctx.save_for_backward(*(gradient.to(first.dtype) for gradient in gradients))
        return energies.to(first.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_energy: Tensor) -> tuple[Tensor, Tensor, None, None]:
        to_first, to_second = ctx.saved_tensors
        return to_first * to_energy[:, None, None], to_second * to_energy[:, None, None], None, None
