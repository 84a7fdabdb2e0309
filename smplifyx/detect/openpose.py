"""Points and confidences as OpenPose gives them, from those of the networks.

Each point moves along the line from another one, by a share of their distance. Only shares with the same sign on
rendered people (against the model's keypoints) and on photos (against OpenPose's) are used.

A fit weights the square of a keypoint's error by the square of its confidence. So confidences are set by how far
points of the same raw confidence are from the truth of rendered people, and from OpenPose's on photos.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smplifyx.detect.crops import FloatArray
from smplifyx.skeleton import BODY_KEYPOINT_NAMES, HAND_KEYPOINT_NAMES, SIDES

#: (point, the one it moves away from, share of their distance), for both sides; negative: towards it.
_BODY_SHIFTS = (
    ("{side}_ear", "{other}_ear", 0.11),
    ("{side}_shoulder", "{other}_shoulder", -0.015),
    ("{side}_wrist", "{side}_elbow", -0.025),
    ("{side}_ankle", "{side}_knee", 0.03),
)
#: The networks' wrist is the crease below the palm.
_HAND_SHIFTS = (("wrist", "middle1", 0.12),)
#: Raw confidences of the columns below; between them, confidences are interpolated.
_RAW = (0.0, 0.02, 0.1, 0.3, 0.5, 1.0)
#: Hips are never sure: other data place them elsewhere. Wrists and elbows of low confidence are off by a forearm.
#: Hidden feet are placed from the rest of the leg, and better than their low confidence says.
_CALIBRATED = {
    "head": (0.0, 0.02, 0.1, 0.25, 0.4, 0.8),
    "shoulder": (0.0, 0.1, 0.2, 0.3, 0.4, 0.75),
    "elbow": (0.0, 0.1, 0.2, 0.3, 0.4, 0.8),
    "wrist": (0.0, 0.05, 0.1, 0.2, 0.55, 0.8),
    "hip": (0.0, 0.1, 0.15, 0.25, 0.4, 0.55),
    "knee": (0.0, 0.05, 0.15, 0.25, 0.5, 0.8),
    "ankle": (0.0, 0.1, 0.2, 0.25, 0.5, 0.8),
    "big_toe": (0.0, 0.1, 0.2, 0.25, 0.5, 0.7),
    "heel": (0.0, 0.1, 0.2, 0.25, 0.5, 0.7),
}
#: Neck and middle of the hips are means of two points, little evidence of their own.
_DERIVED = {"neck": ("shoulder", 0.75), "mid_hip": ("hip", 0.95)}
_HEAD = ("nose", "eye", "ear")


def body_as_openpose(body: FloatArray) -> FloatArray:
    """BODY_25 points [25, 3] with OpenPose's definitions; unseen points and confidences stay."""
    shifts = [
        (point.format(side=side, other=other), start.format(side=side, other=other), share)
        for point, start, share in _BODY_SHIFTS
        for side, other in (SIDES, SIDES[::-1])
    ]
    return _moved(body, BODY_KEYPOINT_NAMES, shifts)


def hand_as_openpose(hand: FloatArray) -> FloatArray:
    """The same for the points [21, 3] of a hand."""
    return _moved(hand, HAND_KEYPOINT_NAMES, _HAND_SHIFTS)


def _moved(points: FloatArray, names: Sequence[str], shifts: Sequence[tuple[str, str, float]]) -> FloatArray:
    moved = points.copy()
    for point, start, share in shifts:
        k, origin = names.index(point), names.index(start)
        if min(points[k, 2], points[origin, 2]) > 0:
            moved[k, :2] += share * (points[k, :2] - points[origin, :2])
    return moved


def calibrated(raw: FloatArray) -> FloatArray:
    """Confidences [25] of BODY_25 from the networks' own ones."""
    found = raw.copy()
    for number, name in enumerate(BODY_KEYPOINT_NAMES):
        part, factor = _DERIVED.get(name, (name.split("_", 1)[-1], 1.0))
        part = "head" if part in _HEAD else part
        if part in _CALIBRATED:
            found[number] = factor * np.interp(raw[number], _RAW, _CALIBRATED[part])
    return found
