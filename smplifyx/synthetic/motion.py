"""Motions: body poses of consecutive frames, from motion capture or made up, and a place in the world for them.

Motion capture comes here as poses without the pelvis's orientation and place, so both are made: the trunk balances
above the feet, the heading turns slowly, the feet stand on the floor without sliding, and a body that its legs throw
upwards flies until they touch the floor again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation, Slerp

from smplifyx.synthetic.poses import Clip, PosePool

FloatArray = NDArray[np.float64]

#: Frames a second of the motion capture.
FPS = 30.0
#: Longest gap that dropped near-duplicates leave, frames.
_LONGEST_GAP = 6
#: Seconds from one made-up pose, facial expression or grip to the next.
_POSE_SECONDS, _DETAIL_SECONDS = 0.6, 0.5
_GRAVITY = 9.81
#: Vertices this far above the lowest one hardly support the body any more (metres).
_SUPPORT_DEPTH = 0.01
#: The feet are on the floor when they are this near to it (metres).
_CONTACT = 0.002
#: Seconds over which balance is kept, and largest tilt of the pelvis for it.
_BALANCE_SECONDS, _LARGEST_TILT_DEG = 0.3, 35.0
#: Typical speed of turning, degrees a second.
_TURNING_SD_DEG = 25.0


@dataclass(frozen=True)
class Motion:
    """Body poses ``body_pose`` [F, 63] of consecutive frames, axis-angle in radians, 30 a second."""

    name: str
    body_pose: FloatArray


def clip_motion(clip: Clip, start: int, n_frames: int) -> Motion:
    """Cut a motion out of a clip; frames that the clip lacks are interpolated.

    Args:
        clip: the clip.
        start: number of the first frame.
        n_frames: number of frames.
    """
    wanted = np.arange(start, start + n_frames)
    poses = clip.body_pose.reshape(len(clip.frames), -1, 3)
    turned = [
        Slerp(clip.frames, Rotation.from_rotvec(poses[:, joint]))(wanted).as_rotvec()
        for joint in range(poses.shape[1])
    ]
    return Motion(f"{clip.name} from {start}", np.stack(turned, axis=1).reshape(n_frames, -1))


def clip_motions(clips: Sequence[Clip], count: int, n_frames: int, rng: np.random.Generator) -> list[Motion]:
    """Draw motions, the subjects in turn; those without a clip that is long enough are left out.

    Args:
        clips: the clips.
        count: how many motions.
        n_frames: frames of each.
        rng: decides the clips and the first frames.

    Raises:
        ValueError: no clip is long enough.
    """
    starts = {clip.name: _starts(clip, n_frames) for clip in clips}
    long_enough = [clip for clip in clips if len(starts[clip.name])]
    if not long_enough:
        raise ValueError(f"no clip has {n_frames} frames without a longer gap than {_LONGEST_GAP}")
    subjects = sorted({clip.subject for clip in long_enough})
    rng.shuffle(subjects)
    motions = []
    for number in range(count):
        subject = subjects[number % len(subjects)]
        own = [clip for clip in long_enough if clip.subject == subject]
        clip = own[rng.integers(len(own))]
        motions.append(clip_motion(clip, int(rng.choice(starts[clip.name])), n_frames))
    return motions


def _starts(clip: Clip, n_frames: int) -> NDArray[np.int64]:
    """First frames of all stretches of the clip that have the length and no long gap."""
    far = np.searchsorted(clip.frames, clip.frames + n_frames - 1)
    long_gaps = np.concatenate([[0], np.cumsum(np.diff(clip.frames) > _LONGEST_GAP)])
    inside = far < len(clip.frames)
    unbroken = long_gaps[np.minimum(far, len(clip.frames) - 1)] == long_gaps
    return np.asarray(clip.frames[inside & unbroken])


def mild_motion(poses: PosePool, n_frames: int, rng: np.random.Generator) -> Motion:
    """Make up a motion: smooth transitions between drawn poses, for use without motion capture.

    Args:
        poses: poses to draw from.
        n_frames: number of frames.
        rng: source of all randomness.
    """
    keys = _key_times(n_frames, _POSE_SECONDS)
    drawn = np.stack([poses.draw(rng) for _ in keys])
    return Motion("mild", np.asarray(CubicSpline(keys, drawn)(np.arange(n_frames) / FPS)))


def smooth_random(rng: np.random.Generator, n_frames: int, size: int) -> FloatArray:
    """Numbers [F, size] that vary smoothly; at any time their standard deviation is about one."""
    keys = _key_times(n_frames, _DETAIL_SECONDS)
    return np.asarray(CubicSpline(keys, rng.standard_normal((len(keys), size)))(np.arange(n_frames) / FPS))


def _key_times(n_frames: int, seconds: float) -> FloatArray:
    return np.asarray(np.arange(int(np.ceil(n_frames / FPS / seconds)) + 2) * seconds, np.float64)


def orientations(points: FloatArray, feet: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Orientations [F, 3, 3] of a body in the world (y up): balanced above the feet, turning slowly.

    At heading zero the face looks along z.

    Args:
        points: [F, N, 3] points spread over the body as its mass is, in the frame of the pelvis, metres.
        feet: [F, M, 3] the same of the feet.
        rng: decides the heading.
    """
    n_frames = len(points)
    up = gaussian_filter1d(points.mean(axis=1) - feet.mean(axis=1), _BALANCE_SECONDS * FPS, axis=0, mode="nearest")
    up /= np.linalg.norm(up, axis=1, keepdims=True)
    axis = np.cross(up, [0.0, 1.0, 0.0])
    sine = np.linalg.norm(axis, axis=1, keepdims=True)
    angle = np.minimum(np.arctan2(sine, up[:, 1:2]), np.radians(_LARGEST_TILT_DEG))
    tilt = Rotation.from_rotvec(axis / np.maximum(sine, 1e-9) * angle)
    facing = rng.random() < 0.75
    first = rng.normal(0.0, 40.0) if facing else rng.uniform(-180.0, 180.0)
    turned = np.cumsum(_TURNING_SD_DEG / FPS * smooth_random(rng, n_frames, 1)[:, 0])
    return np.asarray((Rotation.from_euler("y", (first + turned)[:, None], degrees=True) * tilt).as_matrix())


