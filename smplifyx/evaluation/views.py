"""Fits of single views against all calibrated views, and against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from smplifyx.body.data import BodyModelData
from smplifyx.camera import Camera
from smplifyx.config import Config
from smplifyx.errors import InputError
from smplifyx.evaluation.metrics import Alignment, mpjpe, pa_mpjpe, pa_v2v
from smplifyx.evaluation.runner import FittedPerson, fit_with_body, model_keypoints
from smplifyx.evaluation.scores import PostureErrors, posture_errors, posture_of_keypoints
from smplifyx.evaluation.triangulation import (
    CalibratedCamera,
    Triangulation,
    TriangulationOptions,
    associate_people,
    read_camera_parameters,
    read_qualisys_cameras,
    refine_extrinsics,
    triangulate,
)
from smplifyx.keypoints import Observation, image_size, read_keypoint_file
from smplifyx.keypoints.reading import PersonKeypoints
from smplifyx.skeleton import BODY_KEYPOINT_NAMES, BODY_KEYPOINTS

FloatArray = NDArray[np.float64]


def view_agreement(views: Sequence[FittedView]) -> list[dict[str, str | float]]:
    """A row a pair of views of one scene.

    ``surface_mm`` and ``joints_mm`` are distances after similarity alignment, millimetres; ``shape`` is the distance
    of the shape coefficients; ``turned_deg`` is the angle between the pelvises in the world, which no alignment
    hides.
    """
    rows: list[dict[str, str | float]] = []
    for first, second in combinations(views, 2):
        if first.scene.name != second.scene.name:
            continue
        pair = first.fit, second.fit
        rows.append(
            {
                "scene": first.scene.name,
                "views": f"{first.errors.view} {second.errors.view}",
                "surface_mm": float(pa_v2v(pair[0].vertices[None], pair[1].vertices[None])[0]),
                "joints_mm": float(pa_mpjpe(pair[0].joints[None, :22], pair[1].joints[None, :22])[0]),
                "shape": float(np.linalg.norm(pair[0].result.betas - pair[1].result.betas)),
                "turned_deg": _angle(_pelvis_in_world(first), _pelvis_in_world(second)),
            }
        )
    return rows


def _pelvis_in_world(view: FittedView) -> FloatArray:
    """[3, 3] orientation of the body in the world."""
    camera = next(camera for camera in view.scene.cameras if camera.name == view.errors.view)
    return np.asarray(camera.rotation.T @ cv2.Rodrigues(np.float64(view.fit.result.global_orient))[0])


def _angle(a: FloatArray, b: FloatArray) -> float:
    """Degrees between two orientations."""
    return float(np.degrees(np.arccos(np.clip((np.trace(a.T @ b) - 1.0) / 2.0, -1.0, 1.0))))


_ROOT = BODY_KEYPOINT_NAMES.index("mid_hip")


@dataclass(frozen=True)
class ViewErrors:
    """One view's fit against the triangulated person.

    Attributes:
        view: name of the view.
        n_joints: joints that were compared.
        pa_mpjpe_mm: mean joint error after similarity alignment.
        rigid_mpjpe_mm: after rigid alignment, the fitted size kept.
        root_mpjpe_mm: after moving the middle of the hips only; NaN where that is unknown.
        depth_error_percent: fitted over true depth of the middle of the hips, minus one.
        posture: errors of trunk, heading and knees.
    """

    view: str
    n_joints: int
    pa_mpjpe_mm: float
    rigid_mpjpe_mm: float
    root_mpjpe_mm: float
    depth_error_percent: float
    posture: PostureErrors

    def row(self) -> dict[str, str | float]:
        """All figures in one line of a table."""
        fields = asdict(self)
        angles = fields.pop("posture")
        return {**fields, **{f"{name}_deg": angle for name, angle in angles.items()}}


def views_report(
    predictions: Mapping[str, FloatArray], cameras: Sequence[CalibratedCamera], points: FloatArray
) -> list[ViewErrors]:
    """Compare each view's fit with the triangulated person.

    Args:
        predictions: for each camera's name the fitted BODY_25 keypoints [25, 3] in that camera's frame, metres.
        cameras: the calibrated cameras; those without a prediction are left out.
        points: [25, 3] triangulated keypoints in the world, NaN where unknown.

    Raises:
        ValueError: a prediction belongs to no camera, or fewer than three joints were triangulated.
    """
    unknown = set(predictions) - {camera.name for camera in cameras}
    if unknown:
        raise ValueError(f"predictions for unknown cameras: {sorted(unknown)}")
    return [
        compare_view(camera.name, np.asarray(predictions[camera.name]), camera.to_camera(points))
        for camera in cameras
        if camera.name in predictions
    ]


def compare_view(view: str, fitted: FloatArray, true: FloatArray) -> ViewErrors:
    """Errors of fitted against true BODY_25 keypoints [25, 3], both in the view's camera frame (metres)."""
    weights = np.isfinite(true).all(axis=1).astype(np.float64)
    offset = true[_ROOT] - fitted[_ROOT]

    def error(alignment: Alignment, shift: FloatArray | float = 0.0) -> float:
        return float(mpjpe((fitted + shift)[None], true[None], weights, alignment)[0])

    return ViewErrors(
        view=view,
        n_joints=int(weights.sum()),
        pa_mpjpe_mm=error(Alignment.SIMILARITY),
        rigid_mpjpe_mm=error(Alignment.RIGID),
        root_mpjpe_mm=error(Alignment.NONE, offset),
        depth_error_percent=float(100.0 * (fitted[_ROOT, 2] / true[_ROOT, 2] - 1.0)),
        posture=posture_errors(posture_of_keypoints(fitted), posture_of_keypoints(true)),
    )


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
        people: the person in each of V photos; None where a view does not show them.
        images, keypoint_files: V paths.
        truth: the triangulated BODY_25 keypoints.
    """

    name: str
    cameras: Sequence[CalibratedCamera]
    people: Sequence[PersonKeypoints | None]
    images: Sequence[Path]
    keypoint_files: Sequence[Path]
    truth: Triangulation

    def shows_body(self, view: int) -> bool:
        """Tell if a view shows the person's body."""
        person = self.people[view]
        return person is not None and bool(person.keypoints[BODY_KEYPOINTS, 2].any())


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
    together = np.concatenate([_body(people) for _, _, people in found], axis=1)
    cameras = refine_extrinsics(cameras, together, options)
    return [_scene(f"balancing {frame}", folder, stems, cameras, people, options) for frame, stems, people in found]


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
    people = _same_person(folder, stems, cameras, _SEATED_OPTIONS)
    return _scene("seated", folder, stems, cameras, people, _SEATED_OPTIONS)


