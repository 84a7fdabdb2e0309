"""Rotation conversions under names that state the mapping.

They are written out: every fit spends much of its time here, and importing a rotation library would take longer than
fitting a person. The tests compare them with RoMa and SciPy.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import normalize

from smplifyx.constants import constant

#: Below this squared angle (radians^2) series replace quotients that lose digits in the gradient.
_SMALL = 0.05
#: Takes a vector to its cross-product matrix, row by row.
_CROSS = ((0.0, 0, 0, 0, 0, -1, 0, 1, 0), (0, 0, 1, 0, 0, 0, -1, 0, 0), (0, -1, 0, 1, 0, 0, 0, 0, 0))


class _Rodrigues(torch.autograd.Function):
    """``R = cos(t) I + a [v]x + b v v^T`` with ``a = sin(t) / t`` and ``b = (1 - cos(t)) / t^2`` for the angle t."""

    @staticmethod
    def forward(ctx: Any, vector: Tensor) -> Tensor:
        square = vector.square().sum(-1, keepdim=True)
        turns = square.sqrt() / torch.pi
        a, b, cosine = torch.sinc(turns), torch.sinc(turns / 2.0).square() / 2.0, torch.cos(turns * torch.pi)
        matrix = ((a * vector) @ constant(_CROSS, vector)).unflatten(-1, (3, 3))
        matrix = torch.addcmul(matrix, (b * vector)[..., None], vector[..., None, :])
        matrix.diagonal(dim1=-2, dim2=-1).add_(cosine)
        ctx.save_for_backward(vector, square, a, b, cosine)
        return matrix

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_matrix: Tensor) -> Tensor:
        vector, square, a, b, cosine = ctx.saved_tensors
        to_sine = to_matrix.flatten(-2) @ constant(_CROSS, vector).T
        to_outer = ((to_matrix + to_matrix.transpose(-1, -2)) * vector[..., None, :]).sum(-1)
        small = square < _SMALL
        divisor = torch.where(small, 1.0, square)
        # Derivatives by the squared angle.
        a_slope = torch.where(
            small,
            -1 / 6 + square * (1 / 60 - square * (1 / 1680 - square / 90720)),
            (cosine - a) / (2.0 * divisor),
        )
        b_slope = torch.where(
            small, -1 / 24 + square * (1 / 360 - square * (1 / 13440 - square / 907200)), (a / 2.0 - b) / divisor
        )
        along = (vector * (2.0 * a_slope * to_sine + b_slope * to_outer)).sum(-1, keepdim=True)
        trace = to_matrix.diagonal(dim1=-2, dim2=-1).sum(-1, keepdim=True)
        return a * to_sine + b * to_outer + vector * (along - a * trace)


def axis_angle_to_matrix(axis_angle: Tensor) -> Tensor:
    """Rotation vectors [..., 3] in radians to matrices [..., 3, 3]; smooth at zero, differentiable once."""
    matrix: Tensor = _Rodrigues.apply(axis_angle)
    return matrix


def matrix_to_axis_angle(matrix: Tensor) -> Tensor:
    """Rotation matrices [..., 3, 3] to rotation vectors [..., 3] with an angle of at most pi.

    By way of the quaternion, from its largest component (Shepperd 1978).
    """
    diagonal = matrix.diagonal(dim1=-2, dim2=-1)
    trace = diagonal.sum(-1, keepdim=True)
    squares = 1.0 + torch.cat([trace, 2.0 * diagonal - trace], -1)  # 4 (w^2, x^2, y^2, z^2)
    w2, x2, y2, z2 = squares.unbind(-1)

    def pair(i: int, j: int, sign: float) -> Tensor:
        return matrix[..., i, j] + sign * matrix[..., j, i]

    wx, wy, wz = pair(2, 1, -1.0), pair(0, 2, -1.0), pair(1, 0, -1.0)
    xy, yz, zx = pair(0, 1, 1.0), pair(1, 2, 1.0), pair(2, 0, 1.0)
    # Row k is 4 q_k (w, x, y, z).
    rows = torch.stack([w2, wx, wy, wz, wx, x2, xy, zx, wy, xy, y2, yz, wz, zx, yz, z2], -1).unflatten(-1, (4, 4))
    largest = squares.argmax(-1)[..., None, None].expand(*squares.shape[:-1], 1, 4)
    quaternion = normalize(rows.gather(-2, largest)[..., 0, :], dim=-1)
    quaternion = torch.where(quaternion[..., :1] < 0.0, -quaternion, quaternion)
    cosine, vector = quaternion[..., :1], quaternion[..., 1:]
    square = vector.square().sum(-1, keepdim=True)
    tiny = square < torch.finfo(matrix.dtype).eps ** 2
    sine = torch.where(tiny, 1.0, square).sqrt()
    return torch.where(tiny, 2.0, 2.0 * torch.atan2(sine, cosine) / sine) * vector


def rotation_6d_to_matrix(columns: Tensor) -> Tensor:
    """Matrices [..., 3, 3] from two columns [..., 3, 2] that are not parallel, by Gram-Schmidt (Zhou et al. 2019)."""
    first = normalize(columns[..., 0], dim=-1)
    second = columns[..., 1]
    second = normalize(second - (first * second).sum(-1, keepdim=True) * first, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], -1)
