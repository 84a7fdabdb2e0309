"""Lens distortion: what OpenCV distorts, we undistort."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from smplifyx.camera import Camera, read_calibration, resolve_cameras
from smplifyx.config import CameraConfig
from smplifyx.keypoints import Observation
from smplifyx.lens import intrinsic_matrix, undistorted_picture, undistorted_points

CAMERA = Camera((800.0, 810.0), (330.0, 235.0), image_size=(640, 480))
DISTORTION = (-0.3, 0.1, 0.002, -0.001, 0.0)


def distorted(pixels: np.ndarray) -> np.ndarray:
    rays = np.column_stack([(pixels - CAMERA.center) / CAMERA.focal_length, np.ones(len(pixels))])
    found, _ = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), intrinsic_matrix(CAMERA), np.array(DISTORTION))
    return found[:, 0]


def test_points_come_back() -> None:
    pixels = np.random.default_rng(1).uniform((0, 0), (640, 480), (50, 2))
    taken = distorted(pixels)
    assert np.abs(taken - pixels).max() > 5
    np.testing.assert_allclose(undistorted_points(taken, CAMERA, DISTORTION), pixels, atol=1e-3)
    assert np.array_equal(undistorted_points(taken, CAMERA, ()), taken)
    assert undistorted_points(np.zeros((0, 2)), CAMERA, DISTORTION).shape == (0, 2)


def test_points_where_the_distortion_has_no_inverse_are_unknown() -> None:
    far = np.array([[330.0, 235.0], [30000.0, 235.0]])
    found = undistorted_points(far, CAMERA, (-0.3, 0.0, 0.0, 0.0))
    np.testing.assert_allclose(found[0], far[0], atol=1e-6)
    assert np.isnan(found[1]).all()


def test_a_picture_is_undistorted_like_its_points() -> None:
    spot = np.array([[120.0, 90.0]])
    picture = np.zeros((480, 640, 3), np.uint8)
    x, y = np.rint(distorted(spot)[0]).astype(int)
    cv2.circle(picture, (int(x), int(y)), 6, (255, 255, 255), -1)
    for scale in (1.0, 0.5):
        shown = np.uint8(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
        found = undistorted_picture(shown, CAMERA, DISTORTION)
        middle = np.argwhere(found[..., 0] > 128).mean(axis=0)[::-1]
        np.testing.assert_allclose((middle + 0.5) / scale - 0.5, spot[0], atol=1.5)


def test_keypoints_with_a_calibration_are_undistorted_once(tmp_path: Path) -> None:
    keypoints = np.zeros((135, 3), np.float32)
    pixels = np.array([[100.0, 80.0], [500.0, 400.0]])
    keypoints[:2, :2], keypoints[:2, 2] = distorted(pixels), 0.9
    path = tmp_path / "cameras.yaml"
    path.write_text(f"default: {{focal_length: [800, 810], principal_point: [330, 235], "
                    f"distortion: {list(DISTORTION)}}}\n")  # fmt: skip
    one = Observation(keypoints, (640, 480), stem="a")
    (found,) = resolve_cameras([one], CameraConfig(), read_calibration(path))
    np.testing.assert_allclose(found.keypoints[:2, :2], pixels, atol=1e-2)
    assert not found.keypoints[2:].any()
    assert found.camera is not None and found.camera.distortion == DISTORTION
    (again,) = resolve_cameras([found], CameraConfig(), read_calibration(path))
    assert np.array_equal(again.keypoints, found.keypoints)
