"""The SMPL-X model function as a batched, differentiable torch module (Pavlakos et al. 2019, section 3.1).

Forward kinematics and skinning have a hand-written backward pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from smplifyx.body.data import BodyModelData


class KinematicTree(nn.Module):
    """A tree of joints, fixed once.

    World rotations are composed level by level: joints of equal depth are independent, so a 55-joint body needs ten
    batched products. Everything else is a sum over ancestors or descendants, one product with a constant matrix.

    Arrays are laid out with the batch last, ``[J, 3, 3, B]``: operations on small matrices then vectorise along it.

    Attributes:
        bones_of: [J, J] maps joint positions to bones: each joint minus its parent, and the root itself.
        ancestors: [J, J] row j sums over joint j and all its ancestors.

    Args:
        parents: parent of each joint, which precedes it; -1 for the root.

    Raises:
        ValueError: a joint comes before its parent.
    """

    bones_of: Tensor
    ancestors: Tensor
    _order: Tensor
    _place: Tensor
    _parent_place: Tensor

    def __init__(self, parents: Sequence[int]) -> None:
        super().__init__()
        #: Of each joint, before its children; -1 for the root.
        self.parents = tuple(parents)
        depth: list[int] = []
        bones_of, ancestors = torch.eye(len(parents)), torch.eye(len(parents))
        for joint, parent in enumerate(parents):
            if parent >= joint:
                raise ValueError(f"parents must come before their children; joint {joint} has parent {parent}")
            depth.append(0 if parent < 0 else depth[parent] + 1)
            if parent >= 0:
                bones_of[joint, parent] = -1.0
                ancestors[joint] += ancestors[parent]
        order = sorted(range(len(parents)), key=depth.__getitem__)
        # Place 0 holds the identity, the parent of the root; the joints follow by level.
        place = [1 + order.index(joint) for joint in range(len(parents))]
        parent_place = [0 if parent < 0 else place[parent] for parent in parents]
        ends = [1 + sum(d <= level for d in depth) for level in range(-1, max(depth) + 1)]
        self._levels = list(pairwise(ends))
        for level, (start, stop) in enumerate(self._levels):
            self._add(
                f"_parents_{level}", torch.tensor([parent_place[joint] for joint in order[start - 1 : stop - 1]])
            )
        self._add("_order", torch.tensor(order))
        self._add("_place", torch.tensor(place))
        self._add("_parent_place", torch.tensor(parent_place))
        self._add("bones_of", bones_of)
        self._add("ancestors", ancestors)

    def _add(self, name: str, values: Tensor) -> None:
        self.register_buffer(name, values, persistent=False)

    def compose(self, rotations: Tensor) -> tuple[Tensor, Tensor]:
        """Return world rotations [J, 3, 3, B] of joints and of their parents from local rotations [J, 3, 3, B]."""
        local = rotations.index_select(0, self._order)
        world = local.new_empty(1 + len(local), *local.shape[1:])
        world[0] = torch.eye(3, dtype=local.dtype, device=local.device)[..., None]
        for level, (start, stop) in enumerate(self._levels):
            above = world.index_select(0, getattr(self, f"_parents_{level}"))
            torch.sum(above[:, :, :, None] * local[start - 1 : stop - 1, None], 2, out=world[start:stop])
        return world.index_select(0, self._place), world.index_select(0, self._parent_place)


class Articulated(NamedTuple):
    """``joints`` [B, J, 3] and ``vertices`` [B, V, 3] in metres, and the joints' world ``rotations`` [B, J, 3, 3]."""

    joints: Tensor
    vertices: Tensor
    rotations: Tensor


def articulate(
    tree: KinematicTree, skinning_weights: Tensor, rotations: Tensor, joints: Tensor, vertices: Tensor
) -> Articulated:
    """Pose a shaped body.

    The gradient assumes orthonormal ``rotations`` and cannot be differentiated again.

    Args:
        tree: parent of each joint.
        skinning_weights: [V, J], rows sum to one.
        rotations: [B, J, 3, 3] rotation of each joint relative to its parent.
        joints: [B, J, 3] at rest, metres.
        vertices: [3 V, B] at rest, metres.
    """
    return Articulated(*_Articulation.apply(rotations, joints, vertices, tree, skinning_weights))


