"""Points in space from the rays of several cameras."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


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
