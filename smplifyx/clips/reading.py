"""The people of a clip: keypoints of all frames and views, undistorted, with their cameras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from smplifyx.calibration import camera_for_size
from smplifyx.camera import Camera, resolve_cameras
from smplifyx.clips.listing import Clip, Shot
from smplifyx.config import Config, RunOptions
from smplifyx.errors import InputError, UsageError
from smplifyx.keypoints import Loaded, Observation, Pair, load_pairs, merge_loaded
from smplifyx.keypoints.images import read_header
from smplifyx.lens import undistorted_keypoints
from smplifyx.pipeline.choices import keypoint_options, selection_of
from smplifyx.tracking import View


@dataclass(frozen=True)
class ClipPeople:
    """The people of a clip.

    Attributes:
        frames: for each frame and view the people.
        views: the cameras, for photos of this size.
        loaded: people, with failures and notes.
    """

    frames: list[list[list[Observation]]]
    views: tuple[View, ...]
    loaded: Loaded


def read_clip(clip: Clip, config: Config, run: RunOptions, calibration: Mapping[str, Camera]) -> ClipPeople:
    """Read the people of a clip; unusable files are failures in ``loaded``.

    Args:
        clip: the files.
        config: the settings.
        run: the arguments of the run.
        calibration: cameras by photo, where the clip has no calibrated views.

    Raises:
        InputError: the photos of a view differ in size, or do not belong to its camera.
        UsageError: a focal length is in millimetres.
    """
    selection = replace(selection_of(config), max_persons=None, keep_pieces=True)
    options = keypoint_options(run)
    columns: list[list[list[Observation]]] = []
    views: list[View] = []
    parts: list[Loaded] = []
    for number, view in enumerate(clip.views):
        shots = [row[number] for row in clip.shots]
        loaded = load_pairs(_pairs(shots), selection, options)
        people = _undistorted(loaded.observations, view, config, calibration)
        by_stem: dict[str, list[Observation]] = {}
        for one in people:
            by_stem.setdefault(one.stem, []).append(one)
        columns.append([[] if shot is None else by_stem.get(shot.stem, []) for shot in shots])
        views.append(_view_for(view, people, shots))
        parts.append(loaded)
    frames = [list(row) for row in zip(*columns, strict=True)]
    return ClipPeople(frames, tuple(views), merge_loaded(parts))


def _pairs(shots: Sequence[Shot | None]) -> list[Pair]:
    return [
        Pair(shot.stem, shot.image, shot.keypoints)
        for shot in shots
        if shot is not None and shot.keypoints is not None
    ]


def _undistorted(
    people: Sequence[Observation], view: View, config: Config, calibration: Mapping[str, Camera]
) -> list[Observation]:
    sizes = {one.image_size: one for one in people}
    if len(sizes) > 1:
        first_two = [*sizes.items()][:2]
        found = " and ".join(f"{size[0]} x {size[1]} ({one.stem})" for size, one in first_two)
        raise InputError(None, f"expected photos of one size, found {found}", view.name or "frames")
    if view.camera is None:
        try:
            return resolve_cameras(people, config.camera, calibration)
        except InputError as error:
            raise UsageError(str(error)) from error
    found_people = []
    for one in people:
        camera = camera_for_size(view.camera, one.image_size, one.image_path)
        keypoints = undistorted_keypoints(one.keypoints, camera, view.distortion)
        found_people.append(replace(one, camera=camera, keypoints=keypoints))
    return found_people


def _view_for(view: View, people: Sequence[Observation], shots: Sequence[Shot | None]) -> View:
    """The view with the camera of its photos; a camera that is not calibrated is that of the first person."""
    if people:
        camera = people[0].camera
        distortion = camera.distortion if view.camera is None and camera is not None else view.distortion
        return replace(view, camera=camera, distortion=distortion)
    first = next((shot for shot in shots if shot is not None), None)
    if view.camera is None or first is None:
        return view
    try:
        return replace(view, camera=camera_for_size(view.camera, read_header(first.image).size, Path(first.image)))
    except InputError:
        return view
