"""Real people from several cameras, or turning before one, fitted as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smplifyx.camera import Camera
from smplifyx.errors import InputError
from smplifyx.evaluation.metrics import mpjpe, pa_mpjpe, pa_v2v
from smplifyx.evaluation.tables import Row
from smplifyx.evaluation.view_scenes import ViewScene, observation_of_view
from smplifyx.fitting.fitter import Fitter
from smplifyx.keypoints import Observation, read_keypoints
from smplifyx.keypoints.folder import image_files, keypoint_path
from smplifyx.sequence import SequenceFitter, TrackFit
from smplifyx.sequence.track_fit import posed_keypoints
from smplifyx.skeleton import BODY_KEYPOINTS
from smplifyx.tracking import Track, View

FloatArray = NDArray[np.float64]

#: The three instants of the balancing man are 40 frames of 60 a second apart. Photos of a turning person are so far
#: apart that nothing but the shape is shared.
_INSTANTS_PER_SECOND, _PHOTOS_PER_SECOND = 1.5, 0.1
#: The renders of a scan are nearly orthographic: a far camera stands for that. Its subject has this stature (metres).
_FAR_FOCAL_LENGTH, _SCAN_STATURE = 5000.0, 1.8
#: Share of the stature from the nose to the ankles.
_NOSE_TO_ANKLES = 0.87


@dataclass(frozen=True)
class FittedScene:
    """A real person over F instants in V views.

    Attributes:
        name: of the scene.
        fit: of all instants and views together.
        truth: [F, 25, 3] triangulated keypoints in the world, NaN where unknown; None without a triangulation.
    """

    name: str
    fit: TrackFit
    truth: FloatArray | None = None


def fit_scenes(fitter: SequenceFitter, name: str, scenes: Sequence[ViewScene]) -> FittedScene:
    """Fit the instants of one person, seen by the same calibrated cameras, together.

    Args:
        fitter: the fitter.
        name: of the result.
        scenes: the instants.
    """
    views = tuple(replace(camera, distortion=()) for camera in scenes[0].cameras)  # the keypoints are undistorted
    observations = [
        [observation_of_view(scene, view, True) if scene.shows_body(view) else None for view in range(len(views))]
        for scene in scenes
    ]
    (fit,) = fitter.fit([Track(0, range(len(scenes)), observations, views, _INSTANTS_PER_SECOND)])
    return FittedScene(name, fit, np.stack([scene.truth.points for scene in scenes]))


def triangulation_rows(scene: FittedScene) -> list[Row]:
    """A row an instant: distance of the joints from the triangulated ones, millimetres, and reprojection, pixels."""
    assert scene.truth is not None
    place = scene.fit.track.views[0]
    rows: list[Row] = []
    for frame, (points, truth) in enumerate(zip(posed_keypoints(scene.fit.results), scene.truth, strict=True)):
        fitted = place.to_world(np.float64(points[BODY_KEYPOINTS]))
        weights = np.float64(np.isfinite(truth).all(axis=1) & np.isfinite(fitted).all(axis=1))
        pair = np.nan_to_num(fitted)[None], np.nan_to_num(truth)[None]
        rows.append(
            {
                "scene": scene.name,
                "instant": frame,
                "views": int((scene.fit.view_weights[frame] > 0).sum()),
                "joints": int(weights.sum()),
                "joints_mm": float(mpjpe(*pair, weights)[0]),
                "joints_aligned_mm": float(pa_mpjpe(*pair, weights)[0]),
                "reprojection_px": " ".join(f"{value:.1f}" for value in scene.fit.reprojection_px[frame]),
            }
        )
    return rows


def turning_track(folder: str | Path) -> Track:
    """Photos of one turning person before a still camera as a track, in the order of their names.

    Args:
        folder: with ``images`` and ``keypoints``.

    Raises:
        InputError: a file is missing or damaged.
    """
    observations = _observations(Path(folder))
    return Track(0, range(len(observations)), [[one] for one in observations], fps=_PHOTOS_PER_SECOND)


def scan_track(folder: str | Path) -> Track:
    """Renders of one person from around as a track of one instant.

    Args:
        folder: with ``images`` and ``keypoints``, named by the camera's angle in degrees.

    Raises:
        InputError: a file is missing or damaged, or a name is not a number.
    """
    observations = _observations(Path(folder))
    tall = max(float(np.ptp(one.keypoints[[0, 11, 14]][:, 1])) for one in observations if one.keypoints[0, 2] > 0)
    distance = _FAR_FOCAL_LENGTH * _SCAN_STATURE * _NOSE_TO_ANKLES / tall
    views = []
    for one in observations:
        if not one.stem.isdigit():
            raise InputError(one.image_path, f"expected an angle in degrees as name, found {one.stem}")
        # The angles run clockwise, seen from above.
        angle = -np.radians(float(one.stem))
        turn = np.array([[np.cos(angle), 0.0, np.sin(angle)], [0.0, 1.0, 0.0], [-np.sin(angle), 0.0, np.cos(angle)]])
        camera = Camera(_FAR_FOCAL_LENGTH, source="calibration").for_image(one.image_size)
        views.append(View(one.stem, camera, np.diag([1.0, -1.0, -1.0]) @ turn, np.array([0.0, 0.0, distance])))
    seen = [replace(one, camera=view.camera) for one, view in zip(observations, views, strict=True)]
    return Track(0, range(1), [seen], tuple(views), _PHOTOS_PER_SECOND)


def _observations(folder: Path) -> list[Observation]:
    """The first person of every photo."""
    found = []
    for image in image_files(folder / "images"):
        found += read_keypoints(keypoint_path(image, folder / "keypoints"), image)[:1]
    if not found:
        raise InputError(folder, "expected photos in images and their keypoints in keypoints")
    return found


def one_shape_rows(fitter: SequenceFitter, name: str, track: Track) -> list[Row]:
    """Each photo's own fit beside the fit of all: shape, keypoints, and distance of the two bodies.

    Args:
        fitter: the fitter.
        name: of the scene.
        track: photos of one person; one instant or one view.
    """
    (fit,) = fitter.fit([track])
    own = [one for row in track.observations for one in row if one is not None]
    alone = fitter.fitter.fit(own)
    together = (
        fit.results if len(track.views) == 1 else [fit.results_in_view(view)[0] for view in range(len(track.views))]
    )
    statures = [_stature(fitter.fitter, one.betas) for one in (*alone, together[0])]
    meshes = fitter.fitter.vertices(alone), fitter.fitter.vertices(together)
    rows: list[Row] = []
    for number, (one, whole) in enumerate(zip(alone, together, strict=True)):
        errors = fit.reprojection_px.reshape(-1)
        rows.append(
            {
                "scene": name,
                "photo": own[number].stem,
                "stature_alone_m": f"{statures[number]:.3f}",
                "stature_m": f"{statures[-1]:.3f}",
                "reprojection_alone_px": one.reprojection_error_px,
                "reprojection_px": whole.reprojection_error_px,
                "body_reprojection_px": float(errors[number]),
                "apart_mm": float(pa_v2v(meshes[0][number][None], meshes[1][number][None])[0]),
            }
        )
    return rows


def _stature(fitter: Fitter, betas: FloatArray) -> float:
    """Height of the T-pose, metres."""
    data = fitter.data
    rest = np.asarray(data.v_template, np.float64) + np.asarray(data.shapedirs, np.float64) @ np.float64(betas)
    return float(np.ptp(rest[:, 1]))
