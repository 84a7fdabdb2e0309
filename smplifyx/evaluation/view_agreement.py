"""How far the fits of single views agree with each other: one person has one body, whatever the view."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from smplifyx.evaluation.metrics import pa_mpjpe, pa_v2v
from smplifyx.evaluation.view_scenes import FittedView

FloatArray = NDArray[np.float64]


def view_agreement(views: Sequence[FittedView]) -> list[dict[str, str | float]]:
    """A row a pair of views of one scene.

    ``surface_mm`` and ``joints_mm`` are distances after similarity alignment, millimetres; ``shape`` is the distance
    of the shape coefficients; ``turned_deg`` is the angle between the pelvises in the world, which no alignment
    hides.
    """
    rows: list[dict[str, str | float]] = []
    for first, second in combinations(views, 2):
        if first.scene.name != second.scene.name:
            continue
        pair = first.fit, second.fit
        rows.append(
            {
                "scene": first.scene.name,
                "views": f"{first.errors.view} {second.errors.view}",
                "surface_mm": float(pa_v2v(pair[0].vertices[None], pair[1].vertices[None])[0]),
                "joints_mm": float(pa_mpjpe(pair[0].joints[None, :22], pair[1].joints[None, :22])[0]),
                "shape": float(np.linalg.norm(pair[0].result.betas - pair[1].result.betas)),
                "turned_deg": _angle(_pelvis_in_world(first), _pelvis_in_world(second)),
            }
        )
    return rows


def _pelvis_in_world(view: FittedView) -> FloatArray:
    """[3, 3] orientation of the body in the world."""
    camera = next(camera for camera in view.scene.cameras if camera.name == view.errors.view)
    return np.asarray(camera.rotation.T @ cv2.Rodrigues(np.float64(view.fit.result.global_orient))[0])


def _angle(a: FloatArray, b: FloatArray) -> float:
    """Degrees between two orientations."""
    return float(np.degrees(np.arccos(np.clip((np.trace(a.T @ b) - 1.0) / 2.0, -1.0, 1.0))))
