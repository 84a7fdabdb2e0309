"""Rotation conversions under names that state the mapping; RoMa does the work."""

from __future__ import annotations

import roma
import torch
from torch import Tensor


def axis_angle_to_matrix(axis_angle: Tensor) -> Tensor:
    """Rotation vectors [..., 3] in radians to matrices [..., 3, 3]; smooth at zero."""
    return roma.rotvec_to_rotmat(axis_angle)


def matrix_to_axis_angle(matrix: Tensor) -> Tensor:
    """Rotation matrices [..., 3, 3] to rotation vectors [..., 3] with an angle of at most pi."""
    return roma.rotmat_to_rotvec(matrix)


def six_numbers_to_matrix(columns: Tensor) -> Tensor:
    """Matrices [..., 3, 3] from two columns [..., 3, 2] that are not parallel, by Gram-Schmidt (Zhou et al. 2019)."""
    matrix: Tensor = roma.special_gramschmidt(columns)
    return matrix


def twist_angle(matrix: Tensor, axis: int) -> Tensor:
    """The turn [...] about a coordinate axis, radians in (-pi, pi], that is part of rotations [..., 3, 3].

    A rotation is a twist about the axis after a swing that has no part about it; the twist is smooth in the matrix
    unless the swing is half a turn.
    """
    i, j = (axis + 1) % 3, (axis + 2) % 3
    return torch.atan2(matrix[..., j, i] - matrix[..., i, j], matrix[..., i, i] + matrix[..., j, j])
