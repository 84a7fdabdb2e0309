"""The self-collision term of the objective, differentiable in all that moves the body."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from smplifyx.collision.candidates import KeptCandidates
from smplifyx.collision.distance_field import ConeOptions, penalty
from smplifyx.collision.skinning import SparseSkinning, VertexEntries
from smplifyx.collision.sparse_body import BoneStates

#: Energies [P] of pairs of triangles, two times [P, 3, 3].
PairEnergy = Callable[[Tensor, Tensor, ConeOptions], Tensor]


class CollisionTerm:
    """Energy of the triangles that pass through each other, body by body.

    With kept candidates, only pairs that intersect count, and they are told exactly at each evaluation. Gradients
    flow through the corners of those pairs; that a pair begins or ceases to intersect is a step in the energy, as in
    the paper. With held pairs there are no steps.

    Args:
        skinning: of the full body.
        candidates: kept for the rows that are asked for.
        cones: shape of the distance field.
        pair_energy: what a pair costs; :func:`cone_energy` for held pairs.
    """

    def __init__(
        self,
        skinning: SparseSkinning,
        candidates: KeptCandidates,
        cones: ConeOptions,
        pair_energy: PairEnergy = penalty,
    ) -> None:
        self.skinning, self.candidates, self.cones, self.pair_energy = skinning, candidates, cones, pair_energy

    def __call__(self, state: BoneStates, rows: Tensor) -> Tensor:
        """Energies [B] of bodies that own the rows [B] of the candidates."""
        energy: Tensor = _Energy.apply(
            state.coefficients, state.rotations, state.positions, state.rest_joints, self, rows
        )
        return energy


class _Energy(torch.autograd.Function):
    """The gradient is taken along with the energy: few triangles have any, and they are at hand then."""

    @staticmethod
    def forward(
        ctx: Any,
        coefficients: Tensor,
        rotations: Tensor,
        positions: Tensor,
        rest_joints: Tensor,
        term: CollisionTerm,
        rows: Tensor,
    ) -> Tensor:
        state = BoneStates(coefficients, rotations, positions, rest_joints)
        hits = term.candidates.intersecting(state, rows)
        with torch.enable_grad():
            corners = hits.corners.to(coefficients.dtype).requires_grad_()
            energies = term.pair_energy(corners[:, 0], corners[:, 1], term.cones)
            (to_corners,) = torch.autograd.grad(energies.sum(), corners)
        entries = VertexEntries(
            rows=hits.rows.repeat_interleave(6),
            slots=rows,
            vertices=hits.vertices.flatten(),
            gradients=to_corners.reshape(-1, 3),
        )
        to_coefficients, to_transforms = term.skinning.gradient(state, term.candidates.lists, entries)
        ctx.save_for_backward(
            to_coefficients.to(coefficients), to_transforms.to(coefficients), rotations, rest_joints
        )
        return energies.new_zeros(len(rows)).index_add(0, hits.rows, energies.detach())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_energy: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, None, None]:
        """A bone's transform is its rotation and ``position - rotation rest_joint``."""
        to_coefficients, to_transforms, rotations, rest_joints = ctx.saved_tensors
        to_transforms = to_transforms * to_energy[:, None, None, None]
        to_offsets = to_transforms[..., 3]
        return (
            to_coefficients * to_energy[:, None],
            to_transforms[..., :3] - to_offsets[..., None] * rest_joints[..., None, :],
            to_offsets,
            -(rotations.transpose(2, 3) @ to_offsets[..., None])[..., 0],
            None,
            None,
        )
