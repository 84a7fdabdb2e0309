"""Fits of tracks: the public entry point."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smplifyx.camera import Camera, project
from smplifyx.errors import UsageError
from smplifyx.fitting.fitter import Fitter
from smplifyx.keypoints import Observation
from smplifyx.sequence.collect import collect_track, single_result
from smplifyx.sequence.evidence import (
    FEWEST_VIEWS,
    Evidence,
    agreement,
    certain_frames,
    observed_with_cameras,
    revised_weights,
)
from smplifyx.sequence.known import Known
from smplifyx.sequence.problem import TrackData
from smplifyx.sequence.restarts import Restarts
from smplifyx.sequence.separation import Separation
from smplifyx.sequence.smoothness import Smoothness
from smplifyx.sequence.solve import Solution
from smplifyx.sequence.start import fit_observations, interpolated, start_poses
from smplifyx.sequence.track_fit import TrackFit
from smplifyx.sequence.windows import solve_track
from smplifyx.sequence.world import WorldPoses, world_joints
from smplifyx.skeleton import BODY_JOINTS
from smplifyx.tracking import Track

#: Most solutions of a track: after each, observations are judged anew.
_MOST_ROUNDS = 4


class SequenceFitter:
    """Fitter of people over time and from several cameras: one shape a track, poses that are smooth in time.

    Args:
        fitter: the fitter of the body model; or its first argument, a model's name or arrays.
        height: stature of the people, metres, where it is known.
        floor: the floor as a plane in the world, (nx, ny, nz, d) with n x + d = 0 and the unit normal n upwards.
        arguments: other arguments of :class:`~smplifyx.Fitter`, where ``fitter`` is not one.

    Raises:
        UsageError: a model of a hand or a head; or as for :class:`~smplifyx.Fitter`.
    """

    def __init__(
        self,
        fitter: Fitter | Any = "smplx",
        *,
        height: float | None = None,
        floor: Sequence[float] | None = None,
        **arguments: Any,
    ) -> None:
        self.fitter = fitter if isinstance(fitter, Fitter) else Fitter(fitter, **arguments)
        if "body_pose" not in self.fitter.data.skeleton.pose_groups:
            raise UsageError(f"sequences need a model of the whole body, not {self.fitter.data.model_type}")
        self._known = Known.of(self.fitter.data, height, floor)

    def fit(self, tracks: Sequence[Track], progress: Callable[[int, int], None] | None = None) -> list[TrackFit]:
        """Fit tracks, one after the other.

        Args:
            tracks: the people.
            progress: called after each track with the number of fitted tracks and of all.
        """
        fits = []
        for track in tracks:
            fits.append(self.fit_track(track))
            if progress is not None:
                progress(len(fits), len(tracks))
        return fits

    def fit_track(self, track: Track) -> TrackFit:
        """Fit one track.

        Raises:
            InputError: no observation shows three keypoints of the body.
        """
        started, config = time.perf_counter(), self.fitter.config
        observed, cameras = observed_with_cameras(track, config.camera, config.people)
        if len(track) == len(track.views) == 1 and self._known == Known():
            return single_result(track, self.fitter.fit([observed[0][2]])[0], time.perf_counter() - started)
        with self.fitter.lock:
            run = _TrackRun(self.fitter, track, observed, cameras, self._known)
            run.solve()
            return run.collect(started)


class _TrackRun:
    """The fit of one track.

    Args:
        fitter: of single observations.
        track: the track.
        observed: its observations by frame and view, with cameras.
        cameras: of the views.
        known: stature and floor.
    """

    def __init__(
        self,
        fitter: Fitter,
        track: Track,
        observed: Sequence[tuple[int, int, Observation]],
        cameras: Sequence[Camera],
        known: Known,
    ) -> None:
        self._fitter, self._track, self._observed, self._known = fitter, track, observed, known
        solver = fitter.solver
        candidates, targets = fit_observations(fitter, observed, track.views)
        self._evidence = Evidence.of(track, observed, targets, cameras)
        self._smoothness = Smoothness(
            solver.full_view.model.tree.parents, solver.parameters.layout, fitter.config.sequence, track.fps
        )
        #: [F, V] weight of each observation after the comparison of the views.
        self._agreement = agreement(self._evidence, fitter.config.sequence)
        self._evidence = self._evidence.with_consensus(self._agreement)
        data = self._evidence.weighted(self._agreement)
        self.poses, used = start_poses(fitter, data, candidates, track.fps, len(track), known.stature)
        used |= certain_frames(self._agreement, self._evidence.observed)
        self.weights = np.where(used[:, None], self._agreement, 0.0)
        self.solution: Solution | None = None

    def solve(self) -> None:
        """Solve, judge the observations, and solve again while the judgement changes."""
        config = self._fitter.config.sequence
        for number in range(1, _MOST_ROUNDS + 1):
            solution = self._solve_once()
            self.poses = solution.poses
            if number == 1:
                solution = self._restarted(solution)
            residuals, observed = self._residuals(solution), self._evidence.observed
            weights = revised_weights(residuals, observed, self.weights, self._agreement, config, number == 1)
            if number == _MOST_ROUNDS or np.allclose(weights, self.weights, atol=0.05):
                break
            self.weights = weights
        self.solution = Separation(self._fitter.solver, self._data(), self._smoothness, self._known)(solution)

    def _solve_once(self) -> Solution:
        solver = self._fitter.solver
        self.poses = self._bridged(self.poses)
        depth = torch.stack(
            [torch.as_tensor(view.to_camera(self.poses.pelvis.cpu().numpy()))[:, 2] for view in self._track.views], 1
        )
        self._evidence = self._evidence.scaled(depth.flatten())
        data = self._data()
        used = np.asarray(self.weights.sum(1) > 0)
        window = self._fitter.config.sequence.window
        return solve_track(solver, data, self.poses, self._smoothness, used, window, self._known)

    def _restarted(self, solution: Solution) -> Solution:
        """The solution after second attempts at bad stretches, where they help; several views show all depth."""
        if len(self._track.views) >= FEWEST_VIEWS:
            return solution
        restarts = Restarts(self._fitter.solver, self._smoothness, self._known, self._track.fps, self._data_of)
        better = restarts(solution, np.asarray(self.weights.sum(1) > 0))
        if better is None:
            return solution
        self.poses = better
        solution = self._solve_once()
        self.poses = solution.poses
        return solution

    def _data(self) -> TrackData:
        """The observations with their weights."""
        return self._evidence.weighted(self.weights, self._joints(self.poses))

    def _data_of(self, frames: Tensor, poses: WorldPoses | None) -> TrackData:
        """The same of some frames; those without an observation are held near the joints of their bodies, or free."""
        joints = None if poses is None else self._joints(poses)
        return self._evidence.of_frames(frames).weighted(self.weights[frames.cpu().numpy()], joints)

    def _bridged(self, poses: WorldPoses) -> WorldPoses:
        """The bodies, with frames that no observation counts in between their neighbours."""
        used = np.flatnonzero(self.weights.sum(1) > 0)
        if not len(used) or len(used) == len(self._track):
            return poses
        return interpolated(self._fitter.solver, poses.index(torch.as_tensor(used)), used, len(self._track))

    def _joints(self, poses: WorldPoses) -> Tensor:
        """[F, 21, 3] joints of the body from the pelvis, in the axes of the first view."""
        joints = world_joints(self._fitter.solver, poses)
        rotation = torch.as_tensor(np.asarray(self._track.views[0].rotation)).to(joints)
        return (joints[:, BODY_JOINTS] - joints[:, :1]) @ rotation.T

    @torch.no_grad()
    def _residuals(self, solution: Solution) -> NDArray[np.float64]:
        rows, view = solution.rows, self._fitter.solver.first_view
        state = view.pose(rows.x, rows.initial)
        projected = project(state.keypoints, rows.targets.focal_length, rows.targets.principal_point)
        return self._evidence.residuals(projected, view.keypoints)

    def collect(self, started: float) -> TrackFit:
        """The result."""
        assert self.solution is not None
        return collect_track(
            self._fitter, self._track, self._observed, self.solution, self.weights, self._evidence.observed, started
        )
