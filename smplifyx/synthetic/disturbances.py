"""Gross faults in the keypoints of a video: exchanged sides, missing limbs, another person, gaps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smplifyx.skeleton import BODY_KEYPOINTS, MIRRORED_KEYPOINTS
from smplifyx.synthetic.detector import keypoint_groups

FloatArray = NDArray[np.float64]

#: Faults and their shortest and longest duration, frames.
DURATIONS = {"swapped": (1, 2), "limb": (3, 6), "person": (1, 2), "gap": (3, 8)}
#: Frames for each fault, and clean frames before the first, between two and after the last.
_FRAMES_PER_FAULT, _CLEAN = 16, 3


def plan_faults(n_frames: int, rng: np.random.Generator) -> list[str]:
    """Draw the fault of each frame: a key of :data:`DURATIONS`, or an empty text for a clean frame."""
    plan = [""] * n_frames
    kinds = rng.permutation(list(DURATIONS))
    for number in range(n_frames // _FRAMES_PER_FAULT):
        kind = str(kinds[number % len(kinds)])
        low, high = DURATIONS[kind]
        length = int(rng.integers(low, high + 1))
        room = _FRAMES_PER_FAULT - length - 2 * _CLEAN
        start = number * _FRAMES_PER_FAULT + _CLEAN + int(rng.integers(max(room, 0) + 1))
        plan[start : start + length] = [kind] * length
    return plan


def disturb(keypoints: FloatArray, plan: list[str], rng: np.random.Generator) -> FloatArray:
    """Apply faults to the keypoints [F, 135, 3] of a video; frames of a gap have confidence zero throughout.

    A fault that lasts several frames is the same in all of them.
    """
    found = keypoints.copy()
    groups = keypoint_groups()
    start = 0
    for stop in range(1, len(plan) + 1):
        if stop < len(plan) and plan[stop] == plan[start]:
            continue
        span = slice(start, stop)
        if plan[start] == "swapped":
            limb = ("arms", "legs")[int(rng.integers(2))]
            found[span] = keypoints[span][:, groups.swapped[limb]]
        elif plan[start] == "limb":
            gone = groups.missed_together[int(rng.integers(len(groups.missed_together)))] > 0
            found[span][:, gone] = 0.0
        elif plan[start] == "person":
            found[span] = _another_person(keypoints, span, rng)
        elif plan[start] == "gap":
            found[span] = 0.0
        start = stop
    return found


def _another_person(keypoints: FloatArray, span: slice, rng: np.random.Generator) -> FloatArray:
    """Keypoints of another person beside the person: their mirror image in another part of the video."""
    n_frames = len(keypoints)
    others = (np.arange(span.start, span.stop) + n_frames // 2) % n_frames
    other = keypoints[others][:, list(MIRRORED_KEYPOINTS)]
    seen = other[..., 2] > 0
    body = keypoints[span][:, BODY_KEYPOINTS]
    visible = body[body[..., 2] > 0]
    if not len(visible) or not seen.any():
        return keypoints[span]
    middle = float(np.median(other[seen][:, 0]))
    size = float(np.ptp(visible[:, :2], axis=0).max())
    other[..., 0] = 2.0 * middle - other[..., 0] + (0.5 if rng.random() < 0.5 else -0.5) * size
    return np.where(seen[..., None], other, 0.0)
