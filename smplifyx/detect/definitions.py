"""Points moved from where the networks define them to where OpenPose does.

Each point moves along the line from another one, by a share of their distance. Only shares with the same sign on
rendered people (against the model's keypoints) and on photos (against OpenPose's) are used.
"""

from __future__ import annotations

from collections.abc import Sequence

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
