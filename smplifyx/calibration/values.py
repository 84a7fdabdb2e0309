"""Numbers of a calibration file, checked, and the cameras that they make."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from smplifyx.camera import Camera
from smplifyx.errors import InputError
from smplifyx.tracking.view import View

#: Largest skew that counts as none, as a share of the focal length.
_NO_SKEW = 1e-3
#: Video coding fills the last block of pixels; a calibration may count them.
_BLOCK = 16
#: Largest difference of the two scales of a resized photo.
_SAME_SHAPE = 0.005


def numbers(path: Path, field: str, value: object, *shape: int) -> NDArray[np.float64]:
    """Finite numbers of a shape, given as nested lists of numbers or of their texts.

    Raises:
        InputError: the value has another shape, or holds something else.
    """
    wanted = " x ".join(map(str, shape)) + " numbers" if shape else "a number"
    try:
        array = np.array(value, np.float64)
    except (TypeError, ValueError):
        raise InputError(path, f"expected {wanted}, found {value!r:.80}", field) from None
    if array.shape != shape and array.size == np.prod(shape):
        array = array.reshape(shape)
    if array.shape != shape or not np.isfinite(array).all():
        found = " x ".join(map(str, array.shape)) or "one"
        raise InputError(path, f"expected {wanted}, found {found}", field)
    return array


def camera_of_matrix(
    path: Path, field: str, matrix: NDArray[np.float64], size: tuple[int, int] | None = None
) -> Camera:
    """The pinhole camera of a matrix K [3, 3]."""
    if abs(matrix[0, 1]) > _NO_SKEW * abs(matrix[0, 0]) or np.abs(matrix[[1, 2, 2], [0, 0, 1]]).max() > 0:
        raise InputError(path, "expected [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], without skew", field)
    try:
        return Camera((matrix[0, 0], matrix[1, 1]), (matrix[0, 2], matrix[1, 2]), "calibration", size)
    except InputError as error:
        raise InputError(path, error.problem, field) from None


def rotation_matrix(path: Path, field: str, value: object) -> NDArray[np.float64]:
    """The rotation [3, 3] of a matrix or of a rotation vector in radians."""
    try:
        size = np.size(np.array(value, np.float64))
    except (TypeError, ValueError):
        size = 0
    if size == 3:
        return np.asarray(cv2.Rodrigues(numbers(path, field, value, 3))[0], np.float64)
    if size == 9:
        return numbers(path, field, value, 3, 3)
    raise InputError(path, f"expected a rotation vector or a matrix 3 x 3, found {value!r:.80}", field)


def view_of(
    path: Path,
    name: str,
    camera: Camera,
    rotation: ArrayLike,
    translation: ArrayLike,
    distortion: Iterable[float] = (),
) -> View:
    """A view; errors name the file and the camera."""
    try:
        return View(name, camera, rotation, translation, tuple(distortion))
    except InputError as error:
        raise InputError(path, error.problem, f"camera {name}") from None


def camera_for_size(camera: Camera, size: tuple[int, int], path: Path | None = None) -> Camera:
    """The camera for photos of (width, height) pixels.

    A calibration of a size that differs by less than a block of video coding holds as it is; one for photos of
    another resolution is scaled.

    Raises:
        InputError: the photos have another shape than the calibrated ones.
    """
    known = camera.image_size
    if known is None or known == size:
        return camera.for_image(size)
    if max(abs(known[0] - size[0]), abs(known[1] - size[1])) < _BLOCK:
        return Camera(camera.focal_length, camera.center, camera.source, size, camera.distortion)
    if abs(size[0] / known[0] / (size[1] / known[1]) - 1) > _SAME_SHAPE:
        problem = f"expected photos of {known[0]} x {known[1]} pixels or a multiple, found {size[0]} x {size[1]}"
        raise InputError(path, problem, "image_size")
    resized = camera.resized(size)
    return Camera(resized.focal_length, resized.center, camera.source, size, camera.distortion)
