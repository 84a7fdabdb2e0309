"""Photos of one person by several calibrated cameras, and the person triangulated from all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smplifyx.calibration.other_formats import read_camera_parameters, read_qualisys
from smplifyx.errors import InputError
from smplifyx.evaluation.triangulation import (
    Triangulation,
    TriangulationOptions,
    associate_people,
    refine_extrinsics,
    triangulate,
)
from smplifyx.keypoints import Observation, image_size, read_keypoint_file
from smplifyx.keypoints.reading import PersonKeypoints
from smplifyx.lens import undistorted_keypoints
from smplifyx.skeleton import BODY_KEYPOINTS
from smplifyx.tracking import View

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
        cameras: V calibrated cameras.
        people: the person in each of V photos; None where a view does not show them.
        images, keypoint_files: V paths.
        truth: the triangulated BODY_25 keypoints.
    """

    name: str
    cameras: Sequence[View]
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
    cameras: Sequence[View] = [_of_any_size(camera) for camera in read_qualisys(folder / "Calib.qca.txt")]
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
    cameras = [
        replace(camera, translation=np.asarray(camera.translation) * _SEATED_UNIT)
        for camera in read_camera_parameters(folder / "camera_parameters.txt")
    ]
    people = _same_person(folder, stems, cameras, _SEATED_OPTIONS)
    return _scene("seated", folder, stems, cameras, people, _SEATED_OPTIONS)


def describe_scene(scene: ViewScene) -> str:
    """Describe the quality of the triangulation in a sentence."""
    errors = scene.truth.errors_px
    return (
        f"{scene.name}: {scene.truth.valid.sum()} of {len(scene.truth.valid)} joints triangulated, "
        f"reprojection median {np.nanmedian(errors):.1f} px, worst {np.nanmax(errors):.1f} px"
    )


def observation_of_view(scene: ViewScene, view: int, true_camera: bool) -> Observation:
    """Return the observation of a view: as the photo alone has it, or undistorted and with the calibrated camera."""
    person = scene.people[view]
    if person is None:
        raise ValueError(f"view {view} of {scene.name} does not show the person")
    camera, keypoints = scene.cameras[view], np.float32(person.keypoints)
    if true_camera and camera.camera is not None:
        keypoints = undistorted_keypoints(keypoints, camera.camera, camera.distortion)
    return Observation(
        keypoints=keypoints,
        image_size=image_size(scene.images[view]),
        camera=camera.camera if true_camera else None,
        image_path=scene.images[view],
        keypoint_path=scene.keypoint_files[view],
        points_3d=person.points_3d,
    )


def _of_any_size(view: View) -> View:
    """The view without its image size: the sensor has a few columns more than the photos, at the right border."""
    return replace(view, camera=None if view.camera is None else replace(view.camera, image_size=None))


def _same_person(
    folder: Path, stems: Sequence[str], cameras: Sequence[View], options: TriangulationOptions
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
    cameras: Sequence[View],
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
