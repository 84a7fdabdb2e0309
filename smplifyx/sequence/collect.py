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

from smplifyx.fitting.collect import collect_results
from smplifyx.fitting.fitter import Fitter
from smplifyx.keypoints import Observation
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
    rows = replace(rows, stage_losses=rows.loss[:, None])
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
        seconds=seconds,
        window_disagreement_mm=solution.disagreement_mm,
    )
    _mark(fit, by_frame)
    return fit


def _in_world(view: View, result: FitResult) -> NDArray[np.float64]:
    return np.asarray(view.to_world(result.joints.astype(np.float64)))


def _rest_pelvis(results: Sequence[FitResult]) -> NDArray[np.float64]:
    """[F, 3] the root joints before the translation is added."""
    return np.stack([one.joints[0].astype(np.float64) - one.camera_translation for one in results])


def _mark(fit: TrackFit, observed: dict[tuple[int, int], Observation]) -> None:
    """Measure the reprojection in all views, and flag frames."""
    for view in range(len(fit.track.views)):
        for frame, one in enumerate(fit.results if view == 0 else fit.results_in_view(view)):
            if (frame, view) in observed:
                fit.reprojection_px[frame, view] = body_reprojection(one.keypoints_2d, one.projected_keypoints_2d)
    for frame, one in enumerate(fit.results):
        flags = [flag for flag in one.flags if flag not in _OF_ONE_VIEW]
        if one.status == "failed" and "not_finite" not in flags and np.isfinite(one.joints).all():
            one.status = "ok"
        if fit.bridged[frame]:
            flags.append(BRIDGED)
        if fit.outlier_frames[frame]:
            flags.append(OUTLIER_FRAME)
        one.flags = tuple(flags)
        one.reprojection_error_px = float(fit.reprojection_px[frame, 0])
        if (frame, 0) in observed and fit.view_weights[frame, 0] < 1 and not fit.bridged[frame]:
            one.flags = (*one.flags, VIEW_DISAGREES)


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
        seconds=seconds,
        window_disagreement_mm=math.nan,
    )
