"""Canonical keypoints: the right points, the right contour row, whatever subset is asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from smplifyx import skeleton
from smplifyx.body.model import BodyModel, BodyOutput
from smplifyx.body.regressor import OPENPOSE_DEFINITIONS, SMPLX_DEFINITIONS, KeypointRegressor
from smplifyx.rotations import axis_angle_to_matrix
from smplifyx.skeleton import CANONICAL_KEYPOINT_NAMES, N_KEYPOINTS
from tests.random_body import random_body_model


def _pose(batch: int = 3) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    pose = 0.3 * torch.randn(batch, skeleton.N_JOINTS, 3, generator=generator, dtype=torch.float64)
    zeros = torch.zeros(batch, 10, dtype=torch.float64)
    return zeros, zeros, axis_angle_to_matrix(pose), torch.tensor([[0.0, 0.0, 5.0]], dtype=torch.float64)


def test_points_are_the_joints_and_vertices_of_the_published_map():
    data = random_body_model()
    model = BodyModel.from_data(data, torch.float64)
    regressor = KeypointRegressor(data, definitions=SMPLX_DEFINITIONS, dtype=torch.float64)
    full = model(*_pose())
    points = regressor(regressor.restrict(model)(*_pose()))
    assert points.shape == (3, N_KEYPOINTS, 3)
    smplx_order = torch.cat([full.joints, full.vertices[:, data.extra_point_vertices]], 1)
    body = [55, 12, 17, 19, 21, 16, 18, 20, 0, 2, 5, 8, 1, 4, 7, 56, 57, 58, 59, 60, 61, 62, 63, 64, 65]
    left = [20, 37, 38, 39, 66, 25, 26, 27, 67, 28, 29, 30, 68, 34, 35, 36, 69, 31, 32, 33, 70]
    right = [21, 52, 53, 54, 71, 40, 41, 42, 72, 43, 44, 45, 73, 49, 50, 51, 74, 46, 47, 48, 75]
    torch.testing.assert_close(points[:, :67], smplx_order[:, body + left + right])
    corners = full.vertices[:, data.faces[data.landmark_faces]]
    landmarks = (corners * torch.tensor(data.landmark_barycentric)[..., None]).sum(2)
    torch.testing.assert_close(points[:, 67:118], landmarks)


def test_a_subset_equals_the_columns_of_the_whole():
    data = random_body_model()
    model = BodyModel.from_data(data, torch.float64)
    whole = KeypointRegressor(data, dtype=torch.float64)
    subset = [0, 8, 30, 70, 118, 121, 134]
    part = KeypointRegressor(data, subset, dtype=torch.float64)
    rows = torch.tensor([0, 45, 78])
    expected = whole(whole.restrict(model)(*_pose()), rows)[:, subset]
    torch.testing.assert_close(part(part.restrict(model)(*_pose()), rows), expected)
    assert len(part.vertices) < len(whole.vertices)


def test_openpose_definitions_are_weighted_means():
    for combination in OPENPOSE_DEFINITIONS.values():
        assert sum(combination.values()) == pytest.approx(1.0)
    assert set(OPENPOSE_DEFINITIONS) >= set(SMPLX_DEFINITIONS)
    assert set(OPENPOSE_DEFINITIONS) <= set(CANONICAL_KEYPOINT_NAMES)


@pytest.mark.parametrize("degrees,row", [(0, 0), (-10, 10), (10, 49), (-60, 39), (60, 78)])
@pytest.mark.parametrize("body_heading", [0.0, 40.0])
def test_contour_row_follows_the_yaw_towards_the_camera(degrees, row, body_heading):
    """A head turned to its left by ``degrees`` reads rows 40..78, to its right rows 0..39, in the camera's frame."""
    upright = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))
    turn = axis_angle_to_matrix(torch.tensor([0.0, np.radians(degrees), 0.0], dtype=torch.float64))
    rotations = (upright @ turn).expand(1, skeleton.N_JOINTS, 3, 3).clone()
    # The pelvis' own heading must not matter: only the head's direction towards the camera counts.
    rotations[:, 0] = axis_angle_to_matrix(torch.tensor([0.0, np.radians(body_heading), 0.0], dtype=torch.float64))
    joints = torch.zeros(1, skeleton.N_JOINTS, 3, dtype=torch.float64)
    joints[..., 2] = 4.0
    output = BodyOutput(joints, torch.zeros(1, 0, 3), rotations)
    regressor = KeypointRegressor(random_body_model(), [120])
    assert regressor.contour_rows(output).item() == row
