"""A full-covariance Gaussian over body poses from motion capture, centred on a relaxed, upright person.

Motion capture is full of motion: its mean crouches. People in photos mostly stand or sit still. So the mean is that
of frames in which somebody stands with hanging arms, and the covariance is the second moment of all frames about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from smplifyx.body import skeleton
from smplifyx.errors import InputError

_POSES = "body_pose"
_N_BODY_JOINTS = skeleton.BODY_JOINTS.stop - skeleton.BODY_JOINTS.start
#: Angle below which a knee or hip counts as straight, and beyond which a shoulder counts as lowered (radians).
_STRAIGHT = np.radians(15.0)
_HANGING = np.radians(50.0)
#: A pose held longer than this (seconds) counts no more than that.
_LONGEST_HOLD = 2.0
#: Standard deviation added to every angle: what capture and retargeting do not see (radians).
_FLOOR = np.radians(3.0)


@dataclass(frozen=True)
class MotionCapture:
    """``body_pose`` [N, 63] axis-angle (radians), ``weights`` [N] summing to one."""

    body_pose: np.ndarray
    weights: np.ndarray


def load_motion_capture(path: Path) -> MotionCapture:
    """Reads an ``.npz`` of poses with clips, and weights frames by how long they were held.

    The file holds ``body_pose`` [N, 63], ``clip_index`` [N], ``clip_names``, ``frame`` [N] and ``fps``. Each subject
    (the part of a clip's name before the underscore) gets the square root of its share, so that long recordings of
    one person do not rule.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            poses, clips, frames = np.float64(file[_POSES]), file["clip_index"], file["frame"]
            names, fps = file["clip_names"], float(file["fps"])
    except (OSError, ValueError, KeyError) as error:
        raise InputError(path, f"not a motion-capture file: {error}", _POSES) from error
    if poses.ndim != 2 or poses.shape[1] != 3 * _N_BODY_JOINTS:
        raise InputError(path, f"expected shape [N, 63], found {list(poses.shape)}", _POSES)
    held = np.ones(len(poses))
    same_clip = clips[1:] == clips[:-1]
    held[:-1][same_clip] = np.clip(np.diff(frames)[same_clip], 1, _LONGEST_HOLD * fps)
    subjects = np.array([str(name).split("_")[0] for name in names])[clips]
    unique, of_frame = np.unique(subjects, return_inverse=True)
    share = np.bincount(of_frame, held, len(unique))
    weights = held / np.sqrt(share)[of_frame]
    return MotionCapture(poses, weights / weights.sum())


def mirror_body_pose(body_pose: np.ndarray) -> np.ndarray:
    """Left and right exchanged, [N, 63] axis-angle."""
    first = skeleton.BODY_JOINTS.start
    order = [skeleton.mirrored_joint(first + k) - first for k in range(_N_BODY_JOINTS)]
    mirrored = body_pose.reshape(-1, _N_BODY_JOINTS, 3)[:, order] * np.array([1.0, -1.0, -1.0])
    return mirrored.reshape(body_pose.shape)


def _is_upright(body_pose: np.ndarray) -> np.ndarray:
    """Frames [N] of people who stand: straight hips and knees, arms hanging."""
    pose = body_pose.reshape(-1, _N_BODY_JOINTS, 3)

    def joints(name: str) -> np.ndarray:
        indices = [skeleton.joint_index(f"{side}_{name}") - 1 for side in ("left", "right")]
        return pose[:, indices]

    straight = (np.abs(joints("hip")[..., 0]) < _STRAIGHT) & (joints("knee")[..., 0] < _STRAIGHT)
    shoulder = joints("shoulder")[..., 2] * np.array([-1.0, 1.0])
    return straight.all(1) & (shoulder > _HANGING).all(1)


def fit_gaussian(data: MotionCapture) -> tuple[np.ndarray, np.ndarray]:
    """Mean [63] and covariance [63, 63] (radians), symmetric between left and right."""
    upright = _is_upright(data.body_pose)
    if not upright.any():
        raise ValueError("no frame shows a person standing with hanging arms")
    standing = np.average(data.body_pose[upright], axis=0, weights=data.weights[upright])
    mean = 0.5 * (standing + mirror_body_pose(standing[None])[0])
    covariance = np.eye(len(mean)) * _FLOOR**2
    for poses in (data.body_pose, mirror_body_pose(data.body_pose)):
        centred = poses - mean
        covariance += 0.5 * (centred * data.weights[:, None]).T @ centred
    return mean, covariance
