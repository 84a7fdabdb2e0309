"""Left-right permutations of joints and keypoints."""

from __future__ import annotations

import numpy as np
import pytest

from smplifyx.skeleton import (
    CANONICAL_KEYPOINT_NAMES,
    JOINT_NAMES,
    MIRRORED_JOINTS,
    MIRRORED_KEYPOINTS,
    N_KEYPOINTS,
    mirror_order,
    mirrored_landmark,
    mirrored_name,
)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("left_wrist", "right_wrist"),
        ("right_hand_thumb3", "left_hand_thumb3"),
        ("left_eye_smplhf", "right_eye_smplhf"),
        ("nose", "nose"),
        ("neck", "neck"),
        ("face_30", "face_30"),
        ("face_0", "face_16"),
        ("face_17", "face_26"),
        ("face_40", "face_47"),
        ("face_48", "face_54"),
        ("face_59", "face_55"),
        ("face_65", "face_67"),
    ],
)
def test_mirrored_names(name: str, other: str) -> None:
    assert mirrored_name(name) == other and mirrored_name(other) == name


def test_mirroring_twice_changes_nothing():
    joints, keypoints = np.array(MIRRORED_JOINTS), np.array(MIRRORED_KEYPOINTS)
    np.testing.assert_array_equal(joints[joints], np.arange(len(JOINT_NAMES)))
    np.testing.assert_array_equal(keypoints[keypoints], np.arange(N_KEYPOINTS))
    assert [JOINT_NAMES[k] for k in joints] == [mirrored_name(name) for name in JOINT_NAMES]
    middle = {CANONICAL_KEYPOINT_NAMES[k] for k in np.flatnonzero(keypoints == np.arange(N_KEYPOINTS))}
    assert middle == {"nose", "neck", "mid_hip", *(f"face_{k}" for k in (8, 27, 28, 29, 30, 33, 51, 57, 62, 66))}


def test_landmarks_of_a_symmetric_face_are_mirror_images():
    """The numbers run along the jaw, the brows, the nose, around the eyes and around the lips."""
    assert sorted(mirrored_landmark(k) for k in range(68)) == list(range(68))
    assert [mirrored_landmark(k) for k in range(36, 42)] == [45, 44, 43, 42, 47, 46]
    assert [mirrored_landmark(k) for k in range(48, 60)] == [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55]
    assert [mirrored_landmark(k) for k in range(60, 68)] == [64, 63, 62, 61, 60, 67, 66, 65]


def test_some_names_alone_are_mirrored():
    names = ("left_hip", "left_knee", "right_hip", "right_knee", "nose")
    assert mirror_order(names) == [2, 3, 0, 1, 4]
    assert mirror_order(names, only=("left_knee", "right_knee")) == [0, 3, 2, 1, 4]
