"""Fitted rows as results: plain arrays, residuals and flags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from smplifyx.body.data import BodyModelData
from smplifyx.camera import project
from smplifyx.collision.penetration import Penetration
from smplifyx.fitting.evidence import FitTargets
from smplifyx.fitting.hypotheses import Ambiguity
from smplifyx.fitting.parameters import PosedParameters
from smplifyx.fitting.problem import FittingSchedule, Hypotheses, failed
from smplifyx.fitting.quality import QualityFeatures, quality_features, shipped_error_predictor
from smplifyx.fitting.result import FitResult
from smplifyx.keypoints import Observation
from smplifyx.lifting.lifter import lifting_energy, undo_swap
from smplifyx.lifting.network import SWAPPABLE_LIMBS
from smplifyx.optim.lbfgs import Status
from smplifyx.rotations import matrix_to_axis_angle
from smplifyx.skeleton import N_KEYPOINTS

#: A mean keypoint error beyond this share of the person's size is worth a warning: 68 mm for a person of 1.7 m.
_HIGH_ERROR = 0.04
#: The same for hands and heads, in the size of the person they would belong to: 15 mm and 20 mm.
_HIGH_PART_ERRORS = {"mano": 0.009, "flame": 0.012}
_FEW_KEYPOINTS = 10
#: Parts of the body that are deeper in each other than soft ones are pressed (millimetres).
_DEEP_MM = 15.0
#: Hand components in a result; a fit with fewer leaves the last ones at zero.
_N_HAND_PCA = 12


@dataclass(frozen=True)
class _Measured:
    """What there is to say about the rows of a batch.

    Attributes:
        rows: the rows.
        arrays: [B, ...] what goes into results as it is, by name.
        confidence: [B, 135] of the keypoints that entered the fit.
        keypoints: those that tell whether a fit is good: of the body, the hand or the head.
        size: [B] of the people, pixels.
        limit: [B] keypoint error beyond which a fit is suspicious, pixels.
        failed: [B] rows without a finite result.
        codes: [B, n] learned codes of the body poses; None without.
        collisions: how far each body passes through itself; None where that is not asked.
        signs: of trust; None for parts of a body.
    """

    rows: Hypotheses
    arrays: dict[str, np.ndarray]
    confidence: np.ndarray
    keypoints: list[int]
    size: np.ndarray
    limit: np.ndarray
    failed: np.ndarray
    codes: np.ndarray | None
    collisions: list[Penetration] | None
    signs: list[QualityFeatures] | None


def collect_results(
    problem: FittingSchedule,
    data: BodyModelData,
    rows: Hypotheses,
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
    measured = _measure(problem, data, rows, ambiguity)
    results = []
    for row, observation in enumerate(observations):
        result = _result(measured, data, row, observation)
        result.seconds = seconds
        results.append(result)
    return results


@torch.no_grad()
def _measure(problem: FittingSchedule, data: BodyModelData, rows: Hypotheses, ambiguity: Ambiguity) -> _Measured:
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
    # What the model does not have did not enter the fit.
    confidence = np.zeros(evidence.confidence.shape, np.float32)
    confidence[:, view.keypoints] = evidence.confidence[:, view.keypoints].float().cpu().numpy()
    size = (1000.0 / evidence.pixel_scale).cpu().numpy()
    bad = failed(rows)
    codes, energies = _of_prior(problem, groups)
    return _Measured(
        rows=rows,
        arrays={name: tensor.float().cpu().numpy() for name, tensor in arrays.items()},
        confidence=confidence,
        keypoints=problem.first_view.keypoints,
        size=size,
        limit=_HIGH_PART_ERRORS.get(data.model_type, _HIGH_ERROR) * size,
        failed=bad,
        codes=codes,
        collisions=_collisions(problem, posed, bad),
        signs=None if energies is None else _signs(size, energies, ambiguity, _of_lifting(evidence, output.joints)),
    )


def _result(measured: _Measured, data: BodyModelData, row: int, observation: Observation) -> FitResult:
    arrays = {name: array[row] for name, array in measured.arrays.items()}
    swapped_sides, confidence = measured.rows.evidence.swapped_sides[row], measured.confidence[row]
    observed = undo_swap(observation.keypoints, swapped_sides)
    result = FitResult(
        model_type=data.model_type,
        model_name=data.name,
        gender=data.gender,
        **arrays,
        body_pose_embedding=None if measured.codes is None else measured.codes[row],
        camera_rotation=np.eye(3, dtype=np.float32),
        image_size=np.array(observation.image_size),
        keypoints_2d=observed,
        loss=float(measured.rows.loss[row]),
        n_evaluations=int(measured.rows.n_evaluations[row]),
        converged=int(measured.rows.status[row]) == Status.CONVERGED,
        flags=(),
        seconds=0.0,
        reprojection_error_px=_error(observed, confidence, arrays["projected_keypoints_2d"], measured.keypoints),
        n_keypoints=int((confidence > 0).sum()),
        status="failed" if measured.failed[row] else "ok",
        side=data.side or "",
    )
    if measured.collisions is not None:
        collisions = measured.collisions[row]
        result.penetration_mm, result.colliding_pairs = 1e3 * collisions.depth, collisions.n_pairs
    result.flags = (
        *_flags(result, confidence[measured.keypoints], float(measured.limit[row])),
        *(f"exchanged_{limbs}" for limbs, yes in zip(SWAPPABLE_LIMBS, swapped_sides, strict=True) if yes),
        *(["self_penetration"] if result.penetration_mm > _DEEP_MM else []),
        *(["collision_limit"] if measured.rows.truncated[row] else []),
    )
    if measured.signs is not None:
        result.quality_features = quality_features(result, measured.signs[row])
        result.expected_error_mm = shipped_error_predictor().expected_error(result.quality_features)
    return result


def _signs(
    size: np.ndarray, energies: np.ndarray, ambiguity: Ambiguity, depth: tuple[np.ndarray, np.ndarray]
) -> list[QualityFeatures]:
    columns = (size, energies, ambiguity.spread.cpu().numpy(), ambiguity.gap.cpu().numpy(), *depth)
    return [QualityFeatures(*map(float, row)) for row in zip(*columns, strict=True)]


def _collisions(problem: FittingSchedule, posed: PosedParameters, bad: np.ndarray) -> list[Penetration] | None:
    """How far each body passes through itself; None where the term is off."""
    if problem.self_collision is None:
        return None
    measured = problem.self_collision.measure(posed)
    return [replace(one, depth=np.nan, n_pairs=-1) if bad[row] else one for row, one in enumerate(measured)]


def _pose_arrays(problem: FittingSchedule, groups: dict[str, Tensor], posed: PosedParameters) -> dict[str, Tensor]:
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


def _of_prior(problem: FittingSchedule, groups: dict[str, Tensor]) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The learned code [B, n] of the body poses and the prior's energy [B]; None where there is no such thing."""
    if not problem.parameters.has_body:
        return None, None
    prior, pose = problem.parameters.prior, groups["body_pose"]
    codes = pose[:, : prior.n_embedding].float().cpu().numpy() if prior.n_embedding else None
    return codes, prior.energy(pose).cpu().numpy()


def _of_lifting(evidence: FitTargets, joints: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """How unsure [B] the lifted joints are (metres), how far [B] the fitted ones are from them; 0 without them."""
    if not evidence.sqrt_precision.any():
        nothing = np.zeros(len(joints))
        return nothing, nothing
    sd = 1.0 / evidence.sqrt_precision.norm(dim=3)
    energy = lifting_energy(joints, evidence.lifted, evidence.sqrt_precision)
    return sd.mean((1, 2)).cpu().numpy(), energy.cpu().numpy()


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
