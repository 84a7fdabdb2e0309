"""Starting depth, roll and headings; starts of hands and heads."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from smplifyx.config import StartsConfig
from smplifyx.fitting.initialization import (
    candidate_headings,
    facing_camera,
    initial_translation,
    trunk_orientation,
    trunk_roll,
    view_orientations,
    weak_perspective_init,
)
from smplifyx.skeleton import BODY_KEYPOINT_NAMES, mirror_order

_NAMES = BODY_KEYPOINT_NAMES


def _standing_body() -> torch.Tensor:
    """[1, 25, 3] a stick figure in camera axes (y down), metres."""
    points = {
        "nose": (0, -0.65, -0.1), "neck": (0, -0.5, 0), "mid_hip": (0, 0, 0),
        "shoulder": (0.19, -0.48, 0), "elbow": (0.4, -0.3, 0), "wrist": (0.5, -0.1, 0), "hip": (0.12, 0, 0),
        "knee": (0.13, 0.4, 0), "ankle": (0.13, 0.8, 0), "eye": (0.03, -0.68, -0.08), "ear": (0.08, -0.66, 0),
        "big_toe": (0.15, 0.88, -0.15), "small_toe": (0.2, 0.88, -0.12), "heel": (0.13, 0.88, 0.05),
    }  # fmt: skip
    body = np.zeros((25, 3))
    for index, name in enumerate(_NAMES):
        part = name.removeprefix("left_").removeprefix("right_")
        mirror = -1.0 if name.startswith("right_") else 1.0
        body[index] = np.array(points[part]) * [mirror, 1, 1]
    return torch.tensor(body)[None]


def _observe(translation: tuple[float, float, float], focal: float = 1000.0) -> tuple[torch.Tensor, torch.Tensor]:
    points = _standing_body() + torch.tensor(translation)
    keypoints = torch.zeros(1, 135, 2, dtype=torch.float64)
    keypoints[:, :25] = points[..., :2] / points[..., 2:] * focal + 500
    confidence = torch.zeros(1, 135, dtype=torch.float64)
    confidence[:, :25] = 0.9
    return keypoints, confidence


def _start(keypoints: torch.Tensor, confidence: torch.Tensor) -> torch.Tensor:
    focal = torch.full((1, 2), 1000.0, dtype=torch.float64)
    centre = torch.full((1, 2), 500.0, dtype=torch.float64)
    return initial_translation(keypoints, confidence, _standing_body(), focal, centre)[0]


def test_translation_of_a_known_person_is_found():
    np.testing.assert_allclose(_start(*_observe((0.3, -0.2, 4.0))), [0.3, -0.2, 4.0], atol=0.15)


def test_undetected_joints_at_zero_do_not_touch_the_depth():
    keypoints, confidence = _observe((0.3, -0.2, 4.0))
    for name in ("left_hip", "right_knee", "left_wrist", "neck"):
        keypoints[:, _NAMES.index(name)] = 0.0
        confidence[:, _NAMES.index(name)] = 0.0
    assert _start(keypoints, confidence)[2] == pytest.approx(4.0, abs=0.15)


def test_two_lonely_points_still_give_a_finite_start():
    keypoints, confidence = _observe((0.0, 0.0, 4.0))
    confidence[:] = 0.0
    confidence[:, [_NAMES.index("nose"), _NAMES.index("left_wrist")]] = 1.0
    assert torch.isfinite(_start(keypoints, confidence)).all()


@pytest.mark.parametrize("degrees", [0.0, 30.0, -90.0, 170.0])
def test_roll_is_the_angle_of_the_trunk(degrees):
    keypoints, confidence = _observe((0.0, 0.0, 4.0))
    angle = math.radians(degrees)
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]).double()
    turned = (keypoints - 500) @ turn.T + 500
    assert math.degrees(trunk_roll(turned, confidence).item()) == pytest.approx(degrees, abs=1e-3)
    up = facing_camera(torch.tensor([angle]), torch.zeros(1))[0] @ torch.tensor([0.0, 1.0, 0.0])
    np.testing.assert_allclose(up, [math.sin(angle), -math.cos(angle), 0.0], atol=1e-6)


def test_heading_zero_looks_into_the_camera_with_the_left_side_on_the_right():
    orientation = facing_camera(torch.zeros(1), torch.zeros(1))[0]
    np.testing.assert_allclose(orientation @ torch.tensor([0.0, 0.0, 1.0]), [0, 0, -1], atol=1e-6)
    np.testing.assert_allclose(orientation @ torch.tensor([1.0, 0.0, 0.0]), [1, 0, 0], atol=1e-6)
    assert torch.linalg.det(orientation).item() == pytest.approx(1.0)


def _automatic(keypoints: torch.Tensor, confidence: torch.Tensor) -> list[float]:
    return candidate_headings(keypoints, confidence, StartsConfig())[0]


def _swap_sides(keypoints: torch.Tensor) -> torch.Tensor:
    swapped = keypoints.clone()
    swapped[:, :25] = keypoints[:, mirror_order(_NAMES)]
    return swapped


def test_frontal_and_back_views_need_one_heading():
    keypoints, confidence = _observe((0.0, 0.0, 4.0))
    assert _automatic(keypoints, confidence) == [0.0]
    assert _automatic(_swap_sides(keypoints), confidence) == [math.pi]


@pytest.mark.parametrize("size", [0.1, 1.0, 10.0])
def test_side_views_try_four_headings_at_any_image_size(size):
    keypoints, confidence = _observe((0.0, 0.0, 4.0))
    keypoints = (keypoints - 500) * torch.tensor([0.1, 1.0]) * size + 500
    assert len(_automatic(keypoints, confidence)) == 4


def test_the_paper_adds_the_opposite_heading_for_shoulders_closer_than_its_threshold():
    keypoints, confidence = _observe((0.0, 0.0, 4.0))
    paper = StartsConfig(headings=1, side_view_threshold=25.0)
    assert candidate_headings(keypoints, confidence, paper)[0] == [0.0]
    narrow = (keypoints - 500) * torch.tensor([0.1, 1.0]) + 500
    assert candidate_headings(narrow, confidence, paper)[0] == [0.0, math.pi]


def test_the_lifted_trunk_tells_the_orientation() -> None:
    """Against SciPy's alignment of vectors; arms and legs have no say, and broken numbers give some rotation."""
    rng = np.random.default_rng(0)
    resting = torch.as_tensor(rng.normal(size=(4, 21, 3)))
    turns = Rotation.random(4, random_state=1)
    lifted = torch.stack([torch.as_tensor(turn.apply(one.numpy())) for turn, one in zip(turns, resting, strict=True)])
    lifted = lifted + torch.as_tensor(0.1 * rng.normal(size=lifted.shape))
    lifted[:, [3, 4, 17, 18, 19, 20]] = 9.0  # knees, elbows, wrists
    found = trunk_orientation(resting, lifted)
    trunk = [0, 1, 2, 5, 8, 11, 15, 16]
    for row in range(4):
        there, here = (points[row, trunk].numpy() for points in (lifted, resting))
        expected, _ = Rotation.align_vectors(there - there.mean(0), here - here.mean(0))
        np.testing.assert_allclose(found[row].numpy(), expected.as_matrix(), atol=1e-6)
    lifted[0] = torch.nan
    assert torch.linalg.det(trunk_orientation(resting, lifted)).allclose(torch.ones(4, dtype=torch.float64))


