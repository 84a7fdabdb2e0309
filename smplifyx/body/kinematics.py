"""The joints' tree: what hangs on what, as index vectors and 0/1 matrices that make batched kinematics short."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


class KinematicTree(nn.Module):
    """A tree of joints, fixed once.

    Only world rotations need a walk down the tree. Joints of equal depth do not depend on each other, so a 55-joint
    body takes ten batched products. All else is a sum over ancestors or descendants: one product with a constant
    matrix.

    Arrays are laid out with the batch last, ``[J, 3, 3, B]``: arithmetic on small matrices then runs along it.

    Attributes:
        bones_of: [J, J] takes joint positions to bones, each joint relative to its parent; the root stays.
        ancestors: [J, J] row j sums over joint j and its ancestors.

    Args:
        parents: of each joint, before its children; -1 for the root.

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
        # Place 0 holds the identity, the roots' parent; the joints follow, level by level.
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
        """World rotations [J, 3, 3, B] of the joints and of their parents, from local ones [J, 3, 3, B]."""
        local = rotations.index_select(0, self._order)
        world = local.new_empty(1 + len(local), *local.shape[1:])
        world[0] = torch.eye(3, dtype=local.dtype, device=local.device)[..., None]
        for level, (start, stop) in enumerate(self._levels):
            above = world.index_select(0, getattr(self, f"_parents_{level}"))
            torch.sum(above[:, :, :, None] * local[start - 1 : stop - 1, None], 2, out=world[start:stop])
        return world.index_select(0, self._place), world.index_select(0, self._parent_place)
