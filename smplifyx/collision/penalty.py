"""The conic distance-field penalty of colliding triangles (Tzionas et al. 2016; Pavlakos et al. 2019, E_C).

Each triangle of a pair carries a cone-shaped distance field along its normal; each vertex of the other triangle adds
the field's value at its position, to the power of ``exponent``.

Which pairs count. The cone widens without end behind its triangle, so a vertex on the far side of a thin part (a
finger) is inside the field without touching anything: the field alone cannot tell a colliding pair from a near one.
There are two ways.

- A :class:`~smplifyx.collision.candidates.CandidateCache` tests each pair at each evaluation, as in the paper; a pair
  that does not intersect adds exactly zero. The energy then has steps: a vertex on its way in adds 0.3 to 1 at once,
  and a moving arm gains and loses pairs all the time. Its slope says little about where the energy falls: over a hand
  that sinks into a belly it stays level while the gradient points out. Line searches end early on it.
- A :class:`~smplifyx.collision.candidates.FixedContactSet` keeps its pairs. Those that collide at the start of a
  minimisation have a continuous energy with a true gradient, which falls to exactly zero as they come apart. Some
  such minimisations, each with the pairs that collide by then, clear bodies at less cost in keypoints and surface
  than any weight of the first way.

One Warp source tests, evaluates and differentiates the pairs on the CPU and on CUDA; touching counts as intersecting,
in the energy as in the reported number of pairs.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from smplifyx.collision.candidates import CandidateCache, FixedContactSet
from smplifyx.collision.pair_evaluation import PairEvaluation
from smplifyx.collision.skinning import BoneStates, ConeOptions, SparseSkinning, cone_struct
from smplifyx.collision.warp_runtime import load_warp, torch_stream


class CollisionTerm:
    """Energy of the triangles of bodies that pass through each other, differentiable in what moves the body.

    Args:
        skinning: of the full body.
        pairs: those that count, of R rows.
        cones: shape of the distance field.
    """

    def __init__(self, skinning: SparseSkinning, pairs: CandidateCache | FixedContactSet, cones: ConeOptions) -> None:
        self.skinning, self.pairs, self.cones = skinning, pairs, cones

    def __call__(self, state: BoneStates, rows: Tensor) -> Tensor:
        """Energies [B] of bodies that own the rows [B] of the pairs; no row twice."""
        energy: Tensor = _BodyEnergy.apply(
            state.coefficients, state.rotations, state.positions, state.rest_joints, self.evaluation(rows)
        )
        return energy

    def evaluation(self, rows: Tensor) -> Callable[[BoneStates], tuple[Tensor, BoneStates]]:
        """Energies [B] of bodies that own the rows [B], and their gradients, which the next call may overwrite."""
        evaluate_pairs: PairEvaluation | None = None

        def evaluate(state: BoneStates) -> tuple[Tensor, BoneStates]:
            nonlocal evaluate_pairs
            if evaluate_pairs is None:
                evaluate_pairs = PairEvaluation(self.skinning, self.pairs.lists, rows, self.cones, state)
            if isinstance(self.pairs, FixedContactSet):
                return evaluate_pairs(state)
            return evaluate_pairs(state, self.pairs.pose(state, rows))

        return evaluate


class _BodyEnergy(torch.autograd.Function):
    """The gradient is computed along with the energy: few triangles have any, and they are at hand then."""

    @staticmethod
    def forward(
        ctx: Any,
        coefficients: Tensor,
        rotations: Tensor,
        positions: Tensor,
        rest_joints: Tensor,
        evaluate: Callable[[BoneStates], tuple[Tensor, BoneStates]],
    ) -> Tensor:
        energies, gradient = evaluate(BoneStates(coefficients, rotations, positions, rest_joints))
        ctx.save_for_backward(gradient.coefficients, gradient.rotations, gradient.positions, gradient.rest_joints)
        return energies

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_energy: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, None]:
        """The gradients, times those for the energies."""
        to_coefficients, to_rotations, to_positions, to_rest = ctx.saved_tensors
        return (
            to_coefficients * to_energy[:, None],
            to_rotations * to_energy[:, None, None, None],
            to_positions * to_energy[:, None, None],
            to_rest * to_energy[:, None, None],
            None,
        )


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
