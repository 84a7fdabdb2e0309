"""From energies of posed vertices to gradients for what moves the bodies, asked for again and again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from smplifyx.collision.skinning import BoneStates, SparseSkinning, VertexLists

#: Energies [B] of bodies and their gradients, which the next call may overwrite.
Evaluation = Callable[[BoneStates], tuple[Tensor, BoneStates]]


class BodyEvaluation:
    """Pose listed vertices and propagate gradients back; Warp's launches are recorded once for all R rows.

    Args:
        skinning: of the full body.
        lists: of R rows.

    Attributes:
        rows: those of the bodies that are evaluated, as kernels take them, and below so.
        bones: rotations and rest joints of these bodies.
        listed: their vertices, shaped and posed.
        gradients: for the posed vertices, and the energies: what a launch has to set.
    """

    def __init__(self, skinning: SparseSkinning, lists: VertexLists) -> None:
        n_rows, n_lanes, device, wrap = len(lists.vertices), skinning.n_lanes, lists.vertices.device, skinning.wrap
        sizes = skinning.state_sizes
        self._state = BoneStates(*(torch.zeros(n_rows, *size, device=device) for size in sizes))
        self._sums = BoneStates(*(torch.zeros(n_rows, n_lanes, *size, device=device) for size in sizes))
        self._energies = torch.zeros(n_rows, dtype=torch.float64, device=device)
        self._dtype = torch.float32
        self._rows = torch.zeros(n_rows, dtype=torch.int32, device=device)
        self.rows, self.listed = wrap(self._rows), skinning.positions(lists)
        to_posed = wrap(lists.to_posed, skinning.vec3)
        self.gradients = to_posed, wrap(self._energies)
        _, rotations, _, rest_joints = skinning.bone_arrays(self._state)
        self.bones = rotations, rest_joints
        names, n_threads, body = (self.rows, *skinning.listed(lists)), lists.n_threads, skinning.body
        self._skin = skinning.record(
            skinning.kernels.skin,
            (n_rows, n_threads),
            *(*names, n_threads, body, *skinning.bone_arrays(self._state), *self.listed),
        )
        self._add_vertices = skinning.record(
            skinning.kernels.add_vertices,
            (n_rows, n_lanes),
            *(*names, n_lanes, body, *self.bones, self.listed[0], to_posed, *skinning.bone_arrays(self._sums)),
        )

    def set(self, state: BoneStates, rows: Tensor, pose: bool = True) -> None:
        """Take bodies [B] that own the rows [B], no row twice, and pose their vertices unless they are."""
        n_bodies, self._dtype = len(rows), state.coefficients.dtype
        self._rows[:n_bodies] = rows
        for own, given in zip(self._state.parts, state.parts, strict=True):
            own[:n_bodies] = given
        if pose:
            self._skin(n_bodies)

    def evaluated(self, n_bodies: int, add: Callable[[int], None]) -> tuple[Tensor, BoneStates]:
        """Energies [B] of the bodies and their gradients, in single precision, which the next call overwrites.

        Args:
            n_bodies: B.
            add: a launch for B bodies that sets ``gradients``.
        """
        sums = self._sums.first(n_bodies)
        for part in sums.parts:
            part.zero_()
        add(n_bodies)
        self._add_vertices(n_bodies)
        return self._energies[:n_bodies].to(self._dtype, copy=True), sums.over_lanes()


class _BodyEnergy(torch.autograd.Function):
    """An evaluation as a function of the parts of the state.

    The gradient is computed along with the energy: few triangles have any, and they are at hand then.
    """

    @staticmethod
    def forward(
        ctx: Any,
        coefficients: Tensor,
        rotations: Tensor,
        positions: Tensor,
        rest_joints: Tensor,
        evaluate: Evaluation,
    ) -> Tensor:
        energies, gradient = evaluate(BoneStates(coefficients, rotations, positions, rest_joints))
        ctx.save_for_backward(*(part.to(coefficients, copy=True) for part in gradient.parts))
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


def body_energy(evaluate: Evaluation, state: BoneStates) -> Tensor:
    """Energies [B] of bodies, differentiable."""
    energy: Tensor = _BodyEnergy.apply(*state.parts, evaluate)
    return energy
