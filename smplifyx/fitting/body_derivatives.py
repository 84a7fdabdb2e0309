"""Derivatives of posed bodies for their parameters, by torch operations on any device.

They follow the kinematic chain: each parameter turns some joints, and a joint that turns carries all below it along.
The native objective computes the same, one body at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from smplifyx.collision.skinning import BoneStates
from smplifyx.fitting.native_layers import decoder_of
from smplifyx.priors.vposer import VPoser, rounded_leaky_relu
from smplifyx.rotations import rotation_6d_to_matrix
from smplifyx.skeleton import BODY_JOINTS

if TYPE_CHECKING:
    from smplifyx.fitting.state import BodyState, BodyView


@dataclass(frozen=True)
class DecodedFrames:
    """Outputs of VPoser's decoder, from which it makes rotations.

    Attributes:
        outputs: [A, 21, 3, 2] two vectors for each joint.
        derivatives: [A, 21, 3, 2, F] of the outputs.
        rotations: [A, 21, 3, 3] made of them.
    """

    outputs: Tensor
    derivatives: Tensor
    rotations: Tensor


@dataclass(frozen=True)
class BodyDerivatives:
    """Derivatives of A bodies for F parameters.

    Attributes:
        turns: [A, J, 3, F] of each joint relative to its parent, in the parent's axes, radians.
        spins: [A, J, 3, F] of each joint in the world.
        joints: [A, J, 3, F] of their positions, metres.
        rest: [3 J, F] of the joints at rest.
        vertices: [A, V, 3, F] of the restricted vertices, without those of the pose correctives.
        frames: of VPoser; None for other priors.
    """

    turns: Tensor
    spins: Tensor
    joints: Tensor
    rest: Tensor
    vertices: Tensor
    frames: DecodedFrames | None


class BodyTangents:
    """Derivatives of the bodies of a view for some of their parameters.

    Args:
        view: the body.
        free: [F] columns of x.
    """

    def __init__(self, view: BodyView, free: Tensor) -> None:
        parameters, model = view.parameters, view.model
        like, slices = model.template, parameters.layout.slices
        self._view = view
        prior = parameters.prior if parameters.has_body else None
        self._mode, n_code, layers, turn_map = decoder_of(prior)
        self._layers = [tuple(torch.as_tensor(part).to(like) for part in layer) for layer in layers]
        self._kink = (prior.negative_slope, prior.rounding) if isinstance(prior, VPoser) else (0.0, 0.0)
        selection = torch.zeros(parameters.layout.n_parameters, len(free), dtype=like.dtype, device=like.device)
        selection[free, torch.arange(len(free), device=free.device)] = 1.0
        #: [., F] derivatives of groups of parameters, and of what is linear in them.
        self.translation = selection[slices["translation"]]
        self._orientation = selection[slices["global_orient"]]
        start = slices["betas"].start
        self.shape = selection[start : start + len(model.blend_shapes)]
        self._rest = model.joint_blend_shapes.T @ self.shape
        self._shaped = model.blend_shapes.T @ self.shape
        angle_map, self._angle_offset = parameters.angle_map()
        self._angle_map = angle_map
        self._angles = (angle_map @ selection).unflatten(0, (-1, 3))
        if prior is not None:
            pose = slices["body_pose"].start
            self._code_columns = slice(pose, pose + n_code)
            self._code = selection[self._code_columns]
            if turn_map is not None:
                matrix, self._turn_offset = (part.to(like) for part in turn_map)
                self._turn_columns = slice(pose + n_code, pose + n_code + matrix.shape[1])
                self._turn_map = matrix
                self._turned = (matrix @ selection[self._turn_columns]).unflatten(0, (-1, 3))

    def __call__(self, state: BodyState, x: Tensor, depth: Tensor) -> BodyDerivatives:
        """Derivatives of bodies posed by x.

        Args:
            state: the bodies.
            x: [A, D] all parameters.
            depth: [A] metres that one unit of translation moves.
        """
        bones = state.bones
        turns, frames = self._joint_turns(x)
        spins, joints = self._chain(state, turns, depth)
        vertices = self._vertices(state.view, bones, spins, joints)
        return BodyDerivatives(turns, spins, joints, self._rest, vertices, frames)

    def _joint_turns(self, x: Tensor) -> tuple[Tensor, DecodedFrames | None]:
        n_joints, n_rows = self._view.model.n_joints, len(x)
        turns = x.new_zeros(n_rows, n_joints, 3, self.shape.shape[1])
        orient = self._view.parameters.layout.slices["global_orient"]
        turns[:, 0] = left_jacobian(x[:, orient]) @ self._orientation
        frames = None
        if self._mode in (2, 3):
            frames = self._frames(x[:, self._code_columns])
            turns[:, BODY_JOINTS] = _turns_of_frames(frames)
        if self._mode in (1, 3):
            angles = x[:, self._turn_columns] @ self._turn_map.T + self._turn_offset
            turned = left_jacobian(angles.unflatten(1, (-1, 3))) @ self._turned
            turns[:, BODY_JOINTS] += turned if frames is None else frames.rotations @ turned
        n_angles = len(self._angles)
        if n_angles:
            angles = (x @ self._angle_map.T + self._angle_offset).unflatten(1, (-1, 3))
            turns[:, n_joints - n_angles :] = left_jacobian(angles) @ self._angles
        return turns, frames

    def _frames(self, code: Tensor) -> DecodedFrames:
        value, slope, rounding = code, *self._kink
        derivative: Tensor | None = None
        for number, (weight, bias) in enumerate(self._layers):
            if derivative is not None:
                inside = (value >= 0).to(value)
                if rounding:
                    inside = ((value + rounding) / (2.0 * rounding)).clamp(0.0, 1.0)
                derivative = (slope + (1.0 - slope) * inside)[..., None] * derivative
                value = rounded_leaky_relu(value, slope, rounding)
            value = value @ weight.T + bias
            derivative = weight @ (self._code if derivative is None else derivative)
            if number == 0:
                derivative = derivative.expand(len(code), *derivative.shape)
        assert derivative is not None
        outputs = value.unflatten(1, (-1, 3, 2))
        return DecodedFrames(outputs, derivative.unflatten(1, (-1, 3, 2)), rotation_6d_to_matrix(outputs))

    def _chain(self, state: BodyState, turns: Tensor, depth: Tensor) -> tuple[Tensor, Tensor]:
        parents, world, places = state.view.model.tree.parents, state.bones.rotations, state.joints
        rest = self._rest.unflatten(0, (-1, 3))
        spins, joints = [turns[:, 0]], [self.translation * depth[:, None, None] + rest[0]]
        for joint in range(1, len(parents)):
            parent = parents[joint]
            above = world[:, parent]
            spins.append(spins[parent] + above @ turns[:, joint])
            bone = (places[:, joint] - places[:, parent])[..., None].expand_as(spins[parent])
            carried = torch.linalg.cross(spins[parent], bone, dim=1)
            joints.append(joints[parent] + carried + above @ (rest[joint] - rest[parent]))
        return torch.stack(spins, 1), torch.stack(joints, 1)

    def _vertices(self, view: BodyView, bones: BoneStates, spins: Tensor, joints: Tensor) -> Tensor:
        model = view.model
        directions = torch.cat([model.blend_shapes, model.pose_shapes])
        shaped = (bones.coefficients @ directions + model.template).unflatten(1, (-1, 3))
        weights, world = model.skinning_weights, bones.rotations
        arms = torch.einsum("ajik,avjk->avji", world, shaped[:, :, None] - bones.rest_joints[:, None])
        # A turn t moves an arm a by t x a.
        moved = (weights[..., None, None] * cross_matrix(-arms)).transpose(2, 3).flatten(1, 2).flatten(2)
        mixed = torch.einsum("vj,ajik->avijk", weights, world).flatten(1, 2)
        stretched = torch.einsum(
            "avik,vkf->avif", mixed.unflatten(1, (-1, 3)).sum(3), self._shaped.unflatten(0, (-1, 3))
        )
        vertices = moved @ spins.flatten(1, 2) - mixed.flatten(2) @ self._rest
        return vertices.unflatten(1, (-1, 3)) + torch.einsum("vj,ajif->avif", weights, joints) + stretched


def left_jacobian(vectors: Tensor) -> Tensor:
    """Turn [..., 3, 3] in the world by which a rotation changes with its rotation vector [..., 3]."""
    square = vectors.square().sum(-1)[..., None, None]
    small = square < 1e-3
    safe = torch.where(small, 1.0, square)
    angle = safe.sqrt()
    along = torch.where(small, 1.0 - square / 6.0, angle.sin() / angle)
    across = torch.where(small, 0.5 - square / 24.0, (1.0 - angle.cos()) / safe)
    outer = torch.where(small, 1.0 / 6.0 - square / 120.0, (1.0 - along) / safe)
    identity = torch.eye(3, dtype=vectors.dtype, device=vectors.device)
    return along * identity + across * cross_matrix(vectors) + outer * vectors[..., None] * vectors[..., None, :]


def cross_matrix(vectors: Tensor) -> Tensor:
    """Matrices [..., 3, 3] of the cross product with vectors [..., 3] from the left."""
    x, y, z = vectors.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))


def _turns_of_frames(frames: DecodedFrames) -> Tensor:
    """Turns [A, 21, 3, F] of the rotations."""
    axes = frames.rotations
    first, second = frames.derivatives[..., 0, :], frames.derivatives[..., 1, :]
    scale = frames.outputs[..., 0].norm(dim=-1).clamp(min=1e-12)[..., None]
    dot = (axes[..., 0] * frames.outputs[..., 1]).sum(-1)
    across = frames.outputs[..., 1] - dot[..., None] * axes[..., 0]
    across_scale = across.norm(dim=-1).clamp(min=1e-12)[..., None]

    def along(axis: int, change: Tensor) -> Tensor:
        return (axes[..., axis, None] * change).sum(-2)

    about_third = along(1, first) / scale
    about_second = -along(2, first) / scale
    about_first = (along(2, second) + dot[..., None] * about_second) / across_scale
    return axes @ torch.stack([about_first, about_second, about_third], -2)
