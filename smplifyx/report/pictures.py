"""Small pictures of the report: a person cut out of the overlay, and the photo."""

from __future__ import annotations

import io
import math
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL import WebPImagePlugin as _  # noqa: F401 - else the first .webp imports the modules of all formats

from smplifyx.files import write_bytes

#: Size of a thumbnail, and longer side of a photo, pixels.
THUMBNAIL, LONGEST_SIDE = (240, 320), 1024
#: Margin about the person in a thumbnail, as a share of the longer side of the keypoints' box.
_MARGIN = 0.18
_THUMBNAIL_QUALITY, _PHOTO_QUALITY = 72, 80
#: WebP's effort, 0 to 6: more takes longer than it saves.
_EFFORT = 2


def person_box(keypoints: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(left, top, right, bottom) about the seen keypoints [K, 3] with a margin; all of the photo without any.

    The box has the shape of a thumbnail. It may reach beyond the photo, of ``size`` (width, height).
    """
    seen = keypoints[keypoints[:, 2] > 0, :2]
    inside = seen[((seen >= 0) & (seen <= size)).all(axis=1)]
    if not len(inside):
        return np.array([0.0, 0.0, *size])
    low, high = inside.min(axis=0), inside.max(axis=0)
    margin = _MARGIN * float((high - low).max()) + 4.0
    width, height = high - low + 2 * margin
    shape = THUMBNAIL[0] / THUMBNAIL[1]
    half = np.array([max(width, height * shape), max(height, width / shape)]) / 2.0
    middle = (low + high) / 2.0
    # moved into the photo as far as it is smaller
    middle = np.where(2 * half < size, np.clip(middle, half, np.maximum(size - half, half)), np.array(size) / 2.0)
    return np.concatenate([middle - half, middle + half])


def thumbnail(picture: NDArray[np.uint8], box: np.ndarray) -> NDArray[np.uint8]:
    """Cut a box, in pixels of the picture, out of BGR [H, W, 3]; parts beyond the picture are left out."""
    height, width = picture.shape[:2]
    left, top = np.floor(np.clip(box[:2], 0, [width - 1, height - 1])).astype(int)
    right, bottom = np.ceil(np.clip(box[2:], [left + 1, top + 1], [width, height])).astype(int)
    part = picture[top:bottom, left:right]
    scale = min(1.0, THUMBNAIL[0] / part.shape[1], THUMBNAIL[1] / part.shape[0])
    size = max(1, round(scale * part.shape[1])), max(1, round(scale * part.shape[0]))
    return np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)


def shrunk(picture: NDArray[np.uint8], longest_side: int) -> NDArray[np.uint8]:
    """The picture with at most this longer side."""
    height, width = picture.shape[:2]
    scale = longest_side / max(height, width)
    if scale >= 1.0:
        return picture
    size = max(1, round(scale * width)), max(1, round(scale * height))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def thumbnail_of(data: bytes, box: np.ndarray, photo_width: int) -> NDArray[np.uint8]:
    """Thumbnail of an encoded picture of the photo; a JPEG is decoded no larger than need be.

    Args:
        data: the picture, of any size.
        box: in pixels of the photo.
        photo_width: pixels.

    Raises:
        OSError: it cannot be decoded.
    """
    with Image.open(io.BytesIO(data)) as image:
        wanted = np.array(THUMBNAIL) / np.maximum(box[2:] - box[:2], 1.0)
        width = min(image.width, math.ceil(float(wanted.max()) * photo_width))
        image.draft("RGB", (width, math.ceil(image.height * width / image.width)))
        picture = np.asarray(image.convert("RGB"))[:, :, ::-1]
    return thumbnail(picture, box * (picture.shape[1] / photo_width))


def least_scale(size: tuple[int, int]) -> float:
    """Share of its size at which a photo may be decoded for a picture of :data:`LONGEST_SIDE`."""
    return min(1.0, LONGEST_SIDE / max(*size, 1))


def save_thumbnail(picture: NDArray[np.uint8], path: Path) -> None:
    """Write a thumbnail BGR [h, w, 3] as WebP."""
    rgb = np.ascontiguousarray(picture[:, :, ::-1])
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, "WEBP", quality=_THUMBNAIL_QUALITY, method=_EFFORT)
    write_bytes(path, stream.getvalue())


def save_photo(picture: NDArray[np.uint8], path: Path) -> None:
    """Write a photo, at most :data:`LONGEST_SIDE` pixels long, as JPEG, which is encoded ten times faster."""
    options = [cv2.IMWRITE_JPEG_QUALITY, _PHOTO_QUALITY, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    done, encoded = cv2.imencode(".jpg", shrunk(picture, LONGEST_SIDE), options)
    if done:
        write_bytes(path, encoded.tobytes())
