"""How well fits of single views agree with joints triangulated from all views.

From its own camera a fit nearly always looks right; what goes wrong lies along the line of sight: a leaning trunk,
bent knees, a wrong facing. So every row holds angles beside the distances.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from smplifyx.body.canonical_keypoints import BODY_KEYPOINT_NAMES
from smplifyx.evaluation.calibrated_views import CalibratedCamera
from smplifyx.evaluation.metrics import Alignment, mpjpe
from smplifyx.evaluation.posture import PostureErrors, posture_errors, posture_of_keypoints

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

    def row(self) -> dict[str, str | float]:
        """All figures in one line of a table."""
        fields = asdict(self)
        angles = fields.pop("posture")
        return {**fields, **{f"{name}_deg": angle for name, angle in angles.items()}}


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
