"""Files of the tracks of a clip: AMASS-style motions, the report, the animated scene, finished clips."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from smplifyx.calibration import CameraRig
from smplifyx.camera import TURN_ABOUT_X
from smplifyx.export.amass import AMASS_MODELS, Z_UP, Placement, amass_arrays
from smplifyx.export.glb import PlacedCamera, rigged_scene
from smplifyx.export.motion import Motion, PersonKey
from smplifyx.export.rig import Rig
from smplifyx.files import write_bytes, write_text
from smplifyx.output.layout import TRACKS
from smplifyx.packs import exists
from smplifyx.result import FitResult
from smplifyx.sequence import TrackFit
from smplifyx.tracking import TrackSummary, View

#: Frames per second without --fps or a video.
DEFAULT_FPS = 30.0


@dataclass(frozen=True)
class ClipFiles:
    """Paths of the files about a clip.

    Attributes:
        folder: ``tracks``, or ``tracks/CLIP`` where a run has several clips.
    """

    folder: Path

    @classmethod
    def of(cls, output: Path, clip: str) -> ClipFiles:
        """The files of a clip of this name in an output folder."""
        return cls(output / TRACKS / clip if clip else output / TRACKS)

    def track(self, number: int) -> Path:
        """The motion of a track."""
        return self.folder / f"{number:03d}.npz"

    @property
    def report(self) -> Path:
        """The table of tracks."""
        return self.folder / "tracks.csv"

    @property
    def scene(self) -> Path:
        """The animated scene."""
        return self.folder / "animation.glb"

    @property
    def video(self) -> Path:
        """The overlay video."""
        return self.folder / "overlay.mp4"

    @property
    def record(self) -> Path:
        """Hash of the inputs of the files, and their names; written last."""
        return self.folder / "clip.json"

    def is_finished(self, digest: str) -> bool:
        """Whether all files of the clip, made from the same inputs, are there, also if results are packed."""
        try:
            content = json.loads(self.record.read_text(encoding="utf-8"))
            files = [Path(self.folder, name) for name in content["files"]]
            return bool(content["digest"] == digest and all(map(_is_written, files)))
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def finish(self, digest: str, files: Sequence[Path]) -> None:
        """Record that the clip is finished."""
        names = [os.path.relpath(one, self.folder) for one in files]
        write_text(self.record, json.dumps({"digest": digest, "files": names}, indent=1))


def _is_written(path: Path) -> bool:
    return path.stat().st_size > 0 if path.is_file() else exists(Path(os.path.normpath(path)))


def motion_of(fit: TrackFit) -> Motion:
    """The motion of a track, in the scene of the first view; frames that failed are left out."""
    kept = [(one, frame) for one, frame in zip(fit.results, fit.track.frames, strict=True) if one.status != "failed"]
    return Motion(PersonKey(fit.track.number), tuple(one for one, _ in kept), tuple(frame for _, frame in kept))


#: From worlds with these axes up to scenes, whose y axis points up.
_TO_SCENE = {
    "y": np.eye(3),
    "z": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
    "-y": np.diag([1.0, -1.0, -1.0]),
}


def scene_of_world(
    fits: Sequence[TrackFit], rig: CameraRig, views: Sequence[View]
) -> tuple[list[Motion], list[PlacedCamera]]:
    """Motions and cameras in the world, with y up; in the scene of the first view where the axis up is unknown."""
    first = views[0]
    turn, shift = np.diag(TURN_ABOUT_X) @ np.asarray(first.rotation), np.asarray(first.translation) * TURN_ABOUT_X
    if rig.up is not None:
        turn, shift = _TO_SCENE[rig.up], np.zeros(3)
    cameras = []
    for view in views:
        if view.camera is not None and view.camera.image_size is not None:
            back = turn @ np.asarray(view.rotation).T
            place = shift - back @ np.asarray(view.translation)
            cameras.append(PlacedCamera(f"camera_{view.name}", view.camera, back * TURN_ABOUT_X, place))
    back = turn @ np.asarray(first.rotation).T
    rotation = TURN_ABOUT_X[:, None] * back
    offset = TURN_ABOUT_X * (shift - back @ np.asarray(first.translation))
    motions = [motion_of(fit) for fit in fits]
    moved = [replace(one, results=tuple(_moved(each, rotation, offset) for each in one.results)) for one in motions]
    return moved, cameras


def _moved(result: FitResult, rotation: NDArray[np.float64], offset: NDArray[np.float64]) -> FitResult:
    """A result in another frame, where its points are at ``rotation @ x + offset``."""
    rest = result.joints[0] - result.camera_translation
    joints = result.joints @ rotation.T + offset
    turned = Rotation.from_matrix(rotation) * Rotation.from_rotvec(result.global_orient)
    return replace(
        result,
        global_orient=turned.as_rotvec().astype(np.float32),
        camera_translation=(joints[0] - rest).astype(np.float32),
        joints=joints.astype(np.float32),
    )


def placement_in_world(view: View) -> Placement:
    """From the scene of a view to the world."""
    rotation = np.asarray(view.rotation).T
    return Placement(rotation * TURN_ABOUT_X, -rotation @ np.asarray(view.translation))


def save_track(fit: TrackFit, path: Path, rig: CameraRig | None) -> bool:
    """Write the motion of a track as AMASS has it, in the world, or in the frame of the camera with z up.

    Returns:
        False for a model that AMASS does not know.
    """
    motion = motion_of(fit)
    if motion.first.model_type not in AMASS_MODELS:
        return False
    view = fit.track.views[0]
    placement = Z_UP if rig is None else placement_in_world(view)
    arrays = amass_arrays(motion, fit.track.fps, placement)
    joints = motion.joints @ placement.rotation.T + placement.origin
    kept = fit.has_result
    observed = [[one is not None for one in row] for row in fit.track.observations]
    arrays |= {
        "joints": joints.astype(np.float32),
        "coordinates": np.array("camera" if rig is None else "world"),
        "up_axis": np.array("z" if rig is None else rig.up or "unknown"),
        "views": np.array([one.name for one in fit.track.views]),
        "observed": np.array(observed)[kept],
        "bridged": fit.bridged[kept],
        "view_weights": fit.view_weights[kept],
        "reprojection_px": fit.reprojection_px[kept],
    }
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    write_bytes(path, stream.getvalue())
    return True


def save_scene(
    fits: Sequence[TrackFit], path: Path, name: str, fps: float, rig: CameraRig | None, views: Sequence[View]
) -> None:
    """Write the animated scene of all tracks: y up, in the world with its cameras where these are calibrated."""
    cameras: list[PlacedCamera] = []
    if rig is None:
        motions = [motion_of(fit) for fit in fits]
    else:
        motions, cameras = scene_of_world(fits, rig, views)
    write_bytes(path, rigged_scene([Rig(motion) for motion in motions], name, fps, cameras))


def used_errors(fit: TrackFit) -> NDArray[np.float32]:
    """Reprojection errors of the observations that are used, pixels."""
    errors = fit.reprojection_px[fit.view_weights > 0]
    return np.asarray(errors[np.isfinite(errors)])


def save_report(summaries: Sequence[TrackSummary], fits: Sequence[TrackFit], path: Path) -> None:
    """Write the table of tracks, those that were dropped included."""
    by_number = {fit.track.number: fit for fit in fits}
    stream = io.StringIO()
    names = [one.name for one in fields(TrackSummary)]
    writer = csv.DictWriter(stream, [*names, "bridged", "outliers", "reprojection_px"], lineterminator="\n")
    writer.writeheader()
    for one in summaries:
        row: dict[str, object] = asdict(one) | {"keypoints": f"{one.keypoints:.1f}"}
        fit = by_number.get(one.track)
        if fit is not None:
            errors = used_errors(fit)
            row |= {
                "bridged": int(fit.bridged.sum()),
                "outliers": int(fit.outlier_frames.sum()),
                "reprojection_px": f"{errors.mean():.2f}" if len(errors) else "",
            }
        writer.writerow(row | {"track": "" if one.track < 0 else one.track})
    write_text(path, stream.getvalue())
