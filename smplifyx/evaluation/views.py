"""Fits of single views against the person triangulated from all views, and against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from smplifyx.body.data import BodyModelData
from smplifyx.config import Config
from smplifyx.evaluation.metrics import Alignment, mpjpe, pa_mpjpe, pa_v2v
from smplifyx.evaluation.posture import PostureErrors, posture_errors, posture_of_keypoints
from smplifyx.evaluation.runner import FittedPerson, fit_with_body, model_keypoints
from smplifyx.evaluation.tables import Row
from smplifyx.evaluation.view_scenes import ViewScene, observation_of_view
from smplifyx.skeleton import BODY_KEYPOINT_NAMES, BODY_KEYPOINTS

FloatArray = NDArray[np.float64]

_ROOT = BODY_KEYPOINT_NAMES.index("mid_hip")


@dataclass(frozen=True)
class ViewErrors:
    """One view's fit against the triangulated person.

    Attributes:
        view: name of the view.
        n_joints: joints that were compared.
        pa_mpjpe_mm: mean joint error after similarity alignment.
        rigid_mpjpe_mm: after rigid alignment, the fitted size kept.
        root_mpjpe_mm: after moving the middle of the hips only; NaN where that is unknown.
        depth_error_percent: fitted over true depth of the middle of the hips, minus one.
        posture: errors of trunk, heading and knees.
    """

    view: str
    n_joints: int
    pa_mpjpe_mm: float
    rigid_mpjpe_mm: float
    root_mpjpe_mm: float
    depth_error_percent: float
    posture: PostureErrors

    def row(self) -> Row:
        """All figures in one line of a table."""
        fields = asdict(self)
        angles = fields.pop("posture")
        return {**fields, **{f"{name}_deg": angle for name, angle in angles.items()}}


@dataclass(frozen=True)
class FittedView:
    """One view of a scene, fitted alone, and its errors against the person triangulated from all views."""

    scene: ViewScene
    fit: FittedPerson
    errors: ViewErrors


def fit_views(
    data: BodyModelData, config: Config, scenes: Sequence[ViewScene], true_camera: bool = False
) -> list[FittedView]:
    """Fit every view that shows the person alone, and compare it with all views together.

    Args:
        data: the body model.
        config: the fitter's settings.
        scenes: scenes to fit.
        true_camera: give the fitter the calibrated camera and undistorted keypoints; otherwise the photos alone.
    """
    places = [(scene, view) for scene in scenes for view in range(len(scene.people)) if scene.shows_body(view)]
    observations = [observation_of_view(scene, view, true_camera) for scene, view in places]
    fits = fit_with_body(data, config, observations)
    views = []
    for (scene, view), fit in zip(places, fits, strict=True):
        camera, fitted = scene.cameras[view], model_keypoints(data, config, fit)[BODY_KEYPOINTS]
        views.append(
            FittedView(
                scene, fit, compare_view(camera.name, fitted, np.float64(camera.to_camera(scene.truth.points)))
            )
        )
    return views


def compare_view(view: str, fitted: FloatArray, true: FloatArray) -> ViewErrors:
    """Errors of fitted against true BODY_25 keypoints [25, 3], both in the view's camera frame (metres)."""
    weights = np.isfinite(true).all(axis=1).astype(np.float64)
    offset = true[_ROOT] - fitted[_ROOT]

    def error(alignment: Alignment, shift: FloatArray | float = 0.0) -> float:
        return float(mpjpe((fitted + shift)[None], true[None], weights, alignment)[0])

    return ViewErrors(
        view=view,
        n_joints=int(weights.sum()),
        pa_mpjpe_mm=error(Alignment.SIMILARITY),
        rigid_mpjpe_mm=error(Alignment.RIGID),
        root_mpjpe_mm=error(Alignment.NONE, offset),
        depth_error_percent=float(100.0 * (fitted[_ROOT, 2] / true[_ROOT, 2] - 1.0)),
        posture=posture_errors(posture_of_keypoints(fitted), posture_of_keypoints(true)),
    )


def view_rows(views: Sequence[FittedView]) -> list[Row]:
    """One row of figures a view."""
    return [
        {"scene": one.scene.name, **one.errors.row(), "reprojection_px": one.fit.result.reprojection_error_px}
        for one in views
    ]


def view_agreement(views: Sequence[FittedView]) -> list[Row]:
    """A row a pair of views of one scene.

    ``surface_mm`` and ``joints_mm`` are distances after similarity alignment, millimetres; ``shape`` is the distance
    of the shape coefficients; ``turned_deg`` is the angle between the pelvises in the world, which no alignment
    hides.
    """
    rows: list[Row] = []
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
    return np.asarray(np.asarray(camera.rotation).T @ cv2.Rodrigues(np.float64(view.fit.result.global_orient))[0])


def _angle(a: FloatArray, b: FloatArray) -> float:
    """Degrees between two orientations."""
    return float(np.degrees(np.arccos(np.clip((np.trace(a.T @ b) - 1.0) / 2.0, -1.0, 1.0))))
