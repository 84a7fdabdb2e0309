"""Walking stick figures in space, and what calibrated cameras see of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from smplifyx.camera import Camera
from smplifyx.keypoints import Observation
from smplifyx.tracking import View
from tests.photo_folders import STANDING

SIZE = (1000, 800)
#: A standing person's body points, metres, z up, facing -y.
FIGURE = np.array([[(x - 100) / 120, 0.02 * (k % 3), (262 - y) / 130] for k, (x, y) in enumerate(STANDING)])


def cameras(n_views: int, distance: float = 6.0) -> list[View]:
    """Cameras on a circle about the origin, 1.2 m high, that look inwards."""
    views = []
    for k in range(n_views):
        turn = Rotation.from_euler("z", 360.0 * k / n_views, degrees=True)
        # At angle 0 the camera stands at y = -distance and looks along +y: x right, -z down.
        rotation = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]) @ turn.inv().as_matrix()
        position = turn.apply([0.0, -distance, 1.2])
        camera = Camera(900.0, (500.0, 400.0), "calibration", SIZE)
        views.append(View(f"cam{k + 1}", camera, rotation, -rotation @ position))
    return views


def seen(points: NDArray[np.float64], view: View, stem: str = "a", index: int = 0, noise: float = 0.0) -> Observation:
    """A figure [25, 3] in the world as a view sees it, with noise in pixels."""
    assert view.camera is not None
    pixels = view.camera.project(view.to_camera(points))
    pixels = pixels + np.random.default_rng(index).normal(size=pixels.shape) * noise
    keypoints = np.zeros((135, 3), np.float32)
    keypoints[:25] = np.column_stack([pixels, np.full(25, 0.9)])
    return Observation(keypoints, SIZE, view.camera, stem=stem, person_index=index)


def part(one: Observation, points: list[int]) -> Observation:
    """An observation with some of its points only."""
    keypoints = np.zeros_like(one.keypoints)
    keypoints[points] = one.keypoints[points]
    return Observation(keypoints, one.image_size, one.camera, stem=one.stem, person_index=one.person_index)
