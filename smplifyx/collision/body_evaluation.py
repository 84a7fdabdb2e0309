"""From energies of posed vertices to gradients for what moves the bodies, asked for again and again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from smplifyx.collision.skinning import BoneStates, PairLists, SparseSkinning, rotated

#: Energies [B] of bodies and their gradients, which the next call may overwrite.
Evaluation = Callable[[BoneStates], tuple[Tensor, BoneStates]]


class BodyEvaluation:
    """Pose the listed vertices of B bodies and propagate gradients back; Warp's launches are recorded once.

    Args:
        skinning: of the full body.
        found: lists of R rows.
        slots: [B] the rows that the bodies own.
        like: B bodies, for the sizes.
    """

    def __init__(self, skinning: SparseSkinning, found: PairLists, slots: Tensor, like: BoneStates) -> None:
        n_rows, device, wrap = len(slots), slots.device, skinning.wrap
        n_coefficients, n_joints, n_lanes = like.coefficients.shape[1], like.positions.shape[1], skinning.n_lanes
        self._skinning, lists = skinning, found.lists
        self._coefficients = torch.zeros(n_rows, n_coefficients, device=device)
        self._transforms = torch.zeros(n_rows, n_joints, 3, 4, device=device)
        self._energies = torch.zeros(n_rows, dtype=torch.float64, device=device)
        self._to_coefficients = torch.zeros(n_rows, n_lanes, n_coefficients, device=device)
        self._to_transforms = torch.zeros(n_rows, n_lanes, n_joints, 3, 4, device=device)
        rows, vec3, kernels = wrap(slots.int()), skinning.vec3, skinning.kernels
        body = (*skinning.components, *skinning.bones)
        listed = wrap(lists.vertices), wrap(lists.n_vertices)
        shaped, posed, to_posed = (wrap(one, vec3) for one in (lists.shaped, lists.posed, lists.to_posed))
        transforms = wrap(self._transforms.flatten(2))
        n_threads = lists.n_threads
        shaping = skinning.template, *body, wrap(self._coefficients), transforms
        inputs = rows, *listed, n_threads, *shaping, shaped, posed
        self._skin = skinning.record(kernels.skin, (n_rows, n_threads), *inputs)
        self._add_vertices = skinning.record(
            kernels.add_vertices,
            (n_rows, n_lanes),
            *(rows, *listed, n_lanes, *body, transforms, shaped, to_posed),
            *(wrap(self._to_coefficients), wrap(self._to_transforms.flatten(3))),
        )
        #: Arrays that a launch reads, the rows' pairs, their numbers and posed vertices, and that it writes:
        #: gradients for posed vertices, energies.
        self.pairs = rows, wrap(found.pairs, skinning.vec2i), wrap(found.n_pairs)
        self.posed, self.gradients = posed, (to_posed, wrap(self._energies))

    def evaluated(self, state: BoneStates, add: Callable[[], None], pose: bool = True) -> tuple[Tensor, BoneStates]:
        """Energies [B] and their gradients for all parts of the state.

        Args:
            state: the B bodies.
            add: a launch that sets ``gradients`` from ``posed``.
            pose: whether the vertices have to be posed first.
        """
        self._coefficients.copy_(state.coefficients)
        self._transforms[..., :3] = state.rotations
        self._transforms[..., 3] = state.positions - rotated(state.rotations, state.rest_joints)
        self._to_coefficients.zero_()
        self._to_transforms.zero_()
        if pose:
            self._skin()
        add()
        self._add_vertices()
        gradient = to_states(self._to_coefficients.sum(1), self._to_transforms.sum(1), state)
        return self._energies.to(state.coefficients.dtype, copy=True), gradient


def to_states(to_coefficients: Tensor, to_transforms: Tensor, state: BoneStates) -> BoneStates:
    """Gradients for states from those for the coefficients [B, C] and for the transforms [B, J, 3, 4].

    A bone's transform is its rotation and ``position - rotation rest_joint``.
    """
    to_offsets = to_transforms[..., 3].to(state.rotations)
    return BoneStates(
        to_coefficients.to(state.coefficients),
        to_transforms[..., :3].to(state.rotations) - to_offsets[..., None] * state.rest_joints[..., None, :],
        to_offsets,
        -rotated(state.rotations.transpose(2, 3), to_offsets),
    )


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


def body_energy(evaluate: Evaluation, state: BoneStates) -> Tensor:
    """Energies [B] of bodies, differentiable."""
    energy: Tensor = _BodyEnergy.apply(
        state.coefficients, state.rotations, state.positions, state.rest_joints, evaluate
    )
    return energy
