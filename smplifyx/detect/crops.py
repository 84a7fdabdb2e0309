"""Square, turned crops of a photo, and points taken back from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating[Any]]
ByteArray = NDArray[np.uint8]

#: A crop that shrinks more than this reads a smaller copy of the photo, so that it does not alias.
_MAX_SHRINK = 1.8


class Photo:
    """A photo with smaller copies, made when a crop needs them.

    Args:
        image: [H, W, 3] RGB.
    """

    def __init__(self, image: ByteArray) -> None:
        self._copies = [np.ascontiguousarray(image)]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height), pixels."""
        height, width = self._copies[0].shape[:2]
        return width, height

    def level(self, number: int) -> ByteArray:
        """The photo shrunk by ``2 ** number`` in each direction, averaged."""
        while len(self._copies) <= number:
            last = self._copies[-1]
            half = (max(1, last.shape[1] // 2), max(1, last.shape[0] // 2))
            self._copies.append(np.asarray(cv2.resize(last, half, interpolation=cv2.INTER_AREA), dtype=np.uint8))
        return self._copies[number]


@dataclass(frozen=True)
class Crop:
    """A square of a photo.

    Attributes:
        center: (x, y), pixels.
        side: pixels.
        angle: clockwise turn of the square's upright direction in the image, radians.
    """

    center: tuple[float, float]
    side: float
    angle: float = 0.0

    def cut(self, photo: Photo, n: int) -> ByteArray:
        """The crop as [n, n, 3]; black outside of the photo."""
        scale = self.side / n
        level = max(0, math.ceil(math.log2(scale / _MAX_SHRINK))) if scale > _MAX_SHRINK else 0
        source = photo.level(level)
        width, height = photo.size
        matrix = self._matrix(n)
        # Pixel centres lie at half numbers; OpenCV counts them as whole ones.
        matrix[:, 2] += matrix[:, :2].sum(1) * 0.5
        matrix *= np.array([[source.shape[1] / width], [source.shape[0] / height]])
        matrix[:, 2] -= 0.5
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(
            cv2.warpAffine(source, matrix, (n, n), flags=flags, borderMode=cv2.BORDER_CONSTANT), np.uint8
        )

    def to_photo(self, points: FloatArray, n: int) -> FloatArray:
        """Points [..., 2] of the crop of n x n pixels in the photo's pixels."""
        matrix = self._matrix(n)
        return points @ matrix[:, :2].T + matrix[:, 2]

    def turn(self, vectors: FloatArray) -> FloatArray:
        """Vectors [..., 2 or 3] of the upright crop in the photo's axes; lengths stay."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        turned = vectors.copy()
        turned[..., 0] = cos * vectors[..., 0] - sin * vectors[..., 1]
        turned[..., 1] = sin * vectors[..., 0] + cos * vectors[..., 1]
        return turned

    def _matrix(self, n: int) -> FloatArray:
        scale = self.side / n
        cos, sin = scale * math.cos(self.angle), scale * math.sin(self.angle)
        turn = np.array([[cos, -sin], [sin, cos]])
        return np.concatenate([turn, (np.array(self.center) - turn @ np.full(2, n / 2))[:, None]], 1)


def upright_angle(vector: FloatArray) -> float:
    """Turn (radians) of a crop in which the vector [2] points up."""
    return math.atan2(vector[0], -vector[1])


def sigmoid(x: FloatArray) -> FloatArray:
    """Logistic function, without overflow."""
    return 1.0 / (1.0 + np.exp(-np.clip(x, -80.0, 80.0)))
