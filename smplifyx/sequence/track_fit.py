"""The result of fitting a track: a person's body in each frame, in the world and in each camera."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from smplifyx.camera import Camera
from smplifyx.keypoints import Observation
from smplifyx.lifting.lifter import undo_swap
from smplifyx.result import FitResult
from smplifyx.skeleton import BODY_KEYPOINTS, N_KEYPOINTS
from smplifyx.tracking import Track

#: Full meshes posed together.
_MESHES_AT_ONCE = 16
#: Flags of frames and views.
BRIDGED, OUTLIER_FRAME, VIEW_DISAGREES = "bridged", "outlier_frame", "view_disagrees"


@dataclass(frozen=True)
class TrackFit:
    """A fitted track: F frames, V views. World coordinates are those of the track's views, metres.

    Attributes:
        track: the observations.
        results: F results in the camera frame of the first view, all with the same ``betas``. A frame that this view
            did not observe has no keypoints; its camera is that of the view.
        global_orient_world: [F, 3] axis-angle, turns the body into the world about its root joint.
        translation_world: [F, 3] added to the posed body's points after that, as ``transl`` in smplx.
        joints_world: [F, J, 3].
        bridged: [F] frames without a used observation: the pose is that between its neighbours.
        outlier_frames: [F] frames whose observations were all rejected; they are bridged.
        view_weights: [F, V] weight of each view's observation: 1 used, 0 absent or rejected, between: in doubt.
        reprojection_px: [F, V] confidence-weighted mean distance between observed and projected body keypoints,
            pixels; NaN where a view has no observation.
        swapped_sides: [F, V, 2] whether left and right of arms and of legs were swapped back in a view's keypoints.
        view_flags: F lists of the flags of V views.
        seconds: time of the fit.
        window_disagreement_mm: mean distance of the joints of two overlapping windows of a long track, millimetres;
            NaN where the track is one window.
    """

    track: Track
    results: list[FitResult]
    global_orient_world: NDArray[np.float32]
    translation_world: NDArray[np.float32]
    joints_world: NDArray[np.float32]
    bridged: NDArray[np.bool_]
    outlier_frames: NDArray[np.bool_]
    view_weights: NDArray[np.float32]
    reprojection_px: NDArray[np.float32]
    swapped_sides: NDArray[np.bool_]
    view_flags: list[list[tuple[str, ...]]]
    seconds: float = math.nan
    window_disagreement_mm: float = math.nan

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.results)

    @property
    def betas(self) -> NDArray[np.float32]:
        """[S] shape coefficients."""
        return np.asarray(self.results[0].betas)

    @property
    def has_result(self) -> NDArray[np.bool_]:
        """[F] whether the fit of a frame is finite."""
        return np.array([one.status != "failed" for one in self.results])

    @property
    def failed(self) -> bool:
        """Whether no frame has a finite result."""
        return not self.has_result.any()

    def trimmed(self, longest_end: int) -> TrackFit:
        """The track without its ends that rest on no used observation; shorter ends are kept.

        Args:
            longest_end: most frames of an end that is kept.
        """
        used = np.flatnonzero(~self.bridged)
        if not len(used):
            return self
        first = int(used[0]) if used[0] > longest_end else 0
        last = int(used[-1]) if len(self) - 1 - used[-1] > longest_end else len(self) - 1
        if last - first + 1 == len(self):
            return self
        kept = slice(first, last + 1)
        track = replace(self.track, frames=self.track.frames[kept], observations=self.track.observations[kept])
        cut: dict[str, Any] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, list | np.ndarray):
                cut[one.name] = value[kept]
        return replace(self, track=track, **cut)

    def observation(self, frame: int, view: int) -> Observation | None:
        """The observation of a view in a frame, counted from 0."""
        return self.track.observations[frame][view]

    def results_in_view(self, view: int, frames: Sequence[int] | None = None) -> list[FitResult]:
        """Results in the camera frame of a view, with its keypoints where it observed the person.

        Losses, expected error and collisions are those of the frame, whatever the view.

        Args:
            view: the view.
            frames: frames, counted from 0; None for all.
        """
        frames = range(len(self)) if frames is None else frames
        if view == 0:
            return [self.results[frame] for frame in frames]
        camera, size = view_camera(self.track, view)
        placed = [self._placed(frame, view, camera, size) for frame in frames]
        for one, points in zip(placed, posed_keypoints(placed), strict=True):
            one.projected_keypoints_2d = project_keypoints(points, camera)
        for frame, one in zip(frames, placed, strict=True):
            one.reprojection_error_px = float(self.reprojection_px[frame, view])
        return placed

    def _placed(self, frame: int, view: int, camera: Camera, size: tuple[int, int]) -> FitResult:
        """A result with the pose and the observation of another view, not projected yet."""
        place, result, observed = self.track.views[view], self.results[frame], self.observation(frame, view)
        rotation = np.asarray(place.rotation)
        turned = Rotation.from_matrix(rotation) * Rotation.from_rotvec(self.global_orient_world[frame])
        pelvis = self.joints_world[frame, 0].astype(np.float64)
        rest_pelvis = pelvis - self.translation_world[frame]
        keypoints = np.zeros((N_KEYPOINTS, 3), np.float32)
        if observed is not None:
            keypoints = undo_swap(observed.keypoints, self.swapped_sides[frame, view])
        return replace(
            result,
            global_orient=turned.as_rotvec().astype(np.float32),
            camera_translation=(place.to_camera(pelvis) - rest_pelvis).astype(np.float32),
            joints=place.to_camera(self.joints_world[frame].astype(np.float64)).astype(np.float32),
            focal_length=np.array(camera.focal_length, np.float32),
            principal_point=np.array(camera.center, np.float32),
            image_size=np.array(size),
            camera_source=camera.source,
            keypoints_2d=keypoints,
            n_keypoints=int((keypoints[:, 2] > 0).sum()),
            image_path="" if observed is None else str(observed.image_path or ""),
            keypoint_path="" if observed is None else str(observed.keypoint_path or ""),
            flags=self.view_flags[frame][view],
        )


def view_camera(track: Track, view: int) -> tuple[Camera, tuple[int, int]]:
    """The camera of a view, and its image size (width, height): its own, or that of its first observation."""
    observed = [row[view] for row in track.observations if row[view] is not None]
    camera = track.views[view].camera
    if camera is None:
        cameras = [one.camera for one in observed if one is not None and one.camera is not None]
        camera = cameras[0] if cameras else Camera(1000.0, (0.0, 0.0))
    if camera.image_size is None:
        first = next((one for one in observed if one is not None), None)
        size = (int(2 * camera.center[0]), int(2 * camera.center[1])) if first is None else first.image_size
        camera = camera.for_image(size)
    return camera, camera.size


@torch.no_grad()
def posed_keypoints(results: list[FitResult]) -> list[NDArray[np.float32]]:
    """Keypoints [K, 3] of the posed bodies of one model, in the frames of their cameras, metres."""
    points: list[NDArray[np.float32]] = []
    for start in range(0, len(results), _MESHES_AT_ONCE):
        some = results[start : start + _MESHES_AT_ONCE]
        body = some[0].body()
        names = [name for name in some[0].parameters if name != "camera"]
        inputs = {name: torch.cat([one.parameters[name] for one in some]) for name in names}
        posed = body(**inputs, camera=torch.zeros(3)).keypoints.cpu().numpy()
        for row in posed:
            every = np.full((N_KEYPOINTS, 3), np.nan, np.float32)
            every[list(body.regressor.keypoints)] = row
            points.append(every)
    return points


def project_keypoints(points: NDArray[np.float32], camera: Camera) -> NDArray[np.float32]:
    """Pixels [K, 2] of points [K, 3] of the camera frame; NaN at or behind the camera."""
    with np.errstate(all="ignore"):
        pixels = camera.project(points)
    return np.where(points[:, 2:] > 0, pixels, np.nan).astype(np.float32)


def body_reprojection(keypoints: NDArray[np.float32], projected: NDArray[np.float32]) -> float:
    """Confidence-weighted mean distance of the body's keypoints, pixels; NaN where none is seen."""
    weight = keypoints[BODY_KEYPOINTS, 2] * np.isfinite(projected[BODY_KEYPOINTS]).all(1)
    if not weight.sum() > 0:
        return math.nan
    distance = np.linalg.norm(keypoints[BODY_KEYPOINTS, :2] - projected[BODY_KEYPOINTS], axis=1)
    return float((weight * np.nan_to_num(distance)).sum() / weight.sum())