class _Articulation(torch.autograd.Function):
    """Works with the batch as the last axis; see :class:`~smplifyx.body.model.KinematicTree`."""

    @staticmethod
    def forward(
        ctx: Any, rotations: Tensor, joints: Tensor, vertices: Tensor, tree: KinematicTree, weights: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        rest = joints.permute(1, 2, 0).contiguous()
        shaped = vertices.unflatten(0, (-1, 3))
        world, above = tree.compose(rotations.permute(1, 2, 3, 0))
        bones = _mix(tree.bones_of, rest)
        positions = _mix(tree.ancestors, _turn(above, bones))
        offset = positions - _turn(world, rest)
        blended = _mix(weights, torch.cat([world, offset[:, :, None]], 2))  # [V, 3, 4, B]
        posed = _turn(blended[:, :, :3], shaped).add_(blended[:, :, 3])
        ctx.tree = tree
        ctx.save_for_backward(rest, shaped, world, above, positions, blended, weights)
        return positions.permute(2, 0, 1), posed.permute(2, 0, 1), world.permute(3, 0, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, to_positions: Tensor, to_posed: Tensor, to_world: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, None, None]:
        """Gradients for local rotations, rest joints and rest vertices.

        Rotating a joint moves all its descendants about it. Let G and g be the gradients of the world rotation R and
        position p of a descendant d, and ``m_d = G_d R_d^T + g_d p_d^T``. The gradient of the world rotation R_j
        over all descendants is ``(sum m_d - sum g_d p_j^T) R_j``.
        """
        rest, shaped, world, above, positions, blended, weights = ctx.saved_tensors
        to_posed = to_posed.permute(1, 2, 0).contiguous()
        to_blended = torch.cat([to_posed[:, :, None] * shaped[:, None], to_posed[:, :, None]], 2)
        to_affine = _mix(weights.T, to_blended)  # [J, 3, 4, B]
        to_offset = to_affine[:, :, 3]
        to_rotation = to_world.permute(1, 2, 3, 0) + to_affine[:, :, :3] - _outer(to_offset, rest)
        to_position = to_positions.permute(1, 2, 0) + to_offset

        moment = (to_rotation[:, :, None] * world[:, None]).sum(3) + _outer(to_position, positions)
        below = _mix(ctx.tree.ancestors.T, torch.cat([moment, to_position[:, :, None]], 2))
        moment = below[:, :, :3] - _outer(below[:, :, 3], positions)
        turned = (moment[:, :, :, None] * world[:, None]).sum(2)
        # R_parent^T maps both gradients to the parent's frame, that of the local rotation and the bone.
        local = (above[:, :, :, None] * torch.cat([turned, below[:, :, 3:]], 2)[:, :, None]).sum(1)
        to_rest = _mix(ctx.tree.bones_of.T, local[:, :, 3]) - (world * to_offset[:, :, None]).sum(1)
        to_shaped = (blended[:, :, :3] * to_posed[:, :, None]).sum(1)
        return local[:, :, :3].permute(3, 0, 1, 2), to_rest.permute(2, 0, 1), to_shaped.flatten(0, 1), None, None


def _mix(matrix: Tensor, values: Tensor) -> Tensor:
    """Multiply [M, N] with [N, ..., B] over the first axis."""
    return (matrix @ values.reshape(len(values), -1)).view(len(matrix), *values.shape[1:])


def _turn(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Multiply matrices [N, 3, 3, B] with vectors [N, 3, B]."""
    return (matrices * vectors[:, None]).sum(2)


def _outer(left: Tensor, right: Tensor) -> Tensor:
    """Outer products [N, 3, 3, B] of vectors [N, 3, B]."""
    return left[:, :, None] * right[:, None]


class BodyOutput(NamedTuple):
    """Posed body: ``joints`` [B, J, 3], ``vertices`` [B, V, 3] (metres) and the joints' world rotations."""

    joints: Tensor
    vertices: Tensor
    joint_rotations: Tensor


class BodyModel(nn.Module):
    """Shape, expression and pose blend shapes, joint regression, forward kinematics and skinning.

    Joints are linear in shape and expression, ``J0 + Jd (betas, expression)``, so the regressor is applied once, at
    construction. A model *restricted* to some vertices therefore gives the same joints and vertices as the full
    model, at the cost of those vertices only.
    """

    template: Tensor
    blend_shapes: Tensor
    pose_shapes: Tensor
    pose_projection: Tensor | None
    skinning_weights: Tensor
    joint_template: Tensor
    joint_blend_shapes: Tensor

    def __init__(self, tree: KinematicTree, n_betas: int, buffers: dict[str, Tensor | None]) -> None:
        super().__init__()
        self.tree = tree
        self.n_betas = n_betas
        for name, value in buffers.items():
            self.register_buffer(name, value, persistent=False)

    @classmethod
    def from_data(
        cls,
        data: BodyModelData,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> BodyModel:
        """Build the full model from the arrays of a file."""

        def tensor(array: object) -> Tensor:
            return torch.as_tensor(array).to(device=device, dtype=dtype)

        def flat(array: Tensor) -> Tensor:  # [V, 3, C] -> [C, 3 V], the layout of a batched product
            return array.reshape(-1, array.shape[2]).T.contiguous()

        template = tensor(data.v_template)
        directions = torch.cat([tensor(data.shapedirs), tensor(data.expression_dirs)], 2)
        # In float64, so that the joints of a float32 model do not depend on summation order.
        regressor = torch.as_tensor(data.joint_regressor).to(device=device, dtype=torch.float64)
        joint_template = (regressor @ template.double()).to(dtype)
        joint_directions = torch.einsum("jv,vcs->jcs", regressor, directions.double()).to(dtype)
        buffers = {
            "template": template.reshape(-1),
            "blend_shapes": flat(directions),
            "pose_shapes": flat(tensor(data.posedirs)),
            "pose_projection": None if data.pose_projection is None else tensor(data.pose_projection).T.contiguous(),
            "skinning_weights": tensor(data.skinning_weights),
            "joint_template": joint_template.reshape(-1),
            "joint_blend_shapes": flat(joint_directions),
        }
        tree = KinematicTree(data.parents.tolist()).to(device=device, dtype=dtype)
        return cls(tree, data.shapedirs.shape[2], buffers)

    @property
    def n_expressions(self) -> int:
        """Number of expression components."""
        return self.blend_shapes.shape[0] - self.n_betas

    @property
    def n_vertices(self) -> int:
        """Number of vertices that :meth:`forward` returns."""
        return self.skinning_weights.shape[0]

    @property
    def n_joints(self) -> int:
        """Number of joints."""
        return self.skinning_weights.shape[1]

    def restrict(self, vertices: Tensor) -> BodyModel:
        """Return the same model with only the given vertices [N], in that order."""
        coordinates = (vertices[:, None] * 3 + torch.arange(3, device=vertices.device)).reshape(-1)
        buffers = dict(self.named_buffers(recurse=False))
        return BodyModel(
            self.tree,
            self.n_betas,
            {
                "pose_projection": self.pose_projection,
                **buffers,
                "template": self.template[coordinates],
                "blend_shapes": self.blend_shapes[:, coordinates].contiguous(),
                "pose_shapes": self.pose_shapes[:, coordinates].contiguous(),
                "skinning_weights": self.skinning_weights[vertices].contiguous(),
            },
        )

    def rest_joints(self, betas: Tensor, expression: Tensor) -> Tensor:
        """Return joints [B, J, 3] in T-pose (metres) for betas [B, S] and expression [B, E]."""
        coefficients = torch.cat([betas, expression], 1)
        return torch.addmm(self.joint_template, coefficients, self.joint_blend_shapes).unflatten(1, (-1, 3))

    def forward(
        self, betas: Tensor, expression: Tensor, rotations: Tensor, translation: Tensor | None = None
    ) -> BodyOutput:
        """Pose the body.

        Args:
            betas: [B, S] shape coefficients (standard deviations).
            expression: [B, E] expression coefficients (standard deviations).
            rotations: [B, J, 3, 3] local joint rotations; the first turns the body about its pelvis joint.
            translation: [B, 3] metres, added after posing.

        Returns:
            Joints and vertices in metres.
        """
        coefficients = torch.cat([betas, expression], 1)
        joints_at_rest = self.rest_joints(betas, expression)
        shaped = torch.addmm(self.template[:, None], self.blend_shapes.T, coefficients.T)  # [3 V, B]
        if self.pose_shapes.shape[0]:
            identity = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
            feature = (rotations[:, 1:] - identity).flatten(1)
            if self.pose_projection is not None:
                feature = feature @ self.pose_projection
            shaped = torch.addmm(shaped, self.pose_shapes.T, feature.T)
        joints, vertices, world_rotations = articulate(
            self.tree, self.skinning_weights, rotations, joints_at_rest, shaped
        )
        if translation is not None:
            joints = joints + translation[:, None]
            vertices = vertices + translation[:, None]
        return BodyOutput(joints, vertices, world_rotations)
