"""A calibrated camera for photos of a given size."""

from __future__ import annotations

from pathlib import Path

from smplifyx.camera import Camera
from smplifyx.errors import InputError

#: Video coding fills the last block of pixels; a calibration may count them.
_BLOCK = 16
#: Largest difference of the two scales of a resized photo.
_SAME_SHAPE = 0.005


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
