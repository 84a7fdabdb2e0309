"""Motion capture as body poses: readers, sample weights, splits by subject or clip, mirror images."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smplifyx import skeleton
from smplifyx.errors import InputError, reason
from smplifyx.priors.pose_space import N_BODY_JOINTS, N_BODY_POSE, FloatArray

#: Columns of the body joints in an AMASS pose vector, which starts with the global orientation.
_AMASS_BODY = slice(3, 3 + N_BODY_POSE)
#: Names of the frame rate in AMASS files.
_AMASS_RATES = ("mocap_framerate", "mocap_frame_rate")
#: Angle below which a knee or hip counts as straight, and beyond which a shoulder counts as lowered (radians).
_STRAIGHT = np.radians(15.0)
_HANGING = np.radians(50.0)
#: Longest duration of a pose that counts (seconds).
_LONGEST_HOLD = 2.0


@dataclass(frozen=True)
class MotionCapture:
    """Frames of motion capture.

    Attributes:
        body_pose: [N, 63] axis-angle of the 21 body joints, radians.
        durations: [N] of the poses, in any unit.
        subjects: [N] names of the people.
        clips: [N] names of the recordings.
    """

    body_pose: FloatArray
    durations: FloatArray
    subjects: NDArray[np.str_]
    clips: NDArray[np.str_]

    def __len__(self) -> int:
        """The number of frames."""
        return len(self.body_pose)

    @property
    def weights(self) -> FloatArray:
        """Weights [N] with sum one: durations, each subject weighted by the square root of its share.

        This reduces the weight of fast motion and of long recordings of one person.
        """
        _, of_frame = np.unique(self.subjects, return_inverse=True)
        share = np.bincount(of_frame, self.durations)
        weights = self.durations / np.sqrt(share)[of_frame]
        return np.asarray(weights / weights.sum())

    def select(self, frames: NDArray[np.bool_]) -> MotionCapture:
        """Select frames by a mask [N]."""
        return MotionCapture(
            self.body_pose[frames], self.durations[frames], self.subjects[frames], self.clips[frames]
        )

    def split_subjects(self, held_out: Collection[str]) -> tuple[MotionCapture, MotionCapture]:
        """Split into all other subjects and the named ones."""
        chosen = np.isin(self.subjects, list(held_out))
        return self.select(~chosen), self.select(chosen)

    def split_random(self, share: float, by: str, seed: int) -> tuple[MotionCapture, MotionCapture]:
        """Split off about this share of the frames at random, by whole ``subject`` or ``clip``."""
        groups = self.subjects if by == "subject" else self.clips
        names, counts = np.unique(groups, return_counts=True)
        order = np.random.default_rng(seed).permutation(len(names))
        before = np.cumsum(counts[order]) - counts[order]
        chosen = np.isin(groups, names[order[before < share * len(groups)]])
        return self.select(~chosen), self.select(chosen)


def load_motion_capture(path: Path, fps: float = 30.0) -> MotionCapture:
    """Read a folder of AMASS-style files, or one file of poses with clips.

    Args:
        path: a folder, searched at any depth for ``.npz`` with ``poses`` [N, >= 66] (other ``.npz`` are skipped), of
            which the sub-folders name the subjects; or an ``.npz`` with ``body_pose`` [N, 63], ``clip_index`` [N],
            ``clip_names`` (``SUBJECT_TRIAL``), ``frame`` [N] and ``fps``.
        fps: AMASS files are thinned to about this frame rate.

    Raises:
        InputError: no motion capture is found, or a file is damaged.
    """
    return _load_amass(path, fps) if path.is_dir() else _load_clips(path)


def _load_clips(path: Path) -> MotionCapture:
    try:
        with np.load(path, allow_pickle=False) as file:
            poses, clips, frames = np.float64(file["body_pose"]), file["clip_index"], file["frame"]
            names, fps = file["clip_names"].astype(str), float(file["fps"])
    except (OSError, ValueError, KeyError) as error:
        raise InputError(path, f"not a motion-capture file: {reason(error)}", "body_pose") from error
    if poses.ndim != 2 or poses.shape[1] != N_BODY_POSE:
        raise InputError(path, f"expected shape [N, 63], found {list(poses.shape)}", "body_pose")
    durations = np.ones(len(poses))
    same_clip = clips[1:] == clips[:-1]
    durations[:-1][same_clip] = np.clip(np.diff(frames)[same_clip], 1, _LONGEST_HOLD * fps)
    subjects = np.array([name.split("_")[0] for name in names])
    return MotionCapture(poses, durations, subjects[clips], names[clips])


def _load_amass(folder: Path, fps: float) -> MotionCapture:
    poses, subjects, clips = [], [], []
    for path in sorted(folder.rglob("*.npz")):
        clip = _read_amass_file(path, fps)
        if clip is None:
            continue
        poses.append(clip)
        subjects += [path.parent.relative_to(folder).as_posix()] * len(clip)
        clips += [path.relative_to(folder).as_posix()] * len(clip)
    if not poses:
        raise InputError(folder, "expected .npz files with poses [N, >= 66] in it or its sub-folders, found none")
    body_pose = np.concatenate(poses)
    return MotionCapture(body_pose, np.ones(len(body_pose)), np.array(subjects), np.array(clips))


def _read_amass_file(path: Path, fps: float) -> FloatArray | None:
    """Read thinned body poses [N, 63]; None for a file without poses, such as AMASS' body shapes."""
    try:
        with np.load(path, allow_pickle=False) as file:
            if "poses" not in file:
                return None
            poses = np.float64(file["poses"])
            rates = [float(file[name]) for name in _AMASS_RATES if name in file]
    except (OSError, ValueError) as error:
        raise InputError(path, f"not a motion-capture file: {reason(error)}", "poses") from error
    if poses.ndim != 2 or poses.shape[1] < _AMASS_BODY.stop:
        raise InputError(path, f"expected shape [N, >= {_AMASS_BODY.stop}], found {list(poses.shape)}", "poses")
    if not rates:
        raise InputError(path, "expected the frame rate", " or ".join(_AMASS_RATES))
    return np.asarray(poses[:: max(1, round(rates[0] / fps)), _AMASS_BODY])


