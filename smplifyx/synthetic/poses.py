"""Body poses for synthetic people: motion capture that no prior was trained on, or mild random ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smplifyx.errors import InputError, reason
from smplifyx.priors import HELD_OUT_SUBJECTS
from smplifyx.priors.pose_space import load_gaussian

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


def held_out_poses(path: str | Path, subjects: tuple[str, ...] = HELD_OUT_SUBJECTS) -> PosePool:
    """The poses of some subjects of a motion-capture file; every subject has the same share.

    Args:
        path: ``.npz`` with ``body_pose`` [N, 63], ``clip_index`` [N] and ``clip_names`` (``SUBJECT_TRIAL``).
        subjects: the parts of the clip names before the underscore.

    Raises:
        InputError: the file is damaged or holds none of the subjects.
    """
    poses, of_frame = _poses_and_subjects(path)
    chosen = np.isin(of_frame, subjects)
    if not chosen.any():
        raise InputError(path, f"expected clips of the subjects {', '.join(subjects)}", "clip_names")
    _, index, counts = np.unique(of_frame[chosen], return_inverse=True, return_counts=True)
    weights = 1.0 / counts[index]
    return PosePool(poses[chosen], weights / weights.sum())


def held_out_clips(path: str | Path, subjects: tuple[str, ...] = HELD_OUT_SUBJECTS) -> list[Clip]:
    """The clips of some subjects of a motion-capture file, in the file's order.

    Args:
        path: as in :func:`held_out_poses`, with ``frame`` [N] besides: numbers of the frames, ascending in a clip.
        subjects: see :func:`held_out_poses`.

    Raises:
        InputError: see :func:`held_out_poses`.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            poses, frames = np.float64(file["body_pose"]), np.int64(file["frame"])
            clips, names = np.int64(file["clip_index"]), [str(name) for name in file["clip_names"]]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(path, f"not a motion-capture file with frame numbers: {reason(error)}") from error
    chosen = [number for number, name in enumerate(names) if name.split("_")[0] in subjects]
    if not chosen:
        raise InputError(path, f"expected clips of the subjects {', '.join(subjects)}", "clip_names")
    return [Clip(names[number], frames[clips == number], poses[clips == number]) for number in chosen]


def subjects_of(path: str | Path) -> set[str]:
    """The subjects of a motion-capture file; raises InputError as :func:`held_out_poses` does."""
    return set(_poses_and_subjects(path)[1].tolist())


def _poses_and_subjects(path: str | Path) -> tuple[FloatArray, NDArray[np.str_]]:
    """All poses [N, 63] and the subject of each [N]."""
    try:
        with np.load(path, allow_pickle=False) as file:
            poses, clips, names = np.float64(file["body_pose"]), file["clip_index"], file["clip_names"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(path, f"not a motion-capture file: {reason(error)}") from error
    return poses, np.array([str(name).split("_")[0] for name in names])[clips]


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
