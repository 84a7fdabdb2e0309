"""Fitted rows as results: plain arrays, residuals and flags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from smplifyx.body.canonical_keypoints import N_KEYPOINTS
from smplifyx.body.model_data import BodyModelData
from smplifyx.collision.penetration import Penetration
from smplifyx.fitting.ambiguity import Ambiguity
from smplifyx.fitting.depth_evidence import put_right
from smplifyx.fitting.lbfgs import Status
from smplifyx.fitting.parameters import PosedParameters
from smplifyx.fitting.problem import Problem, Rows, failed
from smplifyx.fitting.result import FitResult
from smplifyx.fitting.trust import Signs, shipped_trust_model, trust_features
from smplifyx.geometry import matrix_to_axis_angle, project
from smplifyx.keypoints import Observation
from smplifyx.priors.lifting import EXCHANGED_LIMBS

#: A mean keypoint error beyond this share of the person's size is worth a warning: 68 mm for a person of 1.7 m.
_HIGH_ERROR = 0.04
#: The same for hands and heads, in the size of the person they would belong to: 15 mm and 20 mm.
_HIGH_PART_ERRORS = {"mano": 0.009, "flame": 0.012}
_FEW_KEYPOINTS = 10
#: Parts of the body that are deeper in each other than soft ones are pressed (millimetres).
_DEEP_MM = 15.0
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
    points = view.regressor(output)
    projected = points.new_full((len(points), N_KEYPOINTS, 2), torch.nan)
    projected[:, view.keypoints] = project(points, evidence.focal_length, evidence.principal_point)
    arrays = {
        **_pose_arrays(problem, groups, posed),
        "camera_translation": posed.translation,
        "focal_length": evidence.focal_length,
        "principal_point": evidence.principal_point,
        "joints": output.joints,
        "projected_keypoints_2d": projected,
        "stage_losses": torch.stack(rows.stage_losses, 1),
    }
    numpy = {name: tensor.float().cpu().numpy() for name, tensor in arrays.items()}
    # What the model does not have did not enter the fit.
    confidence = np.zeros(evidence.confidence.shape, np.float32)
    confidence[:, view.keypoints] = evidence.confidence[:, view.keypoints].float().cpu().numpy()
    size = (1000.0 / evidence.pixel_scale).cpu().numpy()
    bad = failed(rows)
    collisions = _collisions(problem, posed, bad)
    codes, energies = _of_prior(problem, groups)
    first = problem.first_view.keypoints
    limit = _HIGH_PART_ERRORS.get(data.model_type, _HIGH_ERROR) * size
    results = []
    for row, observation in enumerate(observations):
        observed = put_right(observation.keypoints, evidence.exchanged[row])
        error = _error(observed, confidence[row], numpy["projected_keypoints_2d"][row], first)
        converged = int(rows.status[row]) == Status.CONVERGED
        result = FitResult(
            model_type=data.model_type,
            model_name=data.name,
            gender=data.gender,
            **{name: array[row] for name, array in numpy.items()},
            body_pose_embedding=None if codes is None else codes[row],
            camera_rotation=np.eye(3, dtype=np.float32),
            image_size=np.array(observation.image_size),
            keypoints_2d=observed,
            loss=float(rows.loss[row]),
            n_evaluations=int(rows.n_evaluations[row]),
            converged=converged,
            flags=(),
            seconds=seconds,
            reprojection_error_px=error,
            n_keypoints=int((confidence[row] > 0).sum()),
            status="failed" if bad[row] else "ok",
            side=data.side or "",
        )
        if collisions is not None:
            result.penetration_mm, result.colliding_pairs = 1e3 * collisions[row].depth, collisions[row].n_pairs
        result.flags = tuple(_flags(result, confidence[row, first], float(limit[row])))
        result.flags += tuple(
            f"exchanged_{limbs}" for limbs, yes in zip(EXCHANGED_LIMBS, evidence.exchanged[row], strict=True) if yes
        )
        if result.penetration_mm > _DEEP_MM:
            result.flags += ("self_penetration",)
        if rows.truncated[row]:
            result.flags += ("collision_limit",)
        if energies is not None:
            spread, gap = float(ambiguity.spread[row]), float(ambiguity.gap[row])
            signs = Signs(float(size[row]), float(energies[row]), spread, gap)
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


def _pose_arrays(problem: Problem, groups: dict[str, Tensor], posed: PosedParameters) -> dict[str, Tensor]:
    """Shape, expression, poses and hand coefficients, as far as the model has them, by their names in results."""
    arrays = {"betas": posed.betas, "global_orient": matrix_to_axis_angle(posed.rotations[:, 0]), **posed.angles}
    if posed.expression.shape[1]:
        arrays["expression"] = posed.expression
    skeleton = problem.parameters.skeleton
    if posed.body_pose is not None:
        # Joints that the prior does not know are at rest.
        n_numbers = 3 * (skeleton.pose_groups["body_pose"].stop - skeleton.pose_groups["body_pose"].start)
        arrays["body_pose"] = _padded(posed.body_pose.axis_angle, n_numbers)
    for side in skeleton.hand_sides:
        name = "hand_pca" if skeleton.side else f"{side}_hand_pca"
        arrays[name] = _padded(groups[f"{side}_hand"], _N_HAND_PCA)
    return arrays


def _of_prior(problem: Problem, groups: dict[str, Tensor]) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The learned code [B, n] of the body poses and the prior's energy [B]; None where there is no such thing."""
    if not problem.parameters.has_body:
        return None, None
    prior, pose = problem.parameters.prior, groups["body_pose"]
    codes = pose[:, : prior.n_embedding].float().cpu().numpy() if prior.n_embedding else None
    return codes, prior.energy(pose).cpu().numpy()


def _padded(numbers: Tensor, size: int) -> Tensor:
    """[B, size], with zeros for those that were not fitted."""
    return pad(numbers, (0, size - numbers.shape[1]))


def _error(observed: np.ndarray, confidence: np.ndarray, projected: np.ndarray, keypoints: list[int]) -> float:
    """Confidence-weighted mean distance of some keypoints, pixels; NaN when none was seen."""
    weight = confidence[keypoints]
    if not weight.sum():
        return float("nan")
    distance = np.linalg.norm(observed[keypoints, :2] - projected[keypoints], axis=1)
    return float((weight * distance)[weight > 0].sum() / weight.sum())


def _flags(result: FitResult, confidence: np.ndarray, limit: float) -> list[str]:
    """Why a fit should not be trusted.

    Args:
        result: the fit.
        confidence: of the body's keypoints, the hand's or the head's.
        limit: a mean error above it is high, pixels.
    """
    flags = []
    if result.status == "failed":
        flags.append("not_finite")
    if not result.converged:
        flags.append("not_converged")
    if result.reprojection_error_px > limit:
        flags.append("high_reprojection_error")
    if (confidence > 0).sum() < _FEW_KEYPOINTS:
        flags.append("few_keypoints")
    if result.joints[0, 2] <= 0:
        flags.append("behind_camera")
    return flags
