"""Fits tracks: the public entry point."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from smplifyx.camera import resolve_cameras
from smplifyx.errors import UsageError
from smplifyx.fitting.fitter import Fitter
from smplifyx.result import FitResult
from smplifyx.sequence.track_fit import (
    BRIDGED,
    TrackFit,
    body_reprojection,
    posed_keypoints,
    project_keypoints,
    view_camera,
)
from smplifyx.tracking import Track


class SequenceFitter:
    """Fits people over time and from several cameras: one shape a track, poses that are smooth in time.

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
        self.height, self.floor = height, floor

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
        """Fit one track."""
        started = time.perf_counter()
        cameras = [view_camera(track, view)[0] for view in range(len(track.views))]
        chosen: dict[int, tuple[int, Any]] = {}
        for frame, row in enumerate(track.observations):
            seen = [(float(one.keypoints[:25, 2].sum()), view) for view, one in enumerate(row) if one is not None]
            if seen:
                view = max(seen)[1]
                observed = row[view]
                assert observed is not None
                known = track.views[view].camera is not None
                chosen[frame] = view, replace(observed, camera=cameras[view]) if known else observed
        observations = resolve_cameras([one for _, one in chosen.values()], self.fitter.config.camera)
        results = self.fitter.fit(observations)
        betas = np.median(np.stack([one.betas for one in results]), 0).astype(np.float32)
        by_frame = {
            frame: (view, replace(one, betas=betas, _body=self.fitter.body))
            for (frame, (view, _)), one in zip(chosen.items(), results, strict=True)
        }
        return self._assemble(track, by_frame, time.perf_counter() - started)

    def _assemble(self, track: Track, fitted: dict[int, tuple[int, FitResult]], seconds: float) -> TrackFit:
        """A provisional fit, frame by frame."""
        n_frames, n_views = len(track), len(track.views)
        observed = np.array(sorted(fitted))
        orient, translation, joints, results = [], [], [], []
        for frame in range(n_frames):
            nearest = int(observed[np.abs(observed - frame).argmin()])
            view, one = fitted[nearest]
            place = track.views[view]
            rotation = np.asarray(place.rotation)
            pelvis = place.to_world(one.joints[0].astype(np.float64))
            rest = one.joints[0] - one.camera_translation
            turned = Rotation.from_matrix(rotation.T) * Rotation.from_rotvec(one.global_orient)
            orient.append(turned.as_rotvec())
            translation.append(pelvis - rest)
            joints.append(place.to_world(one.joints.astype(np.float64)))
            flags = one.flags if frame in fitted else (*one.flags, BRIDGED)
            results.append(replace(one, flags=flags))
        weights = np.array([[one is not None for one in row] for row in track.observations], np.float32)
        bridged = np.array([frame not in fitted for frame in range(n_frames)])
        fit = TrackFit(
            track=track,
            results=results,
            global_orient_world=np.array(orient, np.float32),
            translation_world=np.array(translation, np.float32),
            joints_world=np.array(joints, np.float32),
            bridged=bridged,
            outlier_frames=np.zeros(n_frames, bool),
            view_weights=weights,
            reprojection_px=np.full((n_frames, n_views), np.nan, np.float32),
            seconds=seconds,
        )
        camera, size = view_camera(track, 0)
        placed = [fit._placed(frame, 0, camera, size) for frame in range(n_frames)]
        for frame, (one, points) in enumerate(zip(placed, posed_keypoints(placed), strict=True)):
            one.projected_keypoints_2d = project_keypoints(points, camera)
            if one.n_keypoints:
                fit.reprojection_px[frame, 0] = body_reprojection(one.keypoints_2d, one.projected_keypoints_2d)
            one.reprojection_error_px = float(fit.reprojection_px[frame, 0])
        return replace(fit, results=placed)
