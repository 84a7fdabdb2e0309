"""A solved track as results."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from smplifyx.fitting.batch import FitTargets, Hypotheses, StageEnds
from smplifyx.fitting.collect import collect_results, fitted_confidence, flags_of_fit, flags_of_view
from smplifyx.fitting.fitter import Fitter
from smplifyx.fitting.solver import Solver
from smplifyx.keypoints import Observation
from smplifyx.lifting.network import SWAPPABLE_LIMBS
from smplifyx.result import FitResult
from smplifyx.sequence.solve import Solution
from smplifyx.sequence.track_fit import (
    BRIDGED,
    OUTLIER_FRAME,
    VIEW_DISAGREES,
    TrackFit,
    body_reprojection,
    view_camera,
)
from smplifyx.skeleton import N_KEYPOINTS
from smplifyx.tracking import Track, View

#: Flags of single observations that mean nothing where other frames or views are seen.
_OF_ONE_VIEW = ("no_keypoints", "few_keypoints")


def collect_track(
    fitter: Fitter,
    track: Track,
    observed: Sequence[tuple[int, int, Observation]],
    solution: Solution,
    weights: NDArray[np.float64],
    seen: NDArray[np.bool_],
    started: float,
) -> TrackFit:
    """The result of a track.

    Args:
        fitter: the fitter of the body model.
        track: the track.
        observed: its observations by frame and view, with cameras.
        solution: the bodies.
        weights: [F, V] of the observations.
        seen: [F, V] whether there is one.
        started: when the fit began, in seconds of the performance counter.
    """
    n_frames, n_views = len(track), len(track.views)
    first = torch.arange(n_frames, device=solution.rows.x.device) * n_views
    rows = solution.rows.index(first)
    rows = replace(rows, ends=StageEnds.of(rows))
    rows = replace(rows, n_evaluations=torch.full_like(rows.n_evaluations, solution.n_evaluations))
    by_frame = {(frame, view): one for frame, view, one in observed}
    camera, size = view_camera(track, 0)
    nobody = Observation(np.zeros((N_KEYPOINTS, 3), np.float32), size, camera, stem=f"track_{track.number:03d}")
    observations = [by_frame.get((frame, 0), track.observations[frame][0] or nobody) for frame in range(n_frames)]
    seconds = time.perf_counter() - started
    results = collect_results(fitter.solver, rows, observations, seconds / n_frames)
    poses = solution.poses
    orientation = poses.orientation.cpu().numpy()
    joints = np.stack([_in_world(track.views[0], one) for one in results])
    rest = joints[:, 0] - _rest_pelvis(results)
    bridged: NDArray[np.bool_] = np.asarray((weights > 0).sum(1) == 0)
    fit = TrackFit(
        track=track,
        results=[replace(one, _body=fitter.body, loss=sum(one.losses.values())) for one in results],
        global_orient_world=Rotation.from_matrix(orientation).as_rotvec().astype(np.float32),
        translation_world=rest.astype(np.float32),
        joints_world=joints.astype(np.float32),
        bridged=bridged,
        outlier_frames=np.logical_and(bridged, seen.sum(1) > 0),
        view_weights=weights.astype(np.float32),
        reprojection_px=np.full((n_frames, n_views), np.nan, np.float32),
        swapped_sides=solution.rows.targets.swapped_sides.cpu().numpy().reshape(n_frames, n_views, 2),
        view_flags=[[()] * n_views for _ in range(n_frames)],
        seconds=seconds,
        window_disagreement_mm=solution.disagreement_mm,
    )
    _mark(fit, _frame_flags(fit, rows), solution.rows.targets, fitter.solver, seen)
    return fit


def _in_world(view: View, result: FitResult) -> NDArray[np.float64]:
    return np.asarray(view.to_world(result.joints.astype(np.float64)))


def _rest_pelvis(results: Sequence[FitResult]) -> NDArray[np.float64]:
    """[F, 3] the root joints before the translation is added."""
    return np.stack([one.joints[0].astype(np.float64) - one.camera_translation for one in results])


def _frame_flags(fit: TrackFit, rows: Hypotheses) -> list[list[str]]:
    """Flags of frames, the same in all views; a frame that the first view did not see has not failed for that.

    Args:
        fit: the track.
        rows: of the first view.
    """
    frames = []
    for frame, (one, truncated) in enumerate(zip(fit.results, rows.truncated.cpu().numpy(), strict=True)):
        flags = [flag for flag in flags_of_fit(one, truncated) if flag not in _OF_ONE_VIEW]
        if one.status == "failed" and "not_finite" not in flags and np.isfinite(one.joints).all():
            one.status = "ok"
        if fit.bridged[frame]:
            flags.append(BRIDGED)
        if fit.outlier_frames[frame]:
            flags.append(OUTLIER_FRAME)
        frames.append(flags)
    return frames


def _mark(
    fit: TrackFit, frame_flags: list[list[str]], targets: FitTargets, solver: Solver, seen: NDArray[np.bool_]
) -> None:
    """Measure the reprojection in all views, and flag the results of each view.

    Args:
        fit: the track.
        frame_flags: flags of F frames, the same in all views.
        targets: of the rows [F V], with the weights of the observations.
        solver: of the body model.
        seen: [F, V] whether there is an observation.
    """
    confidence = fitted_confidence(solver, targets).reshape(*seen.shape, -1)
    size = (1000.0 / targets.pixel_scale).cpu().numpy().reshape(seen.shape)
    left_out = seen & (fit.view_weights == 0) & ~fit.bridged[:, None]
    for view in range(len(fit.track.views)):
        for frame, one in enumerate(fit.results_in_view(view)):
            place, observation = (frame, view), fit.observation(frame, view)
            if seen[place]:
                fit.reprojection_px[place] = body_reprojection(one.keypoints_2d, one.projected_keypoints_2d)
            of_view = flags_of_view(
                one, confidence[place], fit.swapped_sides[place], float(size[place]), solver.first_view.keypoints
            )
            fit.view_flags[frame][view] = (
                *(() if observation is None else observation.flags),
                *frame_flags[frame],
                *(flag for flag in of_view if flag not in _OF_ONE_VIEW),
                *([VIEW_DISAGREES] if left_out[place] else []),
            )
    for frame, one in enumerate(fit.results):
        one.flags = fit.view_flags[frame][0]
        one.reprojection_error_px = float(fit.reprojection_px[frame, 0])


def single_result(track: Track, result: FitResult, seconds: float) -> TrackFit:
    """The result of one observation."""
    view = track.views[0]
    orientation = Rotation.from_matrix(np.asarray(view.rotation).T) * Rotation.from_rotvec(result.global_orient)
    joints = _in_world(view, result)
    rest = result.joints[0].astype(np.float64) - result.camera_translation
    return TrackFit(
        track=track,
        results=[result],
        global_orient_world=orientation.as_rotvec()[None].astype(np.float32),
        translation_world=(joints[0] - rest)[None].astype(np.float32),
        joints_world=joints[None].astype(np.float32),
        bridged=np.zeros(1, bool),
        outlier_frames=np.zeros(1, bool),
        view_weights=np.ones((1, 1), np.float32),
        reprojection_px=np.array([[result.reprojection_error_px]], np.float32),
        swapped_sides=np.array([[[f"swapped_{limbs}" in result.flags for limbs in SWAPPABLE_LIMBS]]]),
        view_flags=[[result.flags]],
        seconds=seconds,
        window_disagreement_mm=math.nan,
    )
