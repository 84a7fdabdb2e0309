"""The pinhole camera in OpenCV's frame: x right, y down, z forward, pixels."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

#: Points nearer than this (metres) are projected as if they were this far: keeps the division finite.
MINIMUM_DEPTH = 0.05


def project(points: Tensor, focal_length: Tensor, principal_point: Tensor) -> Tensor:
    """Perspective projection ``f X / Z + c``.

    Args:
        points: [B, N, 3] in the camera frame, metres.
        focal_length: [B, 2] pixels.
        principal_point: [B, 2] pixels.

    Returns:
        [B, N, 2] pixels. A point at or behind the camera is treated as lying ``MINIMUM_DEPTH`` before it.
    """
    depth = points[..., 2:3].clamp_min(MINIMUM_DEPTH)
    return points[..., :2] / depth * focal_length[:, None] + principal_point[:, None]


@dataclass(frozen=True)
class Intrinsics:
    """A pinhole camera without distortion.

    Attributes:
        focal_length: (fx, fy), pixels.
        principal_point: (cx, cy), pixels.
        source: where the numbers come from, for example ``exif`` or ``fallback``.
    """

    focal_length: tuple[float, float]
    principal_point: tuple[float, float]
    source: str
