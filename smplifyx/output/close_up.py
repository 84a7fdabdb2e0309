"""A hand or a head is small in a photo of a whole person: the part of the photo around it, enlarged."""

from __future__ import annotations

import cv2
import numpy as np

from smplifyx.output.camera import PhotoCamera

#: Longer side of the picture, pixels.
_LONGEST_SIDE = 640
#: Room on each side, as a share of the box around the mesh.
_MARGIN = 0.4


def close_up(
    image_bgr: np.ndarray, camera: PhotoCamera, vertices: np.ndarray, longest_side: int = _LONGEST_SIDE
) -> tuple[np.ndarray, PhotoCamera]:
    """The photo around a mesh, as large as ``longest_side`` allows, and the camera that took just that.

    Args:
        image_bgr: the photo `[H, W, 3]` uint8.
        camera: its intrinsics.
        vertices: `[V, 3]` in the camera frame, camera translation included, metres.
        longest_side: pixels; 640 at most.

    Returns:
        BGR uint8 `[h, w, 3]` and its intrinsics. A mesh outside the photo gives the whole photo.
    """
    size = np.array(camera.image_size)
    points = camera.project(vertices)
    low, high = points.min(axis=0), points.max(axis=0)
    margin = _MARGIN * float((high - low).max())
    if not np.isfinite(margin):
        low, high, margin = np.zeros(2), size.astype(float), 0.0
    first = np.clip(np.floor(low - margin), 0, size - 1).astype(int)
    end = np.clip(np.ceil(high + margin) + 1, first + 1, size).astype(int)
    if (high < 0).any() or (low > size - 1).any():
        first, end = np.zeros(2, int), size
    width, height = (int(length) for length in end - first)
    (cx, cy), (left, top) = camera.principal_point, (int(number) for number in first)
    cropped = PhotoCamera(camera.focal_length, (cx - left, cy - top), (width, height))
    scale = min(longest_side, _LONGEST_SIDE) / max(width, height)
    shown = cropped.resized((max(1, round(scale * width)), max(1, round(scale * height))))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    part = image_bgr[top : top + height, left : left + width]
    return np.asarray(cv2.resize(part, shown.image_size, interpolation=method)), shown
