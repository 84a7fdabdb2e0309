"""Rotation conversions against RoMa, SciPy and finite differences, near the angles where formulas break."""

from __future__ import annotations

import math

import numpy as np
import pytest
import roma
import torch
from scipy.spatial.transform import Rotation

from smplifyx.rotations import axis_angle_to_matrix, matrix_to_axis_angle, rotation_6d_to_matrix

_ANGLES = (0.0, 1e-20, 1e-9, 1e-5, 1e-3, 0.2235, 0.2237, 1.0, math.pi - 1e-4, math.pi - 1e-9, 3.2, 6.0, 20.0)
_DTYPES = [(torch.float64, 1e-14), (torch.float32, 1e-6)]


def _vectors(dtype: torch.dtype, angles=_ANGLES) -> torch.Tensor:
    """[A, 8, 3]: each angle about coordinate axes and random ones."""
    axes = torch.cat([torch.eye(3, dtype=torch.float64), -torch.eye(3, dtype=torch.float64)[:2]])
    axes = torch.cat([axes, torch.randn(3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)])
    axes = axes / axes.norm(dim=1, keepdim=True)
    return (torch.tensor(angles, dtype=torch.float64)[:, None, None] * axes).to(dtype)


@pytest.mark.parametrize("dtype,tolerance", _DTYPES)
def test_matrices_equal_scipys(dtype, tolerance):
    vectors = _vectors(dtype)
    expected = Rotation.from_rotvec(vectors.double().reshape(-1, 3).numpy()).as_matrix().reshape(*vectors.shape, 3)
    # Large angles lose digits in proportion.
    error = np.abs(axis_angle_to_matrix(vectors).double().numpy() - expected).max(axis=(1, 2, 3))
    assert (error <= tolerance * np.maximum(1.0, np.array(_ANGLES))).all()


@pytest.mark.parametrize("dtype,tolerance", [(torch.float64, 1e-9), (torch.float32, 5e-6)])
def test_gradients_equal_those_of_double_precision_roma(dtype, tolerance):
    angles = [angle for angle in _ANGLES if angle == 0.0 or angle > 1e-4]  # RoMa's own are first order below
    ours, theirs = _vectors(dtype, angles).requires_grad_(), _vectors(dtype, angles).double().requires_grad_()
    factors = torch.randn(*ours.shape, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (gradient,) = torch.autograd.grad((axis_angle_to_matrix(ours) * factors).sum(), ours)
    (expected,) = torch.autograd.grad((roma.rotvec_to_rotmat(theirs) * factors).sum(), theirs)
    torch.testing.assert_close(gradient.double(), expected, rtol=0, atol=tolerance)


def test_gradients_against_finite_differences_where_series_and_quotients_meet():
    vectors = _vectors(torch.float64, (1e-9, 1e-5, 1e-3, 0.2235, 0.2237, 1.0, 3.2)).requires_grad_()
    assert torch.autograd.gradcheck(axis_angle_to_matrix, vectors, atol=1e-8)


@pytest.mark.parametrize("dtype,tolerance", [(torch.float64, 1e-14), (torch.float32, 2e-6)])
def test_axis_angles_come_back(dtype, tolerance):
    vectors = _vectors(dtype, [angle for angle in _ANGLES if angle < math.pi - 1e-6])
    back = matrix_to_axis_angle(axis_angle_to_matrix(vectors.double()).to(dtype))
    torch.testing.assert_close(back, vectors, rtol=0, atol=tolerance * 10)


def test_half_turns_and_large_angles_give_the_same_rotation():
    matrices = axis_angle_to_matrix(_vectors(torch.float64, (math.pi, math.pi - 1e-9, 3.2, 20.0)))
    vectors = matrix_to_axis_angle(matrices)
    assert vectors.norm(dim=-1).max() <= math.pi + 1e-12
    torch.testing.assert_close(axis_angle_to_matrix(vectors), matrices, rtol=0, atol=1e-9)


def test_gradient_of_the_way_back_is_finite_and_right():
    vectors = _vectors(torch.float64, (0.0, 1e-9, 0.3, 1.0, 3.0)).requires_grad_()
    back = matrix_to_axis_angle(axis_angle_to_matrix(vectors))
    factors = torch.randn(*back.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    (gradient,) = torch.autograd.grad((back * factors).sum(), vectors)
    torch.testing.assert_close(gradient, factors, rtol=0, atol=1e-9)


def test_two_columns_equal_romas_gram_schmidt():
    columns = torch.randn(20, 3, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    torch.testing.assert_close(rotation_6d_to_matrix(columns), roma.special_gramschmidt(columns), rtol=0, atol=1e-13)
