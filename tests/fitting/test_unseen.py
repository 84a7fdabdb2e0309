"""Unseen limbs: which they are, and what leaving the relaxed pose costs."""

from __future__ import annotations

import pytest
import torch

from smplifyx.body import skeleton
from smplifyx.body.canonical_keypoints import BODY_KEYPOINT_NAMES
from smplifyx.fitting.unseen import unseen_energy, unseen_limbs
from smplifyx.geometry import axis_angle_to_matrix


def _unseen(*names: str) -> torch.Tensor:
    confidence = torch.ones(1, 135)
    for name in names:
        confidence[0, BODY_KEYPOINT_NAMES.index(name)] = 0.0
    return unseen_limbs(confidence)


def _bent(joint: str, angle: float) -> torch.Tensor:
    pose = torch.zeros(1, 21, 3)
    pose[0, skeleton.joint_index(joint) - 1, 1] = angle
    return axis_angle_to_matrix(pose)


def test_a_limb_without_its_lower_end_is_unseen():
    assert _unseen().sum() == 0
    assert _unseen("left_wrist").sum() == 1
    assert _unseen("left_wrist", "left_elbow", "right_ankle").sum() == 3


def test_the_energy_is_the_squared_angle_of_unseen_limbs_alone():
    relaxed = torch.eye(3).expand(21, 3, 3)
    unseen = _unseen("left_elbow", "left_wrist")
    assert unseen_energy(_bent("left_shoulder", 0.1), relaxed, unseen).item() == pytest.approx(0.01, rel=1e-2)
    assert unseen_energy(_bent("left_elbow", 0.1), relaxed, unseen).item() == pytest.approx(0.01, rel=1e-2)
    assert unseen_energy(_bent("right_shoulder", 0.1), relaxed, unseen).item() == 0.0
    assert unseen_energy(_bent("spine1", 0.1), relaxed, unseen).item() == 0.0