def stand_on_floor(vertices: FloatArray) -> FloatArray:
    """Translations [F, 3] that put a moving body on the floor y = 0, metres.

    Points on the floor do not slide. The body leaves the floor where its weight could not pull it down as fast
    as its legs are drawn up, and flies on with the velocity that it has.

    Args:
        vertices: [F, V, 3] turned, but in the pelvis's place; metres, 30 frames a second.
    """
    heights = vertices[..., 1]
    needed = gaussian_filter1d(-heights.min(axis=1), 1.0, mode="nearest")
    height = needed.copy()
    for frame in range(2, len(height)):
        falling = 2.0 * height[frame - 1] - height[frame - 2] - _GRAVITY / FPS**2
        height[frame] = max(needed[frame], falling)
    lifted = height > needed + _CONTACT
    above = heights - heights.min(axis=1, keepdims=True)
    weights = np.exp(-np.maximum(above[1:], above[:-1]) / _SUPPORT_DEPTH)
    steps = -np.einsum("fv,fvc->fc", weights, np.diff(vertices, axis=0)) / weights.sum(axis=1, keepdims=True)
    for frame in range(1, len(steps)):
        if lifted[frame] and lifted[frame + 1]:
            steps[frame] = steps[frame - 1]
    places = np.concatenate([np.zeros((1, 3)), np.cumsum(gaussian_filter1d(steps, 0.7, axis=0, mode="nearest"), 0)])
    places[:, 1] = height
    return places
