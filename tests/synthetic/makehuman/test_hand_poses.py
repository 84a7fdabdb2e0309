"""Hand poses from joint angles: limits, directions of bending, mirror images."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from smplifyx.synthetic.makehuman.hand_poses import (
    HAND_SHAPES,
    LOWER_LIMITS,
    UPPER_LIMITS,
    hand_pose_from_angles,
    mirror_hand_pose,
    sample_hand_angles,
)


def test_thumb_bends_across_the_palm():
    angles = np.zeros((1, 21))
    angles[0, 16:] = [30, 0, 0, 30, 30]
    root, *_ = Rotation.from_rotvec(hand_pose_from_angles(angles).reshape(15, 3)[12:])
    bone = np.array([0.38, -0.67, 0.64])
    moved = root.apply(bone) - bone
    assert moved[2] < -0.2  # from its own side of the hand towards the little finger


def test_samples_stay_within_the_limits():
    angles = sample_hand_angles(500, seed=1)
    assert np.all(angles >= LOWER_LIMITS)
    assert np.all(angles <= UPPER_LIMITS)


def test_mirrored_pose_is_the_mirror_image():
    pose = hand_pose_from_angles(HAND_SHAPES["pinch"].angles()[None])[0]
    flip = np.diag([-1.0, 1.0, 1.0])
    left = Rotation.from_rotvec(pose.reshape(15, 3)).as_matrix()
    right = Rotation.from_rotvec(mirror_hand_pose(pose).reshape(15, 3)).as_matrix()
    np.testing.assert_allclose(right, flip @ left @ flip, atol=1e-12)
    np.testing.assert_array_equal(mirror_hand_pose(mirror_hand_pose(pose)), pose)
