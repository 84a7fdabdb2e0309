"""A calibrated camera that stands in the world, and points from the rays of several."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smplifyx.camera import Camera
from smplifyx.errors import InputError

#: Largest deviation of R R' from the identity; files give few digits.
_ROTATION_TOLERANCE = 1e-3


def _identity() -> NDArray[np.float64]:
    return np.eye(3)


def _zeros() -> NDArray[np.float64]:
    return np.zeros(3)


@dataclass(frozen=True)
class View:
    """A camera with its place in the world: a world point ``x`` is at ``rotation @ x + translation`` in its frame.

    The camera frame is OpenCV's (x right, y down, z forward).

    Attributes:
        name: name in files, results and messages.
        camera: the pinhole camera of the undistorted image; None where it is not known.
        rotation: [3, 3] from the world to the camera.
        translation: [3] the same, metres.
        distortion: coefficients in OpenCV's order (k1, k2, p1, p2, k3, ...); empty without distortion.

    Raises:
        InputError: a rotation that is not one, or numbers that are not finite.
    """

    name: str = ""
    camera: Camera | None = None
    rotation: ArrayLike = field(default_factory=_identity)
    translation: ArrayLike = field(default_factory=_zeros)
    distortion: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        rotation = np.asarray(self.rotation, np.float64)
        translation = np.asarray(self.translation, np.float64).reshape(-1)
        field_name = f"view {self.name}".strip()
        if rotation.shape != (3, 3) or not np.isfinite(rotation).all():
            raise InputError(None, f"expected a finite rotation [3, 3], found {list(rotation.shape)}", field_name)
        error = np.abs(rotation @ rotation.T - np.eye(3)).max()
        if error > _ROTATION_TOLERANCE or np.linalg.det(rotation) < 0:
            raise InputError(None, "expected a rotation matrix, found another matrix", field_name)
        if translation.shape != (3,) or not np.isfinite(translation).all():
            raise InputError(None, f"expected a finite translation [3], found {translation.tolist()}", field_name)
        if not np.isfinite(np.asarray(self.distortion, np.float64)).all():
            raise InputError(None, f"expected finite distortion, found {self.distortion}", field_name)
        left, _, right = np.linalg.svd(rotation)
        object.__setattr__(self, "rotation", left @ right)
        object.__setattr__(self, "translation", translation)
        object.__setattr__(self, "distortion", tuple(float(number) for number in self.distortion))

    def to_camera(self, points: NDArray[np.floating]) -> NDArray[np.floating]:
        """World points [..., 3] in the camera frame, metres."""
        return points @ np.asarray(self.rotation).T + np.asarray(self.translation)

    def to_world(self, points: NDArray[np.floating]) -> NDArray[np.floating]:
        """Points [..., 3] of the camera frame in the world, metres."""
        return (points - np.asarray(self.translation)) @ np.asarray(self.rotation)


def triangulated_slopes(
    placements: NDArray[np.float64], slopes: NDArray[np.float64], used: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """World points by the direct linear transform (Hartley and Zisserman, section 12.2).

    Args:
        placements: [V, 3, 4] from the world to the cameras.
        slopes: [V, N, 2] x / z and y / z of undistorted rays.
        used: [V, N] which cameras see a point.

    Returns:
        [N, 3]; NaN with fewer than two views.
    """
    equations = slopes[..., None] * placements[:, None, 2:3] - placements[:, None, :2]  # [V, N, 2, 4]
    equations = np.where(used[..., None, None], equations, 0.0).transpose(1, 0, 2, 3)
    homogeneous = np.linalg.svd(equations.reshape(slopes.shape[1], -1, 4))[2][:, -1]
    points = homogeneous[:, :3] / np.where(homogeneous[:, 3:] == 0.0, np.nan, homogeneous[:, 3:])
    return np.where(used.sum(axis=0)[:, None] >= 2, points, np.nan)
