"""Tracks and views check their numbers, and change frames as OpenCV does."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from smplifyx import Camera, Observation
from smplifyx.errors import InputError
from smplifyx.tracking import Track, View


def observation() -> Observation:
    keypoints = np.zeros((135, 3), np.float32)
    keypoints[:5] = (100.0, 200.0, 0.9)
    return Observation(keypoints, (640, 480), Camera(800.0))


def test_views_change_frames_as_opencv_does() -> None:
    rng = np.random.default_rng(0)
    turn, translation = rng.normal(size=3), np.array([0.3, -0.2, 4.0])
    rotation = cv2.Rodrigues(turn)[0]
    view = View("left", Camera(900.0, (320.0, 240.0), image_size=(640, 480)), rotation, translation)
    points = rng.normal(size=(7, 3)) * 0.5
    matrix = np.array([[900.0, 0.0, 320.0], [0.0, 900.0, 240.0], [0.0, 0.0, 1.0]])
    expected = cv2.projectPoints(points, turn, translation, matrix, np.zeros(5))[0][:, 0]
    assert view.camera is not None
    np.testing.assert_allclose(view.camera.project(view.to_camera(points)), expected, atol=1e-6)
    np.testing.assert_allclose(view.to_world(view.to_camera(points)), points, atol=1e-12)


def test_rounded_rotations_become_rotations() -> None:
    rotation = cv2.Rodrigues(np.array([0.4, -1.1, 0.3]))[0].round(4)
    exact = np.asarray(View("one", rotation=rotation).rotation)
    np.testing.assert_allclose(exact @ exact.T, np.eye(3), atol=1e-12)


@pytest.mark.parametrize("rotation", [np.eye(3) * 1.2, np.diag([1.0, 1.0, -1.0]), np.eye(2)])
def test_what_is_no_rotation_is_refused(rotation: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"view left.*rotation"):
        View("left", rotation=rotation)


def test_tracks_refuse_gaps_and_wrong_sizes() -> None:
    one = observation()
    assert len(Track(3, (4, 5, 6), ((one,), (None,), (one,)))) == 3
    with pytest.raises(InputError, match=r"track 3.*consecutive"):
        Track(3, (4, 6), ((one,), (one,)))
    with pytest.raises(InputError, match="2 rows of 1"):
        Track(3, (4, 5), ((one,),))
    with pytest.raises(InputError, match="at least one observation"):
        Track(3, (4,), ((None,),))
