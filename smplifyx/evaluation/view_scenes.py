"""Scenes that several calibrated cameras saw at once, with the person triangulated from all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smplifyx.body.canonical_keypoints import BODY_KEYPOINTS, N_KEYPOINTS
from smplifyx.body.model_data import BodyModelData
from smplifyx.config import Config
from smplifyx.errors import InputError
from smplifyx.evaluation.calibrated_views import CalibratedCamera, read_camera_parameters, read_qualisys_cameras
from smplifyx.evaluation.fits import FittedPerson, fit_people
from smplifyx.evaluation.triangulation import (
    Triangulation,
    TriangulationOptions,
    associate_people,
    refine_extrinsics,
    triangulate,
)
from smplifyx.evaluation.views_report import ViewErrors, compare_view
from smplifyx.geometry import Intrinsics
from smplifyx.keypoints import Observation, image_size, read_openpose
from smplifyx.keypoints.intrinsics import resolve_intrinsics

FloatArray = NDArray[np.float64]

_BALANCING_FRAMES = ("0000", "0040", "0080")
#: The seated man's calibration names no unit; with this one his legs and arms have a man's length (metres).
_SEATED_UNIT = 0.143
#: Points annotated by hand agree less well than a detector's.
_SEATED_OPTIONS = TriangulationOptions(max_error_px=60.0)


@dataclass(frozen=True)
class ViewScene:
    """One instant, one person, V cameras.

    Attributes:
        name: of the scene.
        cameras: V cameras.
        keypoints: [V, 135, 3] (x, y, confidence) in each photo; zeros where a view does not show the person.
        images, keypoint_files: V paths.
        truth: the triangulated BODY_25 keypoints.
    """

    name: str
    cameras: Sequence[CalibratedCamera]
    keypoints: FloatArray
    images: Sequence[Path]
    keypoint_files: Sequence[Path]
    truth: Triangulation


def balancing_scenes(folder: str | Path) -> list[ViewScene]:
    """The balancing trial of Pose2Sim: a man on one leg at three instants, four cameras, a bystander.

    The cameras' poses are refined on the three instants together, because their calibration is off by some pixels.

    Args:
        folder: with ``Calib.qca.txt``, ``images`` and ``keypoints``.

    Raises:
        InputError: a file is missing or damaged.
    """
    folder = Path(folder)
    cameras = read_qualisys_cameras(folder / "Calib.qca.txt")
    options = TriangulationOptions()
    found = []
    for frame in _BALANCING_FRAMES:
        stems = [f"cam{number:02d}_{frame}" for number in range(1, len(cameras) + 1)]
        found.append((frame, stems, _same_person(folder, stems, cameras, options)))
    together = np.concatenate([keypoints[:, BODY_KEYPOINTS] for _, _, keypoints in found], axis=1)
    cameras = refine_extrinsics(cameras, together, options)
    return [
        _scene(f"balancing {frame}", folder, stems, cameras, keypoints, options) for frame, stems, keypoints in found
    ]


def seated_scene(folder: str | Path) -> ViewScene:
    """The seated man of MvSMPLfitting: one instant, six cameras, 17 annotated keypoints in each.

    Its size is a guess, so only figures after similarity alignment and angles mean anything.

    Args:
        folder: with ``camera_parameters.txt``, ``images`` and ``keypoints``.

    Raises:
        InputError: a file is missing or damaged.
    """
    folder = Path(folder)
    stems = [path.stem for path in sorted((folder / "images").glob("Camera*.jpg"))]
    if not stems:
        raise InputError(folder / "images", "expected photos named Camera*.jpg")
    size = image_size(folder / "images" / f"{stems[0]}.jpg")
    cameras = read_camera_parameters(folder / "camera_parameters.txt", size, _SEATED_UNIT)
    keypoints = _same_person(folder, stems, cameras, _SEATED_OPTIONS)
    return _scene("seated", folder, stems, cameras, keypoints, _SEATED_OPTIONS)


@dataclass(frozen=True)
class FittedView:
    """One view of a scene, fitted alone, and its errors against the person triangulated from all views."""

    scene: ViewScene
    fit: FittedPerson
    errors: ViewErrors


def fit_views(
    data: BodyModelData, config: Config, scenes: Sequence[ViewScene], true_camera: bool = False
) -> list[FittedView]:
    """Fits every view that shows the person alone and compares it with all views together.

    Args:
        data: the body model.
        config: the fitter's settings.
        scenes: what to fit.
        true_camera: give the fitter the calibrated camera and undistorted keypoints; otherwise the photos alone.
    """
    places = [
        (scene, view)
        for scene in scenes
        for view in range(len(scene.cameras))
        if scene.keypoints[view, BODY_KEYPOINTS, 2].any()
    ]
    observations = [_observation(scene, view, true_camera) for scene, view in places]
    intrinsics = [
        _calibrated(scene.cameras[view]) if true_camera else resolve_intrinsics(observation, config.camera, {})
        for (scene, view), observation in zip(places, observations, strict=True)
    ]
    fits = fit_people(data, config, observations, intrinsics)
    return [
        FittedView(scene, fit, _errors(scene.cameras[view], fit, scene.truth))
        for (scene, view), fit in zip(places, fits, strict=True)
    ]


def view_rows(views: Sequence[FittedView]) -> list[dict[str, str | float]]:
    """One row of figures a view."""
    return [
        {"scene": one.scene.name, **one.errors.row(), "reprojection_px": one.fit.result.reprojection_error_px}
        for one in views
    ]


def describe_scene(scene: ViewScene) -> str:
    """How well the person could be triangulated, in a sentence."""
    errors = scene.truth.errors_px
    return (
        f"{scene.name}: {scene.truth.valid.sum()} of {len(scene.truth.valid)} joints triangulated, "
        f"reprojection median {np.nanmedian(errors):.1f} px, worst {np.nanmax(errors):.1f} px"
    )


def _errors(camera: CalibratedCamera, fit: FittedPerson, truth: Triangulation) -> ViewErrors:
    return compare_view(camera.name, fit.keypoints[BODY_KEYPOINTS], camera.to_camera(truth.points))


def _same_person(
    folder: Path, stems: Sequence[str], cameras: Sequence[CalibratedCamera], options: TriangulationOptions
) -> FloatArray:
    """Keypoints [V, 135, 3] of the person whom all views share."""
    if len(stems) != len(cameras):
        raise InputError(folder, f"expected a photo for each of {len(cameras)} cameras, found {len(stems)}")
    people = [
        [np.float64(person.keypoints) for person in read_openpose(_keypoint_file(folder, stem)).people]
        for stem in stems
    ]
    body = [[person[BODY_KEYPOINTS] for person in view] for view in people]
    choice = associate_people(cameras, body, options)
    nobody = np.zeros((N_KEYPOINTS, 3))
    return np.stack([nobody if c is None else view[c] for view, c in zip(people, choice, strict=True)])


def _scene(
    name: str,
    folder: Path,
    stems: Sequence[str],
    cameras: Sequence[CalibratedCamera],
    keypoints: FloatArray,
    options: TriangulationOptions,
) -> ViewScene:
    return ViewScene(
        name=name,
        cameras=cameras,
        keypoints=keypoints,
        images=[folder / "images" / f"{stem}.jpg" for stem in stems],
        keypoint_files=[_keypoint_file(folder, stem) for stem in stems],
        truth=triangulate(cameras, keypoints[:, BODY_KEYPOINTS], options),
    )


def _keypoint_file(folder: Path, stem: str) -> Path:
    return folder / "keypoints" / f"{stem}_keypoints.json"


def _observation(scene: ViewScene, view: int, undistorted: bool) -> Observation:
    keypoints = scene.keypoints[view].copy()
    if undistorted:
        seen = keypoints[:, 2] > 0
        keypoints[seen, :2] = scene.cameras[view].undistort(keypoints[seen, :2])
    return Observation(
        image_path=scene.images[view],
        keypoint_path=scene.keypoint_files[view],
        stem=scene.images[view].stem,
        person_index=0,
        keypoints=keypoints.astype(np.float32),
        image_size=image_size(scene.images[view]),
    )


def _calibrated(camera: CalibratedCamera) -> Intrinsics:
    k = camera.intrinsics
    return Intrinsics((float(k[0, 0]), float(k[1, 1])), (float(k[0, 2]), float(k[1, 2])), "calibration")
