"""Keypoints that do not belong to the body they come with: they are corrected where that is certain, else dropped.

Distances are fractions of the person's stature in the picture. On photos with OpenPose's keypoints a hand's own wrist
lies within 0.09 of the body's, the neck within 0.045 of the middle of the shoulders, the tip of the nose of the face
within 0.015 of the body's nose, and no bone is longer than 1.75 times its usual length.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smplifyx.keypoints.layouts import DERIVED_WEIGHT
from smplifyx.keypoints.reading import PersonKeypoints
from smplifyx.skeleton import (
    BODY_BONE_LENGTHS,
    BODY_KEYPOINT_NAMES,
    BODY_KEYPOINTS,
    HAND_KEYPOINTS,
    HEAD_KEYPOINT_NAMES,
    LEFT_HAND_KEYPOINTS,
    RIGHT_HAND_KEYPOINTS,
    SIDES,
    WHOLE_FACE_KEYPOINTS,
    keypoint_index,
)

#: Flags of results.
HANDS_SWAPPED, HAND_MOVED, HAND_DROPPED = "hands_swapped", "hand_moved", "hand_dropped"
FACE_DROPPED, POINT_DROPPED, POINT_REPLACED = "face_dropped", "point_dropped", "point_replaced"

#: Body points of less confidence are no evidence against others.
_MIN_EVIDENCE = 0.2
#: A hand whose wrist is further from the body's wrist lies elsewhere; one nearer than the second value lies there.
_FAR_HAND, _NEAR_HAND = 0.13, 0.07
#: A hand further from its elbow lies elsewhere, where the wrist is not seen.
_FAR_FROM_ELBOW = 0.32
#: Two hands nearer to each other on average, point by point, are one hand.
_SAME_HAND = 0.025
#: A face further from the body's nose, eyes or ears lies elsewhere; likewise from the neck where these are not seen.
_FAR_FACE, _FAR_FROM_NECK = 0.08, 0.4
#: A neck, or middle of the hips, further from the middle of its two neighbours is wrong.
_FAR_MIDDLE = 0.075
#: A bone longer than this many times its usual length is impossible. Those of the head are short, so that noise
#: stretches them.
_LONGEST, _LONGEST_IN_HEAD = 2.2, 3.5

_MIDDLES = {"neck": ("left_shoulder", "right_shoulder"), "mid_hip": ("left_hip", "right_hip")}
#: Landmarks of the face at the points of the body's head.
_FACE_ANCHORS = {
    "nose": [keypoint_index("face_30")],
    "right_eye": [keypoint_index(f"face_{k}") for k in range(36, 42)],
    "left_eye": [keypoint_index(f"face_{k}") for k in range(42, 48)],
}


def stature_of(body: NDArray[np.float32], min_confidence: float = _MIN_EVIDENCE) -> float | None:
    """Estimate the stature in pixels from the longer bones of a body `[25, 3]`; None with fewer than two of them.

    A high percentile, because foreshortened bones are short.
    """
    heights = [
        float(np.linalg.norm(body[a, :2] - body[b, :2])) / length
        for (a, b), length in BODY_BONE_LENGTHS.items()
        if length >= 0.1 and min(body[a, 2], body[b, 2]) >= min_confidence
    ]
    return float(np.percentile(heights, 75)) if len(heights) >= 2 else None


def without_misplaced(person: PersonKeypoints) -> PersonKeypoints:
    """Correct or drop points, hands and the face that cannot belong to the body; notes and flags name them."""
    stature = stature_of(person.keypoints[BODY_KEYPOINTS])
    if stature is None or stature <= 0:
        return person
    check = _Check(person.keypoints.copy(), stature)
    check.body()
    check.hands()
    check.face()
    if not check.notes:
        return person
    return replace(
        person.with_keypoints(check.keypoints),
        warnings=(*person.warnings, *check.notes),
        flags=tuple(dict.fromkeys((*person.flags, *check.flags))),
    )


class _Check:
    """Change the keypoints of one person and note the changes."""

    def __init__(self, keypoints: NDArray[np.float32], stature: float) -> None:
        self.keypoints, self.stature = keypoints, stature
        self.notes: list[str] = []
        self.flags: list[str] = []

    def body(self) -> None:
        for middle, sides in _MIDDLES.items():
            point, pair = self._point(middle), [self._point(side) for side in sides]
            if point is None or pair[0] is None or pair[1] is None:
                continue
            if self._distance(point, (pair[0] + pair[1]) / 2) <= _FAR_MIDDLE:
                continue
            if all(self._fits(side, without=middle) for side in sides):
                self._replace_middle(middle, sides)
        # The worst point goes first: its neighbours may be blameless.
        for _ in range(len(BODY_KEYPOINT_NAMES)):
            worst = self._most_stretched()
            if worst is None:
                return
            self._drop_point(worst, "lies too far from the points next to it")
            self.stature = stature_of(self.keypoints[BODY_KEYPOINTS]) or self.stature

    def hands(self) -> None:
        wrists = {side: self._point(f"{side}_wrist") for side in SIDES}
        gaps = {(side, other): self._gap(side, wrists[other]) for side in SIDES for other in SIDES}
        far = {side: self._lies_elsewhere(side, wrists[side]) for side in SIDES}
        crossed = [gaps[side, other] for side, other in (("left", "right"), ("right", "left"))]
        if all(far.values()) and all(gap is not None and gap < _NEAR_HAND for gap in crossed):
            left, right = self.keypoints[LEFT_HAND_KEYPOINTS].copy(), self.keypoints[RIGHT_HAND_KEYPOINTS].copy()
            self.keypoints[LEFT_HAND_KEYPOINTS], self.keypoints[RIGHT_HAND_KEYPOINTS] = right, left
            self._note(HANDS_SWAPPED, "each hand lies at the other wrist; they are swapped back")
            return
        if self._is_one_hand():
            # The hand belongs to the nearer wrist; a wrist that is not seen loses it.
            own = {side: np.inf if gaps[side, side] is None else gaps[side, side] for side in SIDES}
            wrong = max(SIDES, key=lambda side: (own[side], -float(self.keypoints[HAND_KEYPOINTS[side], 2].sum())))
            self._drop_hand(wrong, "is the other hand once more")
            far[wrong] = False
        for side, other in (SIDES, SIDES[::-1]):
            if not far[side]:
                continue
            at_other = gaps[side, other]
            if at_other is not None and at_other < _NEAR_HAND and not self.keypoints[HAND_KEYPOINTS[other], 2].any():
                self.keypoints[HAND_KEYPOINTS[other]] = self.keypoints[HAND_KEYPOINTS[side]]
                self.keypoints[HAND_KEYPOINTS[side]] = 0
                self._note(HAND_MOVED, f"the {side} hand lies at the {other} wrist and counts as the {other} hand")
            else:
                self._drop_hand(side, f"lies far from the {side} arm")

    def face(self) -> None:
        points = self.keypoints[WHOLE_FACE_KEYPOINTS]
        points = points[points[:, 2] > 0, :2]
        if len(points) == 0:
            return
        gaps = []
        for name, landmarks in _FACE_ANCHORS.items():
            own, seen = self._point(name), self.keypoints[landmarks]
            if own is not None and (seen[:, 2] > 0).any():
                gaps.append(self._distance(seen[seen[:, 2] > 0, :2].mean(axis=0), own))
        limit = _FAR_FACE
        if not gaps:  # from behind or the side, the ears or the neck must do
            ears = [point for point in (self._point("left_ear"), self._point("right_ear")) if point is not None]
            neck = self._point("neck")
            if ears:
                gaps, limit = [self._distance(points.mean(axis=0), ear) for ear in ears], 2 * _FAR_FACE
            elif neck is not None:
                gaps, limit = [self._distance(points.mean(axis=0), neck)], _FAR_FROM_NECK
        if gaps and min(gaps) > limit:
            self.keypoints[WHOLE_FACE_KEYPOINTS] = 0
            self._note(FACE_DROPPED, "the face does not lie on this head and counts as unseen")

    def _point(self, name: str) -> NDArray[np.float32] | None:
        x, y, confidence = self.keypoints[keypoint_index(name)]
        return np.array([x, y], np.float32) if confidence >= _MIN_EVIDENCE else None

    def _distance(self, a: NDArray[np.floating[Any]], b: NDArray[np.floating[Any]]) -> float:
        return float(np.linalg.norm(a - b)) / self.stature

    def _stretches(self, name: str, without: str = "") -> list[float]:
        """Lengths of the bones at a point as shares of the longest possible ones."""
        k, found = keypoint_index(name), []
        for bone, length in BODY_BONE_LENGTHS.items():
            names = [BODY_KEYPOINT_NAMES[end] for end in bone]
            points = [self._point(end) for end in names]
            if k not in bone or without in names or points[0] is None or points[1] is None:
                continue
            longest = _LONGEST_IN_HEAD if set(names) <= set(HEAD_KEYPOINT_NAMES) else _LONGEST
            found.append(self._distance(points[0], points[1]) / (length * longest))
        return found

    def _fits(self, name: str, without: str) -> bool:
        """Whether a point agrees with those next to it; True where there are none."""
        return all(share <= 1.0 for share in self._stretches(name, without))

    def _most_stretched(self) -> str | None:
        """The point whose bones are all impossible, the most so; None if there is none."""
        worst = {}
        for name in BODY_KEYPOINT_NAMES:
            shares = self._stretches(name)
            if shares and min(shares) > 1.0:
                worst[name] = (len(shares), min(shares))
        if not worst:
            return None
        best = max(worst.values())
        names = [name for name, value in worst.items() if value == best]
        # Of two points with only one bone between them, the outer one: it comes later in its limb.
        return names[-1]

    def _gap(self, side: str, wrist: NDArray[np.float32] | None) -> float | None:
        hand = self.keypoints[HAND_KEYPOINTS[side]]
        seen = hand[hand[:, 2] > 0, :2]
        if wrist is None or len(seen) == 0:
            return None
        return self._distance(hand[0, :2], wrist) if hand[0, 2] > 0 else self._nearest(seen, wrist)

    def _nearest(self, points: NDArray[np.float32], point: NDArray[np.float32]) -> float:
        return float(np.linalg.norm(points - point, axis=1).min()) / self.stature

    def _lies_elsewhere(self, side: str, wrist: NDArray[np.float32] | None) -> bool:
        gap, elbow = self._gap(side, wrist), self._point(f"{side}_elbow")
        if gap is not None:
            return gap > _FAR_HAND
        hand = self.keypoints[HAND_KEYPOINTS[side]]
        seen = hand[hand[:, 2] > 0, :2]
        return elbow is not None and len(seen) > 0 and self._nearest(seen, elbow) > _FAR_FROM_ELBOW

    def _is_one_hand(self) -> bool:
        left, right = self.keypoints[LEFT_HAND_KEYPOINTS], self.keypoints[RIGHT_HAND_KEYPOINTS]
        both = (left[:, 2] > 0) & (right[:, 2] > 0)
        if both.sum() < 4:
            return False
        return float(np.linalg.norm(left[both, :2] - right[both, :2], axis=1).mean()) < _SAME_HAND * self.stature

    def _drop_hand(self, side: str, problem: str) -> None:
        self.keypoints[HAND_KEYPOINTS[side]] = 0
        self._note(HAND_DROPPED, f"the {side} hand {problem} and counts as unseen")

    def _replace_middle(self, middle: str, sides: tuple[str, str]) -> None:
        pair = self.keypoints[[keypoint_index(side) for side in sides]]
        point = (*pair[:, :2].mean(axis=0), DERIVED_WEIGHT * pair[:, 2].min())
        self.keypoints[keypoint_index(middle)] = point
        self._note(
            POINT_REPLACED, f"{middle} does not lie between {sides[0]} and {sides[1]}; their middle replaces it"
        )

    def _drop_point(self, name: str, problem: str) -> None:
        self.keypoints[keypoint_index(name)] = 0
        self._note(POINT_DROPPED, f"{name} {problem} and counts as unseen")

    def _note(self, flag: str, note: str) -> None:
        self.flags.append(flag)
        self.notes.append(note)
