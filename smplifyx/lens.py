"""Lens distortion: keypoints and photos as a pinhole camera with the same intrinsics would have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from smplifyx.camera import Camera

#: Steps and change in pixels at which the inversion of the distortion ends.
_ENOUGH = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-6)
#: A point that comes back further from where it was lies where the distortion model cannot be inverted, pixels.
_INVERTED = 1.0


def intrinsic_matrix(camera: Camera) -> NDArray[np.float64]:
    """The matrix K [3, 3] of a camera, pixels."""
    (fx, fy), (cx, cy) = camera.focal_length, camera.center
    return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])


def undistorted_points(
    points: NDArray[np.floating], camera: Camera, distortion: Sequence[float]
) -> NDArray[np.float64]:
    """Pixels [N, 2] of a photo in the photo without distortion.

    Args:
        points: [N, 2] pixels.
        camera: intrinsics, those of the result too.
        distortion: coefficients in OpenCV's order; none leaves the points as they are.

    Returns:
        [N, 2] pixels; NaN for points far outside the photo, where the distortion cannot be inverted.
    """
    pixels = np.asarray(points, np.float64).reshape(-1, 2)
    if not len(distortion) or not len(pixels):
        return pixels.copy()
    matrix, coefficients = intrinsic_matrix(camera), np.array(distortion)
    if hasattr(cv2, "undistortPointsIter"):  # OpenCV 4
        slopes = cv2.undistortPointsIter(pixels[:, None], matrix, coefficients, None, None, _ENOUGH)[:, 0]
    else:
        slopes = cv2.undistortPoints(pixels[:, None], matrix, coefficients, criteria=_ENOUGH)[:, 0]
    rays = np.column_stack([slopes, np.ones(len(slopes))])
    again, _ = cv2.projectPoints(rays[:, None], np.zeros(3), np.zeros(3), matrix, coefficients)
    found = slopes @ matrix[:2, :2].T + matrix[:2, 2]
    good = np.linalg.norm(again[:, 0] - pixels, axis=1) < _INVERTED
    return np.where(good[:, None], found, np.nan)


def undistorted_keypoints(
    keypoints: NDArray[np.float32], camera: Camera, distortion: Sequence[float]
) -> NDArray[np.float32]:
    """Keypoints [K, 3] (x, y, confidence) in the photo without distortion; as :func:`undistorted_points`.

    Points whose distortion cannot be inverted are unseen.
    """
    found = keypoints.copy()
    seen = found[:, 2] > 0
    found[seen, :2] = undistorted_points(found[seen, :2], camera, distortion)
    found[~np.isfinite(found).all(axis=1)] = 0.0
    return found


def undistorted_picture(picture: NDArray[np.uint8], camera: Camera, distortion: Sequence[float]) -> NDArray[np.uint8]:
    """A photo [H, W, 3] without distortion, at the same size and with the same intrinsics.

    Args:
        picture: the photo, at its full size or shrunk.
        camera: intrinsics of the photo at its full size.
        distortion: coefficients in OpenCV's order.
    """
    if not len(distortion):
        return picture
    size = picture.shape[1], picture.shape[0]
    shown = camera if camera.size == size else camera.resized(size)
    return np.asarray(cv2.undistort(picture, intrinsic_matrix(shown), np.array(distortion)), np.uint8)
