"""Rotations and projection, thin over a rotation library."""

from smplifyx.geometry.camera import Intrinsics, project
from smplifyx.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle, six_numbers_to_matrix

__all__ = [
    "Intrinsics",
    "axis_angle_to_matrix",
    "matrix_to_axis_angle",
    "project",
    "six_numbers_to_matrix",
]