def mirror_body_pose(body_pose: FloatArray) -> FloatArray:
    """Mirror poses [N, 63] (axis-angle)."""
    first = skeleton.BODY_JOINTS.start
    order = np.array(skeleton.MIRRORED_JOINTS[skeleton.BODY_JOINTS]) - first
    mirrored = body_pose.reshape(-1, N_BODY_JOINTS, 3)[:, order] * np.array([1.0, -1.0, -1.0], body_pose.dtype)
    return np.asarray(mirrored.reshape(body_pose.shape))


def is_upright(body_pose: FloatArray) -> NDArray[np.bool_]:
    """Mask [N] of frames with straight hips and knees and hanging arms."""
    pose = body_pose.reshape(-1, N_BODY_JOINTS, 3)

    def joints(name: str) -> FloatArray:
        indices = [skeleton.body_pose_row(f"{side}_{name}") for side in ("left", "right")]
        return np.asarray(pose[:, indices])

    straight = (np.abs(joints("hip")[..., 0]) < _STRAIGHT) & (joints("knee")[..., 0] < _STRAIGHT)
    shoulder = joints("shoulder")[..., 2] * np.array([-1.0, 1.0])
    return np.asarray(straight.all(1) & (shoulder > _HANGING).all(1))


def standing_pose(data: MotionCapture) -> FloatArray:
    """Mean [63] of the frames of people standing with hanging arms, symmetric between left and right."""
    upright = is_upright(data.body_pose)
    if not upright.any():
        raise ValueError("no frame shows a person standing with hanging arms")
    standing = np.average(data.body_pose[upright], axis=0, weights=data.weights[upright])
    return np.asarray(0.5 * (standing + mirror_body_pose(standing[None])[0]))
