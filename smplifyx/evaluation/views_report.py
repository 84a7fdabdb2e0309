"""How well fits of single views agree with joints triangulated from all views, in figures that show hidden errors.

From its own camera a fit nearly always looks right; what goes wrong lies along the line of sight: a leaning trunk, bent
knees, a wrong facing. So every row holds angles beside the distances.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from smplifyx.body.canonical_keypoints import BODY_KEYPOINT_NAMES
from smplifyx.evaluation.calibrated_views import CalibratedCamera
from smplifyx.evaluation.metrics import Alignment, mpjpe

FloatArray = NDArray[np.float64]

_INDEX = {name: index for index, name in enumerate(BODY_KEYPOINT_NAMES)}


@dataclass(frozen=True)
class ViewErrors:
    """One view's fit against the triangulated person. Angles in degrees, NaN where a joint is missing.

    Attributes:
        view: name of the view.
        n_joints: joints that were compared.
        pa_mpjpe_mm: mean joint error after similarity alignment.
        rigid_mpjpe_mm: after rigid alignment, the fitted size kept.
        root_mpjpe_mm: after moving the middle of the hips only.
        depth_error_percent: fitted over true distance of the middle of the hips along the optical axis, minus one.
        trunk_angle_deg: angle between the fitted and true direction from hips to neck.
        lean_deg: the part of that angle in the person's forward plane; positive when the fit leans too far forward.
        heading_deg: turn of the hips and shoulders about the true trunk; near 180 for a fit that faces backwards.
        left_knee_deg, right_knee_deg: fitted minus true knee flexion; positive when the fit bends too much.
    """

    view: str
    n_joints: int
    pa_mpjpe_mm: float
    rigid_mpjpe_mm: float
    root_mpjpe_mm: float
    depth_error_percent: float
    trunk_angle_deg: float
    lean_deg: float
    heading_deg: float
    left_knee_deg: float
    right_knee_deg: float

    def row(self) -> dict[str, str | float]:
        """The fields in order, for a table."""
        return asdict(self)


def views_report(
    predictions: Mapping[str, FloatArray], cameras: Sequence[CalibratedCamera], points: FloatArray
) -> list[ViewErrors]:
    """Compares each view's fit with the triangulated person.

    Args:
        predictions: for each camera's name the fitted BODY_25 keypoints [25, 3] in that camera's frame, metres.
        cameras: the calibrated cameras; those without a prediction are left out.
        points: [25, 3] triangulated keypoints in the world, NaN where unknown.

    Raises:
        ValueError: a prediction belongs to no camera, or fewer than three joints were triangulated.
    """
    unknown = set(predictions) - {camera.name for camera in cameras}
    if unknown:
        raise ValueError(f"predictions for unknown cameras: {sorted(unknown)}")
    return [
        compare_view(camera.name, np.asarray(predictions[camera.name]), camera.to_camera(points))
        for camera in cameras
        if camera.name in predictions
    ]


def compare_view(view: str, fitted: FloatArray, true: FloatArray) -> ViewErrors:
    """Errors of fitted against true BODY_25 keypoints [25, 3], both in the view's camera frame (metres)."""
    weights = np.isfinite(true).all(axis=1).astype(np.float64)
    root = _INDEX["mid_hip"]
    offset = true[root] - fitted[root]

    def error(alignment: Alignment, shift: FloatArray | float = 0.0) -> float:
        return float(mpjpe((fitted + shift)[None], true[None], weights, alignment)[0])

    lean, trunk, heading = trunk_errors(fitted, true)
    return ViewErrors(
        view=view,
        n_joints=int(weights.sum()),
        pa_mpjpe_mm=error(Alignment.SIMILARITY),
        rigid_mpjpe_mm=error(Alignment.RIGID),
        root_mpjpe_mm=error(Alignment.NONE, offset) if np.isfinite(offset).all() else float("nan"),
        depth_error_percent=float(100.0 * (fitted[root, 2] / true[root, 2] - 1.0)),
        trunk_angle_deg=trunk,
        lean_deg=lean,
        heading_deg=heading,
        left_knee_deg=knee_flexion(fitted, "left") - knee_flexion(true, "left"),
        right_knee_deg=knee_flexion(fitted, "right") - knee_flexion(true, "right"),
    )


def knee_flexion(points: FloatArray, side: str) -> float:
    """Degrees by which the knee of a BODY_25 person [25, 3] is bent; zero for a straight leg."""
    hip, knee, ankle = (points[_INDEX[f"{side}_{joint}"]] for joint in ("hip", "knee", "ankle"))
    return _angle(knee - hip, ankle - knee)


def trunk_errors(fitted: FloatArray, true: FloatArray) -> tuple[float, float, float]:
    """Signed lean, total angle and heading error in degrees between two BODY_25 people [25, 3] in one frame."""
    fitted_trunk, true_trunk = (p[_INDEX["neck"]] - p[_INDEX["mid_hip"]] for p in (fitted, true))
    up = true_trunk / np.linalg.norm(true_trunk)
    left = _leftward(true)
    left = left - up * (left @ up)
    left /= np.linalg.norm(left)
    forward = np.cross(left, up)
    fitted_left = _leftward(fitted)
    lean = np.degrees(np.arctan2(fitted_trunk @ forward, fitted_trunk @ up))
    heading = np.degrees(np.arctan2(fitted_left @ -forward, fitted_left @ left))
    return float(lean), _angle(fitted_trunk, true_trunk), float(heading)


def _leftward(points: FloatArray) -> FloatArray:
    return sum(
        (points[_INDEX[f"left_{joint}"]] - points[_INDEX[f"right_{joint}"]] for joint in ("hip", "shoulder")),
        start=np.zeros(3),
    )


def _angle(a: FloatArray, b: FloatArray) -> float:
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b)))
