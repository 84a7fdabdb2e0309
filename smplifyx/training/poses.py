"""Training poses: motion capture drawn by weight, and synthetic sitting, kneeling and squatting people.

Sitting, kneeling and squatting are frequent in photos and rare in motion capture. Legs follow the anatomy of these
postures, with generous standard deviations; trunk, head and arms are those of motion-capture frames, with the trunk
leaning forward as balance requires.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smplifyx import skeleton
from smplifyx.body.data import BodyModelData
from smplifyx.body.files import load_body_model_data
from smplifyx.body.search import find_body_model
from smplifyx.errors import InputError, reason
from smplifyx.priors.pose_space import N_BODY_JOINTS, N_BODY_POSE, FloatArray
from smplifyx.rotations import axis_angle_to_matrix
from smplifyx.skeleton import body_pose_row
from smplifyx.synthetic.poses import read_recordings
from smplifyx.training.settings import PoseData

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

    def origin(self, path: Path, options: PoseData) -> str:
        """A line about these frames for the file of a network that was trained on them."""
        return f"{len(self)} poses of {path.name}, held out: {', '.join(options.held_out) or 'none'}"

    def split_random(self, share: float, by: str, seed: int) -> tuple[MotionCapture, MotionCapture]:
        """Split off about this share of the frames at random, by whole ``subject`` or ``clip``."""
        groups = self.subjects if by == "subject" else self.clips
        names, counts = np.unique(groups, return_counts=True)
        order = np.random.default_rng(seed).permutation(len(names))
        before = np.cumsum(counts[order]) - counts[order]
        chosen = np.isin(groups, names[order[before < share * len(groups)]])
        return self.select(~chosen), self.select(chosen)


def split_validation(
    data: MotionCapture, path: Path, options: PoseData, seed: int
) -> tuple[MotionCapture, MotionCapture]:
    """Split into training and validation; raises :class:`InputError` where one would be empty."""
    training, validation = data.split_random(options.validation_share, options.split_by, seed)
    if not len(training) or not len(validation):
        raise InputError(path, f"too few {options.split_by}s for training and validation")
    return training, validation


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
    data = read_recordings(path)
    if data.frames is None or data.fps is None:
        raise InputError(path, "expected the number of each frame and frames per second", "frame and fps")
    durations = np.ones(len(data.body_pose))
    same_clip = data.clip_index[1:] == data.clip_index[:-1]
    durations[:-1][same_clip] = np.clip(np.diff(data.frames)[same_clip], 1, _LONGEST_HOLD * data.fps)
    return MotionCapture(data.body_pose, durations, data.subjects, data.clip_names[data.clip_index])


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


@dataclass(frozen=True)
class Posture:
    """Mean and standard deviation of angles, degrees.

    Attributes:
        hip, knee: flexion.
        spread: outward rotation of each thigh.
        ankle: flexion towards the shin, negative for a stretched foot.
        lean: forward bend of the lower spine, shared by its three joints.
        uneven: standard deviation between the two legs.
    """

    hip: tuple[float, float]
    knee: tuple[float, float]
    spread: tuple[float, float]
    ankle: tuple[float, float]
    lean: tuple[float, float]
    uneven: float = 8.0


SITTING = Posture(hip=(82, 12), knee=(85, 18), spread=(8, 9), ankle=(0, 10), lean=(5, 12))
KNEELING = Posture(hip=(25, 25), knee=(115, 20), spread=(8, 7), ankle=(-35, 15), lean=(5, 8), uneven=5.0)
SQUATTING = Posture(hip=(110, 12), knee=(125, 14), spread=(15, 9), ankle=(25, 8), lean=(20, 10))
#: Postures and their shares.
POSTURES = ((SITTING, 0.7), (KNEELING, 0.15), (SQUATTING, 0.15))
#: Shares of a forward bend taken by the joints from spine1 to spine3.
_SPINE_SHARES = (0.5, 0.3, 0.2)


def seated_poses(body_pose: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Change poses [N, 63] (axis-angle, radians) to sitting, kneeling or squatting."""
    kinds = rng.choice(len(POSTURES), size=len(body_pose), p=[share for _, share in POSTURES])
    changed = body_pose.copy()
    for kind, (posture, _) in enumerate(POSTURES):
        changed[kinds == kind] = _with_posture(posture, changed[kinds == kind], rng)
    return changed


