"""Body poses for synthetic people: motion capture that no prior was trained on, or mild random ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smplifyx.errors import InputError, reason
from smplifyx.priors import HELD_OUT_SUBJECTS
from smplifyx.priors.pose_space import N_BODY_POSE, load_gaussian

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class PosePool:
    """Poses to draw from: ``body_pose`` [N, 63] axis-angle (radians) and ``weights`` [N] summing to one."""

    body_pose: FloatArray
    weights: FloatArray

    def draw(self, rng: np.random.Generator) -> FloatArray:
        """One pose [63]."""
        return self.body_pose[rng.choice(len(self.weights), p=self.weights)]


@dataclass(frozen=True)
class Clip:
    """Poses ``body_pose`` [N, 63] (axis-angle, radians) of the ``frames`` [N] of one recording, 30 a second."""

    name: str
    frames: NDArray[np.int64]
    body_pose: FloatArray

    @property
    def subject(self) -> str:
        """The person who was recorded."""
        return self.name.split("_")[0]


@dataclass(frozen=True)
class Recordings:
    """Body poses of a motion-capture file.

    Attributes:
        body_pose: [N, 63] axis-angle, radians.
        clip_index: [N] the clip of each pose.
        clip_names: [C] ``SUBJECT_TRIAL``.
        clip_subjects: [C] the part of each name before the underscore.
        frames: [N] numbers of the frames, ascending in a clip; None if the file has none.
        fps: frames per second; None if the file does not tell.
    """

    body_pose: FloatArray
    clip_index: NDArray[np.int64]
    clip_names: NDArray[np.str_]
    clip_subjects: NDArray[np.str_]
    frames: NDArray[np.int64] | None
    fps: float | None

    @property
    def subjects(self) -> NDArray[np.str_]:
        """[N] the subject of each pose."""
        return self.clip_subjects[self.clip_index]


def read_recordings(path: str | Path) -> Recordings:
    """Read a motion-capture file.

    Args:
        path: ``.npz`` with ``body_pose`` [N, 63], ``clip_index`` [N], ``clip_names`` [C], and maybe ``frame`` [N] and
            ``fps``.

    Raises:
        InputError: an array is missing or has a wrong shape.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            poses, clips = np.float64(file["body_pose"]), np.int64(file["clip_index"])
            names = np.asarray(file["clip_names"]).astype(str)
            frames = np.int64(file["frame"]) if "frame" in file else None
            fps = float(file["fps"]) if "fps" in file else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(path, f"not a motion-capture file: {reason(error)}") from error
    if poses.ndim != 2 or poses.shape[1] != N_BODY_POSE:
        raise InputError(path, f"expected shape [N, {N_BODY_POSE}], found {list(poses.shape)}", "body_pose")
    for name, array in (("clip_index", clips), ("frame", frames)):
        if array is not None and array.shape != (len(poses),):
            raise InputError(path, f"expected shape [{len(poses)}], found {list(array.shape)}", name)
    if clips.size and not 0 <= clips.min() <= clips.max() < names.size:
        problem = f"expected positions in the {names.size} clip_names, found {clips.min()} to {clips.max()}"
        raise InputError(path, problem, "clip_index")
    subjects = np.array([name.split("_")[0] for name in names], str)
    return Recordings(poses, clips, names, subjects, frames, fps)


def held_out_poses(path: str | Path, subjects: tuple[str, ...] = HELD_OUT_SUBJECTS) -> PosePool:
    """The poses of some subjects of a motion-capture file; every subject has the same share.

    Args:
        path: see :func:`read_recordings`.
        subjects: the parts of the clip names before the underscore.

    Raises:
        InputError: the file is damaged or holds none of the subjects.
    """
    recordings = read_recordings(path)
    of_pose = recordings.subjects
    chosen = np.isin(of_pose, subjects)
    if not chosen.any():
        raise _lacks(path, subjects)
    _, index, counts = np.unique(of_pose[chosen], return_inverse=True, return_counts=True)
    weights = 1.0 / counts[index]
    return PosePool(recordings.body_pose[chosen], weights / weights.sum())


def held_out_clips(path: str | Path, subjects: tuple[str, ...] = HELD_OUT_SUBJECTS) -> list[Clip]:
    """The clips of some subjects of a motion-capture file, in the file's order.

    Args:
        path: see :func:`read_recordings`; with numbers of frames.
        subjects: see :func:`held_out_poses`.

    Raises:
        InputError: see :func:`held_out_poses`.
    """
    recordings = read_recordings(path)
    if recordings.frames is None:
        raise InputError(path, "expected the number of each frame", "frame")
    clips = []
    for number in np.flatnonzero(np.isin(recordings.clip_subjects, subjects)):
        inside = recordings.clip_index == number
        name = str(recordings.clip_names[number])
        clips.append(Clip(name, recordings.frames[inside], recordings.body_pose[inside]))
    if not clips:
        raise _lacks(path, subjects)
    return clips


def _lacks(path: str | Path, subjects: tuple[str, ...]) -> InputError:
    return InputError(path, f"expected clips of the subjects {', '.join(subjects)}", "clip_names")


def subjects_of(path: str | Path) -> set[str]:
    """The subjects of a motion-capture file; raises InputError as :func:`held_out_poses` does."""
    return set(read_recordings(path).subjects.tolist())


def mild_poses(n_poses: int = 1000, spread: float = 0.5, seed: int = 0) -> PosePool:
    """Random poses about the mean of the Gaussian prior, for use without motion capture.

    Args:
        n_poses: size of the pool.
        spread: standard deviation as a fraction of the prior's.
        seed: of the random numbers.
    """
    mean, covariance = load_gaussian()
    poses = np.random.default_rng(seed).multivariate_normal(mean, spread**2 * covariance, n_poses)
    return PosePool(poses, np.full(n_poses, 1.0 / n_poses))
