"""Forward kinematics of a whole batch, one tree level at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn


class JointTransforms(NamedTuple):
    """World transforms of the joints: ``rotations`` [B, J, 3, 3] and ``positions`` [B, J, 3] (metres)."""

    rotations: Tensor
    positions: Tensor


class KinematicTree(nn.Module):
    """Composes local joint rotations down a tree whose levels are fixed once.

    Joints of equal depth do not depend on each other, so a 55-joint body takes eleven batched steps.
    """

    _to_file_order: Tensor

    def __init__(self, parents: Sequence[int]) -> None:
        super().__init__()
        depth: list[int] = []
        for joint, parent in enumerate(parents):
            if parent >= joint:
                raise ValueError(f"parents must come before their children; joint {joint} has parent {parent}")
            depth.append(0 if parent < 0 else depth[parent] + 1)
        levels = [[j for j, d in enumerate(depth) if d == level] for level in range(max(depth) + 1)]
        self.n_levels = len(levels)
        for number, level in enumerate(levels):
            self._add_index(f"_joints_{number}", level)
            if number:
                above = levels[number - 1]
                self._add_index(f"_parents_{number}", [parents[j] for j in level])
                self._add_index(f"_above_{number}", [above.index(parents[j]) for j in level])
        order = [joint for level in levels for joint in level]
        self._add_index("_to_file_order", [order.index(j) for j in range(len(parents))])

    def _add_index(self, name: str, values: list[int]) -> None:
        self.register_buffer(name, torch.tensor(values), persistent=False)

    def forward(self, rotations: Tensor, rest_joints: Tensor) -> JointTransforms:
        """World transforms for local ``rotations`` [B, J, 3, 3] about ``rest_joints`` [B, J, 3] (metres)."""
        root = getattr(self, "_joints_0")  # noqa: B009
        level_rotations = [rotations[:, root]]
        level_positions = [rest_joints[:, root]]
        for number in range(1, self.n_levels):
            joints, parents, above = (getattr(self, f"_{n}_{number}") for n in ("joints", "parents", "above"))
            parent_rotations = level_rotations[-1][:, above]
            bones = rest_joints[:, joints] - rest_joints[:, parents]
            level_rotations.append(parent_rotations @ rotations[:, joints])
            level_positions.append(level_positions[-1][:, above] + (parent_rotations @ bones[..., None])[..., 0])
        return JointTransforms(
            torch.cat(level_rotations, 1)[:, self._to_file_order],
            torch.cat(level_positions, 1)[:, self._to_file_order],
        )