def _with_posture(posture: Posture, body_pose: FloatArray, rng: np.random.Generator) -> FloatArray:
    pose = body_pose.reshape(len(body_pose), N_BODY_JOINTS, 3).copy()

    def draw(mean_and_sd: tuple[float, float]) -> FloatArray:
        return np.asarray(np.radians(rng.normal(*mean_and_sd, len(pose))))

    hip, knee, spread, ankle = (draw(angle) for angle in (posture.hip, posture.knee, posture.spread, posture.ankle))
    uneven = (0.0, posture.uneven)
    for side, outwards in (("left", 1.0), ("right", -1.0)):
        pose[:, body_pose_row(f"{side}_hip")] = np.stack(
            [-(hip + draw(uneven)), outwards * (spread + draw(uneven)), outwards * draw((2, 5))], 1
        )
        bent = np.clip(knee + draw(uneven), 0.0, np.radians(150.0))
        pose[:, body_pose_row(f"{side}_knee")] = np.stack([bent, draw((0, 2)), draw((0, 2))], 1)
        pose[:, body_pose_row(f"{side}_ankle")] = np.stack([-(ankle + draw(uneven)), draw((0, 5)), draw((0, 4))], 1)
        pose[:, body_pose_row(f"{side}_foot")] = 0.0
    lean = draw(posture.lean)
    for number, share in enumerate(_SPINE_SHARES, 1):
        pose[:, body_pose_row(f"spine{number}"), 0] = share * lean + draw((0, 2))
    return pose.reshape(body_pose.shape)


@dataclass(frozen=True)
class PoseBatch:
    """Poses as ``axis_angle`` [B, 63] (radians) and as ``rotations`` [B, 21, 3, 3]."""

    axis_angle: Tensor
    rotations: Tensor


def pose_batch(body_pose: FloatArray) -> PoseBatch:
    """Convert poses [N, 63] to tensors."""
    axis_angle = torch.as_tensor(body_pose, dtype=torch.float32)
    return PoseBatch(axis_angle, axis_angle_to_matrix(axis_angle.unflatten(1, (-1, 3))))


def training_body(models: Path | None) -> BodyModelData:
    """Load the neutral body model of the training.

    Args:
        models: the only folder to search; None: all folders.

    Raises:
        InputError: there is no body model, or it is damaged.
    """
    return load_body_model_data(find_body_model("smplx", "neutral", models))


class PoseSampler:
    """Draw poses: motion capture by its weights, extra standing people, some made to sit; half of them mirrored.

    Args:
        data: the motion capture.
        options: shares of standing and seated people.
        seed: of the generator ``rng``.
    """

    def __init__(self, data: MotionCapture, options: PoseData, seed: int) -> None:
        self._poses = data.body_pose
        self._options = options
        self.rng = np.random.default_rng(seed)
        self._cumulative = np.cumsum(data.weights)
        self._upright = np.nonzero(is_upright(data.body_pose))[0]

    def draw(self, count: int) -> PoseBatch:
        """Draw a batch of ``count`` poses."""
        rows = np.searchsorted(self._cumulative[:-1], self.rng.random(count))
        kind = self.rng.random(count)
        upright = kind < self._options.upright_share
        if len(self._upright):
            rows[upright] = self.rng.choice(self._upright, upright.sum())
        poses = self._poses[rows]
        seated = kind > 1.0 - self._options.seated_share
        poses[seated] = seated_poses(poses[seated], self.rng)
        mirrored = self.rng.random(count) < 0.5
        poses[mirrored] = mirror_body_pose(poses[mirrored])
        return pose_batch(poses)
