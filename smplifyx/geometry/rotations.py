"""Rotation conversions under names that state the mapping; RoMa does the work."""

from __future__ import annotations

import roma
from torch import Tensor


def axis_angle_to_matrix(axis_angle: Tensor) -> Tensor:
    """Rotation vectors [..., 3] in radians to matrices [..., 3, 3]; smooth at zero."""
    return roma.rotvec_to_rotmat(axis_angle)


def matrix_to_axis_angle(matrix: Tensor) -> Tensor:
    """Rotation matrices [..., 3, 3] to rotation vectors [..., 3] with an angle of at most pi."""
    return roma.rotmat_to_rotvec(matrix)
