"""Points triangulated from the keypoints of several calibrated cameras."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares

from smplifyx.lens import intrinsic_matrix
from smplifyx.tracking.view import View, triangulated_slopes

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class TriangulationOptions:
    """When a keypoint counts.

    Attributes:
        min_confidence: weaker keypoints are not used.
        min_views: views that must agree on a point.
        soft_error_px: reprojection errors beyond this weigh less and less (soft L1).
        max_error_px: a view further off is taken out of its point.
    """

    min_confidence: float = 0.4
    min_views: int = 3
    soft_error_px: float = 5.0
    max_error_px: float = 40.0


@dataclass(frozen=True)
class Triangulation:
    """Triangulated keypoints.

    Attributes:
        points: [K, 3] world, metres; NaN where not valid.
        valid: [K] enough views agree.
        errors_px: [V, K] reprojection errors, NaN where the view was not used.
    """

    points: FloatArray
    valid: NDArray[np.bool_]
    errors_px: FloatArray


def triangulate_linear(cameras: Sequence[View], slopes: FloatArray, used: NDArray[np.bool_]) -> FloatArray:
    """World points [K, 3] by the direct linear transform; NaN with fewer than two views.

    Args:
        cameras: V cameras.
        slopes: [V, K, 2] x / z and y / z of the undistorted rays.
        used: [V, K] which views see the point.
    """
    placements = np.stack([np.column_stack([camera.rotation, camera.translation]) for camera in cameras])
    return triangulated_slopes(placements, slopes, used)


def triangulate(
    cameras: Sequence[View], keypoints: FloatArray, options: TriangulationOptions | None = None
) -> Triangulation:
    """Triangulate one person's keypoints: linear start, robust refinement, gross outliers taken out one by one.

    Args:
        cameras: V cameras.
        keypoints: [V, K, 3] (x, y, confidence) in distorted pixels.
        options: when a keypoint counts.
    """
    options = options or TriangulationOptions()
    slopes = _slopes(cameras, keypoints)
    used = keypoints[..., 2] >= options.min_confidence
    n_points = keypoints.shape[1]
    points = np.full((n_points, 3), np.nan)
    errors = np.full(keypoints.shape[:2], np.nan)
    for k in range(n_points):
        views = [int(view) for view in np.flatnonzero(used[:, k])]
        while len(views) >= options.min_views:
            point, view_errors = _refined_point(cameras, slopes[:, k], keypoints[:, k], views, options)
            worst = int(np.argmax(view_errors))
            if view_errors[worst] <= options.max_error_px:
                points[k], errors[views, k] = point, view_errors
                break
            views.pop(worst)
    return Triangulation(points, np.isfinite(points).all(axis=1), errors)


def _refined_point(
    cameras: Sequence[View],
    slopes: FloatArray,
    keypoints: FloatArray,
    views: Sequence[int],
    options: TriangulationOptions,
) -> tuple[FloatArray, FloatArray]:
    seen_by = [cameras[v] for v in views]
    start = triangulate_linear(seen_by, slopes[views, None], np.ones((len(views), 1), dtype=bool))[0]

    def residuals(point: FloatArray) -> FloatArray:
        return np.concatenate([project(camera, point[None])[0] for camera in seen_by]) - keypoints[views, :2].reshape(
            -1
        )

    solution = least_squares(residuals, start, loss="soft_l1", f_scale=options.soft_error_px)
    return solution.x, np.linalg.norm(residuals(solution.x).reshape(-1, 2), axis=1)


def associate_people(
    cameras: Sequence[View],
    candidates: Sequence[Sequence[FloatArray]],
    options: TriangulationOptions | None = None,
) -> list[int | None]:
    """Find the same person in all views: the combination whose keypoints agree best in space.

    Bystanders seen in some views only, or elsewhere in space, are left out. A view may also stay empty, at the price
    of one allowed error, so that one wrong view does not spoil the rest.

    Args:
        cameras: V cameras.
        candidates: for each view its people, each [K, 3] (x, y, confidence).
        options: when a keypoint counts.

    Returns:
        The index of the person in each view, or None.

    Raises:
        ValueError: fewer than two views show a person.
    """
    options = options or TriangulationOptions()
    if sum(len(people) > 0 for people in candidates) < 2:
        raise ValueError("association needs people in at least two views")
    n_points = next(len(person) for people in candidates for person in people)
    empty = np.zeros((n_points, 3))
    best: tuple[float, list[int | None]] = (np.inf, [])
    choices = [[*range(len(people)), None] for people in candidates]
    for combination in itertools.product(*choices):
        missing = sum(choice is None for choice in combination)
        if len(combination) - missing < 2:
            continue
        keypoints = np.stack(
            [empty if c is None else people[c] for people, c in zip(candidates, combination, strict=True)]
        )
        cost = _median_linear_error(cameras, keypoints, options) + missing * options.max_error_px
        if cost < best[0]:
            best = (cost, list(combination))
    if not best[1]:
        raise ValueError("no combination of people shares confident keypoints in two views")
    return best[1]


def _median_linear_error(cameras: Sequence[View], keypoints: FloatArray, options: TriangulationOptions) -> float:
    used = keypoints[..., 2] >= options.min_confidence
    points = triangulate_linear(cameras, _slopes(cameras, keypoints), used)
    errors = np.linalg.norm(_projections(cameras, points) - keypoints[..., :2], axis=-1)
    errors = errors[used & np.isfinite(points).all(axis=1)]
    return float(np.median(errors)) if len(errors) else np.inf


def refine_extrinsics(
    cameras: Sequence[View],
    keypoints: FloatArray,
    options: TriangulationOptions | None = None,
    rotation_sd_degrees: float = 1.0,
    translation_sd: float = 0.03,
) -> list[View]:
    """Small corrections of the cameras' poses that make the keypoints of a person agree (bundle adjustment).

    A calibration drifts when a tripod is touched: then every joint of a view is off in the same direction. The points
    are eliminated by linear triangulation; a Gaussian prior on the corrections keeps position, heading and scale.

    Args:
        cameras: V cameras.
        keypoints: [V, K, 3] (x, y, confidence), the keypoints of several frames side by side.
        options: when a keypoint counts.
        rotation_sd_degrees: expected error of a camera's orientation.
        translation_sd: expected error of a camera's position, metres.
    """
    options = options or TriangulationOptions()
    slopes = _slopes(cameras, keypoints)
    used = keypoints[..., 2] >= options.min_confidence
    used &= used.sum(axis=0) >= options.min_views
    scales = np.tile([np.radians(rotation_sd_degrees)] * 3 + [translation_sd] * 3, len(cameras))

    def residuals(x: FloatArray) -> FloatArray:
        moved = _moved(cameras, x * scales)
        projections = _projections(moved, triangulate_linear(moved, slopes, used))
        pixels = (projections - keypoints[..., :2])[used].reshape(-1)
        # The unit weight of the prior is measured against keypoints that are good to some pixels.
        return np.concatenate([np.clip(pixels, -1e4, 1e4) / options.soft_error_px, x])

    solution = least_squares(residuals, np.zeros(len(scales)), loss="soft_l1")
    return _moved(cameras, solution.x * scales)


def project(camera: View, points: ArrayLike) -> FloatArray:
    """World points [N, 3] to distorted pixels [N, 2]."""
    world = np.asarray(points, np.float64)
    if not len(world):  # OpenCV returns None for no points
        return np.zeros((0, 2))
    rotation = cv2.Rodrigues(np.asarray(camera.rotation))[0]
    pixels, _ = cv2.projectPoints(world, rotation, np.asarray(camera.translation), *_lens(camera))
    return np.asarray(pixels, np.float64).reshape(-1, 2)


def _lens(camera: View) -> tuple[FloatArray, FloatArray]:
    """Intrinsics [3, 3] and distortion of a calibrated view, as OpenCV takes them."""
    assert camera.camera is not None
    return intrinsic_matrix(camera.camera), np.array(camera.distortion or [0.0] * 4)


def _slopes(cameras: Sequence[View], keypoints: FloatArray) -> FloatArray:
    """[V, K, 2] slopes x / z and y / z of the undistorted rays of keypoints [V, K, 3]."""
    pixels = np.ascontiguousarray(keypoints[:, :, None, :2], np.float64)
    found = [cv2.undistortPoints(one, *_lens(camera))[:, 0] for camera, one in zip(cameras, pixels, strict=True)]
    return np.stack(found)


def _projections(cameras: Sequence[View], points: FloatArray) -> FloatArray:
    """[V, K, 2]; points that are NaN give NaN."""
    known = np.isfinite(points).all(axis=1)
    pixels = np.full((len(cameras), len(points), 2), np.nan)
    for view, camera in enumerate(cameras):
        pixels[view, known] = project(camera, points[known])
    return pixels


def _moved(cameras: Sequence[View], corrections: FloatArray) -> list[View]:
    """Cameras turned and shifted in the world by corrections [V * 6]."""
    moved = []
    for camera, correction in zip(cameras, corrections.reshape(-1, 6), strict=True):
        position = camera.to_world(np.zeros(3)) + correction[3:]
        rotation = cv2.Rodrigues(correction[:3])[0] @ np.asarray(camera.rotation)
        moved.append(replace(camera, rotation=rotation, translation=-rotation @ position))
    return moved
