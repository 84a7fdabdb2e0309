"""Fitted rows as results: plain arrays, residuals and flags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from smplifyx.body import skeleton
from smplifyx.body.canonical_keypoints import BODY_KEYPOINTS
from smplifyx.body.model_data import BodyModelData
from smplifyx.collision.penetration import Penetration
from smplifyx.fitting.ambiguity import Ambiguity
from smplifyx.fitting.lbfgs import Status
from smplifyx.fitting.parameters import PosedParameters
from smplifyx.fitting.problem import Problem, Rows, failed
from smplifyx.fitting.result import FitResult
from smplifyx.fitting.trust import Signs, shipped_trust_model, trust_features
from smplifyx.geometry import matrix_to_axis_angle, project
from smplifyx.keypoints import Observation

#: A mean body-keypoint error beyond this share of the person's size is worth a warning.
_HIGH_ERROR = 0.04
_FEW_KEYPOINTS = 10
#: Hand components in a result; a fit with fewer leaves the last ones at zero.
_N_HAND_PCA = 12


@torch.no_grad()
def collect_results(
    problem: Problem,
    data: BodyModelData,
    rows: Rows,
    observations: Sequence[Observation],
    ambiguity: Ambiguity,
    seconds: float,
) -> list[FitResult]:
    """One result a row; the i-th row belongs to the i-th observation.

    Args:
        problem: what was minimised.
        data: the body model.
        rows: the fitted people.
        observations: what they were fitted to.
        ambiguity: what their starts say about each other.
        seconds: time spent on each person.
    """
    groups = problem.parameters.layout.split(rows.x)
    posed = problem.parameters(groups, rows.frame)
    view = problem.full_view
    output = view.model(posed.betas, posed.expression, posed.rotations, posed.translation)
    evidence = rows.evidence
    projected = project(view.regressor(output), evidence.focal_length, evidence.principal_point)
    arrays = {
        "betas": posed.betas,
        "expression": posed.expression,
        "global_orient": matrix_to_axis_angle(posed.rotations[:, 0]),
        "body_pose": posed.body_pose.axis_angle,
        "jaw_pose": groups["jaw_pose"],
        "leye_pose": groups["leye_pose"],
        "reye_pose": groups["reye_pose"],
        "left_hand_pose": posed.left_hand_pose,
        "right_hand_pose": posed.right_hand_pose,
        "left_hand_pca": _padded(groups["left_hand"]),
        "right_hand_pca": _padded(groups["right_hand"]),
        "camera_translation": posed.translation,
        "focal_length": evidence.focal_length,
        "principal_point": evidence.principal_point,
        "joints": output.joints,
        "projected_keypoints_2d": projected,
        "stage_losses": torch.stack(rows.stage_losses, 1),
    }
    numpy = {name: tensor.float().cpu().numpy() for name, tensor in arrays.items()}
    n_embedding = problem.parameters.prior.n_embedding
    codes = groups["body_pose"][:, :n_embedding].float().cpu().numpy() if n_embedding else None
    confidence = evidence.confidence.float().cpu().numpy()
    size = (1000.0 / evidence.pixel_scale).cpu().numpy()
    pose_energy = problem.parameters.prior.energy(groups["body_pose"]).cpu().numpy()
    spread, gap = ambiguity.spread.cpu().numpy(), ambiguity.gap.cpu().numpy()
    bad = failed(rows)
    collisions = _collisions(problem, posed, bad)
    results = []
    for row, observation in enumerate(observations):
        error = _body_error(observation.keypoints, confidence[row], numpy["projected_keypoints_2d"][row])
        converged = int(rows.status[row]) == Status.CONVERGED
        result = FitResult(
            model_type=data.model_type,
            model_name=data.name,
            gender=data.gender,
            **{name: array[row] for name, array in numpy.items()},
            body_pose_embedding=None if codes is None else codes[row],
            camera_rotation=np.eye(3, dtype=np.float32),
            image_size=np.array(observation.image_size),
            keypoints_2d=observation.keypoints,
            loss=float(rows.loss[row]),
            n_evaluations=int(rows.n_evaluations[row]),
            converged=converged,
            flags=(),
            seconds=seconds,
            reprojection_error_px=error,
            n_keypoints=int((confidence[row] > 0).sum()),
            status="failed" if bad[row] else "ok",
        )
        if collisions is not None:
            result.penetration_mm, result.colliding_pairs = 1e3 * collisions[row].depth, collisions[row].n_pairs
        result.flags = tuple(_flags(result, confidence[row], float(size[row])))
        if rows.truncated[row]:
            result.flags += ("collision_limit",)
        signs = Signs(float(size[row]), float(pose_energy[row]), float(spread[row]), float(gap[row]))
        result.trust_features = trust_features(result, signs)
        result.expected_error_mm = shipped_trust_model().expected_error(result.trust_features)
        results.append(result)
    return results


def _collisions(problem: Problem, posed: PosedParameters, bad: np.ndarray) -> list[Penetration] | None:
    """How far each body passes through itself; None where the term is off."""
    if problem.self_collision is None:
        return None
    measured = problem.self_collision.measure(posed)
    return [replace(one, depth=np.nan, n_pairs=-1) if bad[row] else one for row, one in enumerate(measured)]


def _padded(components: Tensor) -> Tensor:
    """Hand components [B, 12] with zeros for those that were not fitted."""
    return pad(components, (0, _N_HAND_PCA - components.shape[1]))


def _body_error(observed: np.ndarray, confidence: np.ndarray, projected: np.ndarray) -> float:
    """Confidence-weighted mean distance of the body keypoints, pixels; NaN when none was seen."""
    weight = confidence[BODY_KEYPOINTS]
    if not weight.sum():
        return float("nan")
    distance = np.linalg.norm(observed[BODY_KEYPOINTS, :2] - projected[BODY_KEYPOINTS], axis=1)
    return float((weight * distance)[weight > 0].sum() / weight.sum())


def _flags(result: FitResult, confidence: np.ndarray, size: float) -> list[str]:
    """Why a fit should not be trusted."""
    flags = []
    if result.status == "failed":
        flags.append("not_finite")
    if not result.converged:
        flags.append("not_converged")
    if result.reprojection_error_px > _HIGH_ERROR * size:
        flags.append("high_reprojection_error")
    if (confidence[BODY_KEYPOINTS] > 0).sum() < _FEW_KEYPOINTS:
        flags.append("few_keypoints")
    if result.joints[skeleton.joint_index("pelvis"), 2] <= 0:
        flags.append("behind_camera")
    return flags
