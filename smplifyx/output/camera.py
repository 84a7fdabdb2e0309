"""The photo's camera, as pictures and mesh files need it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PhotoCamera:
    """Intrinsics in pixels, OpenCV convention: the centre of the top left pixel is (0, 0).

    Attributes:
        focal_length: (fx, fy).
        principal_point: (cx, cy).
        image_size: (width, height).
    """

    focal_length: tuple[float, float]
    principal_point: tuple[float, float]
    image_size: tuple[int, int]

    @classmethod
    def of_arrays(
        cls,
        focal_length: np.ndarray | Sequence[float],
        principal_point: np.ndarray | Sequence[float],
        image_size: np.ndarray | Sequence[int],
    ) -> PhotoCamera:
        """From three arrays `[2]`, as a result holds them."""
        (fx, fy), (cx, cy), (width, height) = focal_length, principal_point, image_size
        return cls((float(fx), float(fy)), (float(cx), float(cy)), (int(width), int(height)))

    def resized(self, image_size: tuple[int, int]) -> PhotoCamera:
        """The same camera for the photo resized to ``image_size`` (width, height)."""
        sx, sy = image_size[0] / self.image_size[0], image_size[1] / self.image_size[1]
        (fx, fy), (cx, cy) = self.focal_length, self.principal_point
        return PhotoCamera((fx * sx, fy * sy), ((cx + 0.5) * sx - 0.5, (cy + 0.5) * sy - 0.5), image_size)

    def capped(self, longest_side: int) -> PhotoCamera:
        """The same camera for the photo shrunk until its longer side is at most ``longest_side``."""
        width, height = self.image_size
        scale = min(1.0, longest_side / max(width, height))
        return self.resized((max(1, round(width * scale)), max(1, round(height * scale))))

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixels `[N, 2]` of points `[N, 3]` in the camera frame."""
        return points[:, :2] / points[:, 2:] * np.array(self.focal_length) + np.array(self.principal_point)
