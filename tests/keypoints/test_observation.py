"""Observations from arrays and from named points: what is accepted, and what is refused by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smplifyx.camera import Camera
from smplifyx.errors import InputError
from smplifyx.keypoints import Observation
from smplifyx.skeleton import BODY_KEYPOINT_NAMES, CANONICAL_KEYPOINT_NAMES

_SIZE = (640, 480)


def _keypoints() -> np.ndarray:
    keypoints = np.random.default_rng(0).uniform(1, 400, (135, 3))
    keypoints[:, 2] = np.arange(135) % 2
    return keypoints


def test_arrays_are_enough():
    observation = Observation(_keypoints(), _SIZE, Camera(700.0))
    assert observation.keypoints.dtype == np.float32
    assert not observation.keypoints[::2].any(), "unseen points are zero"
    assert observation.camera == Camera(700.0, (320, 240), "given", _SIZE)
    assert (observation.image_path, observation.keypoint_path, observation.stem) == (None, None, "person")
    assert observation.name == "person, person 0"
    with pytest.raises(InputError, match="image file"):
        _ = observation.image_file


def test_the_observation_keeps_its_own_copy():
    keypoints = _keypoints()
    observation = Observation(keypoints, _SIZE)
    keypoints[:] = np.nan
    assert np.isfinite(observation.keypoints).all()


def test_the_stem_comes_from_the_files():
    image, keypoints = Path("in/a.b.jpg"), Path("in/c_keypoints.json")
    assert Observation(_keypoints(), _SIZE, None, image, keypoints).stem == "a.b"
    assert Observation(_keypoints(), _SIZE, keypoint_path=keypoints).stem == "c"
    assert Observation(_keypoints(), _SIZE, None, image, stem="d").stem == "d"


@pytest.mark.parametrize(
    ("keypoints", "words"),
    [
        (np.zeros((100, 3)), r"expected 135 x 3 numbers, found 100 x 3; Observation\.from_points"),
        (np.zeros((135, 2)), "found 135 x 2"),
        (np.zeros((1, 135, 3)), "found 1 x 135 x 3"),
        (np.full((135, 3), np.nan), "NaN or infinity in 135 of 135 rows"),
        (np.where(np.arange(135)[:, None] == 3, np.inf, 1.0) * np.ones(3), "in 1 of 135 rows"),
        (np.full((135, 3), 7.0), "confidences from 0 to 1, found 7 to 7"),
        ("keypoints", "expected an array of numbers, found str"),
    ],
)
def test_unusable_keypoints_are_refused_by_name(keypoints, words):
    with pytest.raises(InputError, match=words) as error:
        Observation(keypoints, _SIZE)
    assert error.value.field == "keypoints" and str(error.value).startswith("keypoints: expected")


@pytest.mark.parametrize(
    "changes",
    [
        {"image_size": (640,)},
        {"image_size": (0, 480)},
        {"image_size": None},
        {"gender": "femle"},
        {"side": "middle"},
        {"person_index": -1},
        {"camera": 700.0},
    ],
)
def test_other_impossible_values_are_refused_by_name(changes):
    (field,) = changes
    with pytest.raises(InputError, match=r"expected .* found") as error:
        replace(Observation(_keypoints(), _SIZE), **changes)
    assert error.value.field == field


def test_a_camera_of_another_image_is_refused():
    with pytest.raises(InputError, match="image_size"):
        Observation(_keypoints(), _SIZE, Camera(700.0, image_size=(800, 600)))


def test_points_with_own_names():
    names = ["left_hip", "face_30", "right_hip", "left_hand_thumb1", "left_shoulder", "right_shoulder"]
    points = np.array([[10, 20, 0.5], [1, 2, 1], [30, 40, 0.75], [3, 4, 1], [5, 6, 0.5], [7, 8, 0]])
    observation = Observation.from_points(
        points, names, _SIZE, Camera(700.0), person_index=2, gender="male", stem="a"
    )
    rows = {name: observation.keypoints[CANONICAL_KEYPOINT_NAMES.index(name)].tolist() for name in names}
    assert rows["face_30"] == [1, 2, 1] and rows["right_shoulder"] == [0, 0, 0]
    assert observation.keypoints[BODY_KEYPOINT_NAMES.index("mid_hip")].tolist() == [20, 30, 0.25], (
        "derived points weigh less"
    )
    assert not observation.keypoints[BODY_KEYPOINT_NAMES.index("neck")].any(), "one shoulder is unseen"
    assert (observation.keypoints[:, 2] > 0).sum() == 6
    assert observation.name == "a, person 2" and observation.gender == "male"


def test_points_without_confidence_and_lost_points():
    observation = Observation.from_points([[1, 2], [np.nan, 5]], ("nose", "neck"), _SIZE)
    assert observation.keypoints[:2].tolist() == [[1, 2, 1], [0, 0, 0]]


@pytest.mark.parametrize(
    ("points", "names", "words"),
    [
        ([[1, 2]], ["left_hipp"], r"names\[0\]: expected the name of a keypoint, found 'left_hipp'; .* 'left_hip'"),
        ([[1, 2], [3, 4]], ["nose", "LeftWrist"], r"names\[1\]"),
        ([[1, 2], [3, 4]], ["nose", "nose"], "'nose' twice"),
        ([[1, 2], [3, 4]], ["nose"], "points: expected 1 x 2 or x 3 numbers, .* found 2 x 2"),
        ([[1, 2, 3, 4]], ["nose"], "found 1 x 4"),
        ([[np.nan, 2]], ["nose"], "at least one visible point"),
        ([[np.inf, 2]], ["nose"], "NaN or infinity"),
    ],
)
def test_points_that_do_not_fit_their_names_are_refused(points, names, words):
    with pytest.raises(InputError, match=words):
        Observation.from_points(points, names, _SIZE)