@dataclass(frozen=True)
class FittedView:
    """One view of a scene, fitted alone, and its errors against the person triangulated from all views."""

    scene: ViewScene
    fit: FittedPerson
    errors: ViewErrors


def fit_views(
    data: BodyModelData, config: Config, scenes: Sequence[ViewScene], true_camera: bool = False
) -> list[FittedView]:
    """Fit every view that shows the person alone and compares it with all views together.

    Args:
        data: the body model.
        config: the fitter's settings.
        scenes: what to fit.
        true_camera: give the fitter the calibrated camera and undistorted keypoints; otherwise the photos alone.
    """
    places = [(scene, view) for scene in scenes for view in range(len(scene.people)) if scene.shows_body(view)]
    observations = [observation_of_view(scene, view, true_camera) for scene, view in places]
    fits = fit_with_body(data, config, observations)
    return [
        FittedView(scene, fit, _errors(scene.cameras[view], model_keypoints(data, config, fit), scene.truth))
        for (scene, view), fit in zip(places, fits, strict=True)
    ]


def view_rows(views: Sequence[FittedView]) -> list[dict[str, str | float]]:
    """One row of figures a view."""
    return [
        {"scene": one.scene.name, **one.errors.row(), "reprojection_px": one.fit.result.reprojection_error_px}
        for one in views
    ]


def describe_scene(scene: ViewScene) -> str:
    """Describe the quality of the triangulation in a sentence."""
    errors = scene.truth.errors_px
    return (
        f"{scene.name}: {scene.truth.valid.sum()} of {len(scene.truth.valid)} joints triangulated, "
        f"reprojection median {np.nanmedian(errors):.1f} px, worst {np.nanmax(errors):.1f} px"
    )


def _errors(camera: CalibratedCamera, keypoints: FloatArray, truth: Triangulation) -> ViewErrors:
    return compare_view(camera.name, keypoints[BODY_KEYPOINTS], camera.to_camera(truth.points))


def _same_person(
    folder: Path, stems: Sequence[str], cameras: Sequence[CalibratedCamera], options: TriangulationOptions
) -> list[PersonKeypoints | None]:
    """The person that all views share, in each of them."""
    if len(stems) != len(cameras):
        raise InputError(folder, f"expected a photo for each of {len(cameras)} cameras, found {len(stems)}")
    people = [read_keypoint_file(_keypoint_file(folder, stem)).people for stem in stems]
    choice = associate_people(cameras, [list(_body(view)) for view in people], options)
    return [None if c is None else view[c] for view, c in zip(people, choice, strict=True)]


def _body(people: Sequence[PersonKeypoints | None]) -> FloatArray:
    """Body keypoints [N, 25, 3] of people; zeros for None."""
    unseen = np.zeros((BODY_KEYPOINTS.stop - BODY_KEYPOINTS.start, 3))
    return np.array([unseen if one is None else one.keypoints[BODY_KEYPOINTS] for one in people], np.float64)


def _scene(
    name: str,
    folder: Path,
    stems: Sequence[str],
    cameras: Sequence[CalibratedCamera],
    people: Sequence[PersonKeypoints | None],
    options: TriangulationOptions,
) -> ViewScene:
    return ViewScene(
        name=name,
        cameras=cameras,
        people=people,
        images=[folder / "images" / f"{stem}.jpg" for stem in stems],
        keypoint_files=[_keypoint_file(folder, stem) for stem in stems],
        truth=triangulate(cameras, _body(people), options),
    )


def _keypoint_file(folder: Path, stem: str) -> Path:
    return folder / "keypoints" / f"{stem}_keypoints.json"


def observation_of_view(scene: ViewScene, view: int, true_camera: bool) -> Observation:
    """Return what a view shows: as the photo alone has it, or undistorted and with the calibrated camera."""
    person = scene.people[view]
    if person is None:
        raise ValueError(f"view {view} of {scene.name} does not show the person")
    keypoints = np.float64(person.keypoints)
    if true_camera:
        seen = keypoints[:, 2] > 0
        keypoints[seen, :2] = scene.cameras[view].undistort(keypoints[seen, :2])
    return Observation(
        keypoints=keypoints.astype(np.float32),
        image_size=image_size(scene.images[view]),
        camera=calibrated(scene.cameras[view]) if true_camera else None,
        image_path=scene.images[view],
        keypoint_path=scene.keypoint_files[view],
        points_3d=person.points_3d,
    )


def calibrated(camera: CalibratedCamera) -> Camera:
    """Return the camera of the undistorted photo."""
    k = camera.intrinsics
    return Camera((k[0, 0], k[1, 1]), k[:2, 2], "calibration")
