"""Fitted hypotheses as results: plain arrays, residuals and flags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

import smplifyx
from smplifyx.camera import project
from smplifyx.collision.penetration import Penetration
from smplifyx.fitting.batch import FitTargets, Hypotheses
from smplifyx.fitting.parameters import PosedParameters
from smplifyx.fitting.quality import QualityFeatures, quality_features, shipped_error_predictor
from smplifyx.fitting.solver import Solver
from smplifyx.fitting.state import BodyState
from smplifyx.keypoints import Observation
from smplifyx.lifting.lifter import lifting_energy, undo_swap
from smplifyx.lifting.network import SWAPPABLE_LIMBS
from smplifyx.optim import padded_rows
from smplifyx.optim.problem import Status
from smplifyx.result import FitResult
from smplifyx.rotations import matrix_to_axis_angle
from smplifyx.skeleton import BODY_KEYPOINTS, N_KEYPOINTS

#: Mean keypoint error, relative to the person's size, that is flagged as high: 68 mm for a person of 1.7 m.
_HIGH_ERROR = 0.04
#: The same for hands and heads, relative to the size of the person they would belong to: 15 mm and 20 mm.
_HIGH_PART_ERRORS = {"mano": 0.009, "flame": 0.012}
_FEW_KEYPOINTS = 10
#: Error of the worst body keypoint, relative to the person's size, that is flagged: 200 mm for a person of 1.7 m.
_OUTLYING = 0.12
#: Keypoints of less confidence may lie anywhere.
_SURE = 0.3
#: Penetration beyond that of soft tissue (millimetres).
_DEEP_MM = 15.0
#: Hand components in a result; a fit with fewer leaves the last ones at zero.
_N_HAND_PCA = 12


@dataclass(frozen=True)
class _Measurements:
    """Quantities of fitted people.

    Attributes:
        arrays: [B, ...] the fields of results that are arrays, by name.
        confidence: [B, 135] of the keypoints that entered the fit.
        failed: [B] people without a finite result.
        size: [B] of the people, pixels.
        codes: [B, n] learned codes of the body poses; None without.
        collisions: penetration of each body; None where it is not measured.
        quality: inputs of the expected error; None for hands and heads.
    """

    arrays: dict[str, np.ndarray]
    confidence: np.ndarray
    failed: np.ndarray
    size: np.ndarray
    codes: np.ndarray | None
    collisions: list[Penetration] | None
    quality: list[QualityFeatures] | None


def collect_results(
    solver: Solver, hypotheses: Hypotheses, observations: Sequence[Observation], seconds: float
) -> list[FitResult]:
    """One result per hypothesis; the i-th hypothesis belongs to the i-th observation.

    Args:
        solver: the solver that fitted them.
        hypotheses: the fitted people.
        observations: those that they were fitted to.
        seconds: time spent on each person.
    """
    measured = _measure(solver, hypotheses)
    losses = _stage_losses(solver, hypotheses)
    names = dict.fromkeys(name for stage in losses for name in stage)
    hypotheses = hypotheses.on_host()  # once, instead of number by number
    results = [_result(solver, hypotheses, measured, row, one) for row, one in enumerate(observations)]
    for row, result in enumerate(results):
        result.seconds = seconds
        result.losses = {name: float(values[row]) for name, values in losses[-1].items()}
        result.stage_term_losses = {
            name: np.array([stage[name][row] if name in stage else 0.0 for stage in losses], np.float32)
            for name in names
        }
    return results


def _stage_losses(solver: Solver, hypotheses: Hypotheses) -> list[dict[str, np.ndarray]]:
    """Value [R] of each term at the end of each of the S stages, which were the last S of the settings."""
    n_stages = hypotheses.ends.x.shape[1]
    first = len(solver.weights) - n_stages + 1
    ends = [hypotheses.at_end(stage) for stage in range(n_stages)]
    stages = solver.losses(ends, range(first, first + n_stages))
    return [{name: values.cpu().numpy() for name, values in stage.items()} for stage in stages]


@torch.no_grad()
def _measure(solver: Solver, hypotheses: Hypotheses) -> _Measurements:
    view, n_rows = solver.full_view, len(hypotheses.x)
    hypotheses = hypotheses.index(padded_rows(n_rows, solver.device))
    targets = hypotheses.targets
    state = view.pose(hypotheses.x, hypotheses.initial)
    projected = targets.keypoints.new_full((len(hypotheses.x), N_KEYPOINTS, 2), torch.nan)
    projected[:, view.keypoints] = project(state.keypoints, targets.focal_length, targets.principal_point)
    arrays = {
        **_pose_arrays(state),
        "camera_translation": state.inputs.translation,
        "focal_length": targets.focal_length,
        "principal_point": targets.principal_point,
        "joints": state.joints,
        "projected_keypoints_2d": projected,
        "stage_losses": hypotheses.ends.loss,
    }
    size, failed = (1000.0 / targets.pixel_scale).cpu().numpy(), hypotheses.failed()
    codes, quality = None, None
    if solver.parameters.has_body:
        prior, pose = solver.parameters.prior, state.parameters["body_pose"]
        codes = pose[:, : prior.n_embedding].float().cpu().numpy() if prior.n_embedding else None
        quality = _quality_inputs(size, prior.energy(pose), hypotheses, state.joints)
    return _Measurements(
        arrays={name: tensor.float().cpu().numpy() for name, tensor in arrays.items()},
        confidence=fitted_confidence(solver, targets),
        failed=failed,
        size=size,
        codes=codes,
        collisions=_collisions(solver, state.inputs, failed[:n_rows]),
        quality=quality,
    )


def fitted_confidence(solver: Solver, targets: FitTargets) -> np.ndarray:
    """Confidence [B, 135] of the keypoints that entered the fit: 0 for those that the model does not have."""
    keypoints = solver.full_view.keypoints
    confidence = np.zeros(targets.confidence.shape, np.float32)
    confidence[:, keypoints] = targets.confidence[:, keypoints].float().cpu().numpy()
    return confidence


def _result(
    solver: Solver, hypotheses: Hypotheses, measured: _Measurements, row: int, observation: Observation
) -> FitResult:
    arrays = {name: array[row] for name, array in measured.arrays.items()}
    swapped, confidence = hypotheses.targets.swapped_sides[row], measured.confidence[row]
    observed, keypoints = undo_swap(observation.keypoints, swapped), solver.first_view.keypoints
    result = FitResult(
        model_type=solver.data.model_type,
        model_name=solver.data.name,
        gender=solver.data.gender,
        **arrays,
        body_pose_embedding=None if measured.codes is None else measured.codes[row],
        camera_rotation=np.eye(3, dtype=np.float32),
        image_size=np.array(observation.image_size),
        camera_source="" if observation.camera is None else observation.camera.source,
        image_path=str(observation.image_path or ""),
        keypoint_path=str(observation.keypoint_path or ""),
        version=smplifyx.__version__,
        keypoints_2d=observed,
        loss=float(hypotheses.loss[row]),
        losses={},
        n_evaluations=int(hypotheses.n_evaluations[row]),
        converged=int(hypotheses.status[row]) == Status.CONVERGED,
        flags=(),
        seconds=0.0,
        reprojection_error_px=_error(observed, confidence, arrays["projected_keypoints_2d"], keypoints),
        n_keypoints=int((confidence > 0).sum()),
        status="failed" if measured.failed[row] or not (confidence > 0).any() else "ok",
        side=solver.data.side or "",
    )
    if measured.collisions is not None:
        collisions = measured.collisions[row]
        result.penetration_mm, result.colliding_pairs = 1e3 * collisions.depth, collisions.n_pairs
    result.flags = (
        *observation.flags,
        *flags_of_fit(result, bool(hypotheses.truncated[row])),
        *flags_of_view(result, confidence, swapped, float(measured.size[row]), keypoints),
    )
    if measured.quality is not None and result.n_keypoints:
        result.quality_features = quality_features(result, measured.quality[row])
        result.expected_error_mm = shipped_error_predictor().expected_error(result.quality_features)
    return result


def _quality_inputs(
    size: np.ndarray, energies: Tensor, hypotheses: Hypotheses, joints: Tensor
) -> list[QualityFeatures]:
    depth_sd, depth_energy = _lifting_agreement(hypotheses.targets, joints)
    tensors = (energies, hypotheses.spread, hypotheses.gap, depth_sd, depth_energy)
    columns = (size, *(tensor.cpu().numpy() for tensor in tensors))
    return [QualityFeatures(*map(float, row)) for row in zip(*columns, strict=True)]


def _lifting_agreement(targets: FitTargets, joints: Tensor) -> tuple[Tensor, Tensor]:
    """Standard deviation [B] of the lifted joints (metres), energy [B] of the fitted ones; 0 without lifting."""
    if not targets.sqrt_precision.any():
        return torch.zeros_like(targets.pixel_scale), torch.zeros_like(targets.pixel_scale)
    sd = 1.0 / targets.sqrt_precision.norm(dim=3)
    return sd.mean((1, 2)), lifting_energy(joints, targets.lifted, targets.sqrt_precision)


def _collisions(solver: Solver, posed: PosedParameters, failed: np.ndarray) -> list[Penetration] | None:
    """Penetration of each body that the mask [B] covers; None where the term is off."""
    if solver.self_collision is None:
        return None
    rows = slice(len(failed))
    measured = solver.self_collision.measure(posed.betas[rows], posed.expression[rows], posed.rotations[rows])
    return [replace(one, depth=np.nan, n_pairs=-1) if failed[row] else one for row, one in enumerate(measured)]


def _pose_arrays(state: BodyState) -> dict[str, Tensor]:
    """Shape, expression, poses and hand coefficients, as far as the model has them, by their names in results."""
    posed, skeleton = state.inputs, state.view.parameters.skeleton
    arrays = {"betas": posed.betas, "global_orient": matrix_to_axis_angle(posed.rotations[:, 0]), **posed.angles}
    if posed.expression.shape[1]:
        arrays["expression"] = posed.expression
    if posed.body_pose is not None:
        # Joints that the prior does not have are at rest.
        n_numbers = 3 * (skeleton.pose_groups["body_pose"].stop - skeleton.pose_groups["body_pose"].start)
        arrays["body_pose"] = _padded(posed.body_pose.axis_angle, n_numbers)
    for side in skeleton.hand_sides:
        name = "hand_pca" if skeleton.side else f"{side}_hand_pca"
        arrays[name] = _padded(state.parameters[f"{side}_hand"], _N_HAND_PCA)
    return arrays


def _padded(numbers: Tensor, size: int) -> Tensor:
    """[B, size], with zeros for those that were not fitted."""
    return pad(numbers, (0, size - numbers.shape[1]))


def _error(observed: np.ndarray, confidence: np.ndarray, projected: np.ndarray, keypoints: list[int]) -> float:
    """Confidence-weighted mean distance of some keypoints, pixels; NaN when none is visible."""
    weight = confidence[keypoints]
    if not weight.sum():
        return float("nan")
    distance = np.linalg.norm(observed[keypoints, :2] - projected[keypoints], axis=1)
    return float((weight * distance)[weight > 0].sum() / weight.sum())


def _worst_error(result: FitResult, confidence: np.ndarray) -> float:
    """Error of the worst body keypoint that the detector was sure of, pixels; 0 when none is."""
    distance = np.linalg.norm(result.keypoints_2d[:, :2] - result.projected_keypoints_2d, axis=1)[BODY_KEYPOINTS]
    sure = (confidence[BODY_KEYPOINTS] >= _SURE) & np.isfinite(distance)
    return float(distance[sure].max(initial=0.0))


def flags_of_fit(result: FitResult, truncated: bool) -> list[str]:
    """Warnings about a body, the same in each view.

    Args:
        result: the fit.
        truncated: whether it had more pairs that collide than are kept.
    """
    flags = []
    if not result.n_keypoints:
        flags.append("no_keypoints")
    elif result.status == "failed":
        flags.append("not_finite")
    if not result.converged:
        flags.append("not_converged")
    if result.penetration_mm > _DEEP_MM:
        flags.append("self_penetration")
    if truncated:
        flags.append("collision_limit")
    return flags


def flags_of_view(
    result: FitResult,
    confidence: np.ndarray,
    swapped_sides: Tensor | NDArray[np.bool_],
    size: float,
    keypoints: list[int],
) -> list[str]:
    """Warnings about a body and its keypoints in one view.

    Args:
        result: the fit in this view.
        confidence: [135] of the keypoints that entered the fit.
        swapped_sides: [2] whether each of :data:`SWAPPABLE_LIMBS` was swapped back.
        size: of the person, pixels.
        keypoints: of the body, the hand or the head.
    """
    flags = []
    error = _error(result.keypoints_2d, confidence, result.projected_keypoints_2d, keypoints)
    if error > _HIGH_PART_ERRORS.get(result.model_type, _HIGH_ERROR) * size:
        flags.append("high_reprojection_error")
    if (confidence[keypoints] > 0).sum() < _FEW_KEYPOINTS:
        flags.append("few_keypoints")
    if result.joints[0, 2] <= 0:
        flags.append("behind_camera")
    if _worst_error(result, confidence) > _OUTLYING * size:
        flags.append("outlying_keypoint")
    return [*flags, *(f"swapped_{limbs}" for limbs, yes in zip(SWAPPABLE_LIMBS, swapped_sides, strict=True) if yes)]
