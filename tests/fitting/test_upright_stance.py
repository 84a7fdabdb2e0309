"""Who seems to stand, and what leaning in depth costs."""

from __future__ import annotations

import math

import pytest
import torch

from smplifyx import skeleton
from smplifyx.fitting.upright_stance import has_upright_stance, trunk_tilt_energy, upright_stance_energy
from smplifyx.skeleton import BODY_KEYPOINT_NAMES

_STANDING = {
    "neck": (0, 0), "mid_hip": (0, 100),
    "left_hip": (15, 100), "left_knee": (16, 170), "left_ankle": (17, 245),
    "right_hip": (-15, 100), "right_knee": (-16, 170), "right_ankle": (-17, 245),
}  # fmt: skip


def _stands(size: float = 1.0, unseen: tuple[str, ...] = (), **moved: tuple[float, float]) -> bool:
    keypoints, confidence = torch.zeros(1, 135, 2), torch.zeros(1, 135)
    for name, place in {**_STANDING, **moved}.items():
        index = BODY_KEYPOINT_NAMES.index(name)
        keypoints[0, index] = size * torch.tensor(place, dtype=torch.float32)
        confidence[0, index] = 0.0 if name in unseen else 0.9
    return bool(has_upright_stance(keypoints, confidence)[0])


@pytest.mark.parametrize("size", [0.1, 1.0, 20.0])
def test_straight_legs_stand_at_any_size(size):
    assert _stands(size)


def test_legs_that_are_not_seen_count_as_standing():
    legs = tuple(f"{side}_{part}" for side in ("left", "right") for part in ("knee", "ankle"))
    assert _stands(unseen=legs)


@pytest.mark.parametrize(
    "moved",
    [
        {"left_knee": (60, 165)},  # bent
        {
            "left_knee": (16, 120),
            "left_ankle": (17, 190),
            "right_knee": (-16, 120),
            "right_ankle": (-17, 190),
        },  # sits
        {"left_knee": (80, 130), "left_ankle": (150, 160)},  # lifted sideways
        {"left_ankle": (17, 225)},  # one foot off the ground
    ],
)
def test_other_legs_do_not_stand(moved):
    assert not _stands(**moved)


def _leaning_trunk(degrees: float) -> torch.Tensor:
    joints = torch.zeros(1, skeleton.N_JOINTS, 3)
    angle = math.radians(degrees)
    joints[0, skeleton.joint_index("neck")] = torch.tensor([0.0, -math.cos(angle), math.sin(angle)])
    for side in ("left", "right"):
        joints[0, skeleton.joint_index(f"{side}_knee")] = torch.tensor([0.0, 0.4, 0.0])
        joints[0, skeleton.joint_index(f"{side}_ankle")] = torch.tensor([0.0, 0.8, 0.0])
    return joints


def test_the_energy_is_the_squared_sine_near_upright_and_lets_go_far_off():
    for energy, factor in ((trunk_tilt_energy, 1.0), (upright_stance_energy, 2.5)):
        assert energy(_leaning_trunk(0.0)).item() == pytest.approx(0.0, abs=1e-9)
        small = math.sin(math.radians(1.0)) ** 2
        assert energy(_leaning_trunk(1.0)).item() == pytest.approx(factor * small, rel=0.05)
    far = (upright_stance_energy(_leaning_trunk(80.0)) - upright_stance_energy(_leaning_trunk(60.0))).item()
    assert 0.0 < far < 1e-3