def test_views_are_rotations_and_no_orientation_is_far_from_all():
    views = view_orientations("mano", torch.float64, torch.device("cpu"))
    np.testing.assert_allclose(views @ views.transpose(1, 2), np.broadcast_to(np.eye(3), (14, 3, 3)), atol=1e-12)
    seen_from = (views.transpose(1, 2) @ torch.tensor([0.0, 0.0, -1.0], dtype=torch.float64)).numpy()
    anywhere = Rotation.random(500, random_state=0).apply([0, 0, 1.0])
    assert np.degrees(np.arccos((anywhere @ seen_from.T).max(1))).max() < 45.0


def test_heads_are_seen_from_the_front_first():
    first = view_orientations("flame", torch.float64, torch.device("cpu"))[0]
    np.testing.assert_allclose(first, np.diag([1.0, -1.0, -1.0]), atol=1e-12)


def test_a_turned_moved_part_is_placed_exactly():
    rng = np.random.default_rng(0)
    flat = torch.as_tensor(rng.normal(0, 0.05, (2, 21, 3)))
    flat[..., 2] = 0.0  # without depth, weak perspective is exact
    roll = torch.as_tensor(Rotation.from_euler("z", [[0.7], [-2.5]]).as_matrix())
    root = torch.tensor([[0.1, 0.05, 0.8], [-0.2, 0.0, 2.0]], dtype=torch.float64)
    focal, centre = torch.full((2, 2), 900.0).double(), torch.full((2, 2), 300.0).double()
    points = flat @ roll.transpose(1, 2) + root[:, None]
    observed = points[..., :2] / points[..., 2:] * focal[:, None] + centre[:, None]
    confidence = torch.as_tensor(rng.uniform(0.2, 1, (2, 21)))
    confidence[:, 5] = 0.0
    observed[:, 5] = 0.0
    identity = torch.eye(3, dtype=torch.float64).expand(2, 3, 3)
    start = weak_perspective_init(identity, flat, observed, confidence, focal, centre)
    np.testing.assert_allclose(start.orientation, roll, atol=1e-9)
    np.testing.assert_allclose(start.root, root, atol=1e-9)
