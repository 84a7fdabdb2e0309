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
    """Pose the listed vertices of B bodies and propagate gradients back; Warp's launches are recorded once.

    Args:
        skinning: of the full body.
        lists: of R rows.
        slots: [B] the rows that the bodies own.
        like: B bodies, for the sizes.

    Attributes:
        rows: the slots as kernels take them, and below so.
        posed: the listed vertices.
        gradients: for the posed vertices, and the energies: what a launch has to set.
    """

    def __init__(self, skinning: SparseSkinning, lists: VertexLists, slots: Tensor, like: BoneStates) -> None:
        n_rows, n_lanes, n_threads, wrap = len(slots), skinning.n_lanes, lists.n_threads, skinning.wrap
        self._state = like.zeros(n_rows).single()
        sizes = [part.shape[1:] for part in self._state.parts]
        #: All sums of all lanes, one part of the state after the other.
        self._sums = torch.zeros(n_rows * n_lanes * sum(size.numel() for size in sizes), device=slots.device)
        parts = self._sums.split([n_rows * n_lanes * size.numel() for size in sizes])
        sums = BoneStates(*(part.view(n_rows, n_lanes, *size) for part, size in zip(parts, sizes, strict=True)))
        self._gradient = sums
        self._energies = torch.zeros(n_rows, dtype=torch.float64, device=slots.device)
        self.rows, (shaped, self.posed) = wrap(slots.int()), skinning.positions(lists)
        to_posed = wrap(lists.to_posed, skinning.vec3)
        self.gradients = to_posed, wrap(self._energies)
        listed, kernels = (self.rows, *skinning.listed(lists)), skinning.kernels
        _, rotations, _, rest_joints = skinning.bone_arrays(self._state)
        self._skin = skinning.record(
            kernels.skin,
            (n_rows, n_threads),
            *(*listed, n_threads, *skinning.shaping(self._state), shaped, self.posed),
        )
        self._add_vertices = skinning.record(
            kernels.add_vertices,
            (n_rows, n_lanes),
            *(*listed, n_lanes, skinning.body, rotations, rest_joints, shaped, to_posed),
            *skinning.bone_arrays(sums),
        )

    def evaluated(self, state: BoneStates, add: Callable[[], None], pose: bool = True) -> tuple[Tensor, BoneStates]:
        """Energies [B] and their gradients for all parts of the state, in single precision.

        Args:
            state: the B bodies.
            add: a launch that sets ``gradients`` from ``posed``.
            pose: whether the vertices have to be posed first.
        """
        for own, given in zip(self._state.parts, state.parts, strict=True):
            own.copy_(given)
        self._sums.zero_()
        if pose:
            self._skin()
        add()
        self._add_vertices()
        return self._energies.to(state.coefficients.dtype, copy=True), self._gradient.over_lanes()


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
