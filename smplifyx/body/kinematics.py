"""Batched forward kinematics and skinning, with a hand-written backward pass."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


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
    """Works with the batch as the last axis; see :class:`~smplifyx.body.kinematics.KinematicTree`."""

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
