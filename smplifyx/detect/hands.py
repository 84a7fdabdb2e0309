"""Hands of a body: a palm is looked for round the wrist, then its 21 points are placed (Zhang et al. 2020)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from smplifyx.detect.anchors import AnchorDetector, Found
from smplifyx.detect.body import BodyPoints
from smplifyx.detect.crops import Crop, FloatArray, Photo, upright_angle
from smplifyx.detect.runtime import Network

#: Wrist, little finger, index finger and elbow of each side among the body's points.
_ARMS = {"left": (15, 17, 19, 13), "right": (16, 18, 20, 14)}
#: Points of the palm, by which a crop is centred.
_PALM = [0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18]
_MIN_WRIST, _MIN_SCORE, _TRY_SCORE = 0.2, 0.5, 0.3
#: A palm further from the wrist than this share of the forearm belongs to another person.
_MAX_DISTANCE = 0.45
_PALM_CROP, _HAND_CROP, _RECROP = 2.6, 2.0, 2.7
#: Mean distance, in the size of a hand, at which two lists show the same hand.
_SAME = 0.35
#: A placed hand whose wrist is further from the body's wrist than this share of its size, or smaller than this many
#: pixels, is wrong more often than right.
_MAX_WRIST_DISTANCE, _MIN_SIZE = 0.5, 16.0
#: Crops from the arm alone: the size of a hand in forearms and in the body's crop, the side of the crop in hands, and
#: the centre's distance from the wrist in hands.
_ARM_SIZE, _BODY_SIZE, _ARM_CROP, _ARM_SHIFT = 0.9, 0.06, 1.6, 0.25


class Hand(NamedTuple):
    """``score`` 0..1 and ``points`` [21, 2], pixels, in OpenPose's order."""

    score: float
    points: FloatArray


class HandNetwork:
    """Finder of both hands of a body.

    Args:
        threads: processor threads.
    """

    def __init__(self, threads: int = 1) -> None:
        self._palms = AnchorDetector("palm_detection_full", [8, 16, 16, 16], 7, (0.0, 1.0), threads=threads)
        self._recrop = Network("hand_recrop", threads)
        self._landmarks = Network("hand_landmark_full", threads)

    def __call__(self, photo: Photo, body: BodyPoints) -> dict[str, Hand]:
        """Hands by side; a hand that both wrists claim goes to the nearer one."""
        found = {side: self._hand(photo, body, side) for side in _ARMS}
        left, right = found["left"], found["right"]
        if left and right:
            apart = float(np.linalg.norm(left.points - right.points, axis=1).mean())
            if apart < _SAME * float(np.ptp(left.points, axis=0).max()):
                distances = {
                    side: np.linalg.norm(hand.points[0] - body.points[_ARMS[side][0]])
                    for side, hand in (("left", left), ("right", right))
                }
                del found[max(distances, key=lambda side: distances[side])]
        return {side: hand for side, hand in found.items() if hand is not None}

    def _hand(self, photo: Photo, body: BodyPoints, side: str) -> Hand | None:
        wrist, little, index, elbow = _ARMS[side]
        if body.confidence[wrist] < _MIN_WRIST:
            return None
        points = body.points
        middle = (2.0 * points[index] + points[little]) / 3.0
        reach, forearm = np.hypot(*(middle - points[wrist])), np.hypot(*(points[wrist] - points[elbow]))
        if max(reach, forearm) < 1.0:
            return None
        window = max(2.0 * _RECROP * reach, 1.6 * forearm, 0.15 * body.crop.side)
        limit = _MAX_DISTANCE * max(forearm, 2.0 * reach)
        palms = [
            (np.hypot(*(palm.points[0] - points[wrist])), palm)
            for palm in self._palms(photo, Crop((float(middle[0]), float(middle[1])), float(window)))
        ]
        near = sorted((pair for pair in palms if pair[0] < limit), key=lambda p: p[0] - 0.2 * forearm * p[1].score)
        hands = [self._place(photo, _palm_crop(palm), points[wrist]) for _, palm in near[:2]]
        best = max((hand for hand in hands if hand is not None), key=lambda hand: hand.score, default=None)
        if best is not None:
            return best
        guesses = [self._guess(photo, points[wrist], middle)]
        guesses += _arm_crops(points[elbow], points[wrist], middle, body.crop.side)
        placed = (self._place(photo, crop, points[wrist]) for crop in guesses if crop is not None)
        return next((hand for hand in placed if hand is not None), None)

    def _guess(self, photo: Photo, wrist: FloatArray, middle: FloatArray) -> Crop | None:
        """A crop from the body's own points of the hand, corrected by a small network."""
        up = middle - wrist
        length = 2.0 * float(np.hypot(*up))
        if length < 2.0:
            return None
        center = middle + 0.1 * up
        crop = Crop((float(center[0]), float(center[1])), _RECROP * length, upright_angle(up))
        n = self._recrop.side
        (output,) = self._recrop(crop.cut(photo, n).astype(np.float32) / 255.0).values()
        ends = output.reshape(2, 2)
        ends = crop.to_photo(ends * n if np.abs(ends).max() <= 2.0 else ends, n)
        up = ends[1] - ends[0]
        return Crop((float(ends[0, 0]), float(ends[0, 1])), 2.0 * float(np.hypot(*up)), upright_angle(up))

    def _place(self, photo: Photo, crop: Crop, wrist: FloatArray) -> Hand | None:
        """Points in two passes, the second in a crop around those of the first; None for a hand of another arm."""
        n = self._landmarks.side
        for _ in range(2):
            if crop.side < 4.0:
                return None
            output = self._landmarks(crop.cut(photo, n).astype(np.float32) / 255.0)
            score = float(output["Identity_1"][0])
            if score < _TRY_SCORE:
                return None
            points = crop.to_photo(output["Identity"].reshape(21, 3)[:, :2], n)
            crop = _hand_crop(points)
        size = float(np.ptp(points, axis=0).max())
        fits = size >= _MIN_SIZE and np.hypot(*(points[0] - wrist)) < _MAX_WRIST_DISTANCE * size
        return Hand(score, points) if fits and score >= _MIN_SCORE else None


def _arm_crops(elbow: FloatArray, wrist: FloatArray, middle: FloatArray, body_side: float) -> list[Crop]:
    """Crops of a hand that continues the forearm, and of one that the body's points of the hand show."""
    forearm, hand = wrist - elbow, middle - wrist
    length = float(np.hypot(*forearm))
    size = max(_ARM_SIZE * length, _BODY_SIZE * body_side)
    ahead = wrist + _ARM_SHIFT * size * forearm / max(length, 1e-6)
    return [
        Crop((float(x), float(y)), _ARM_CROP * size, upright_angle(up))
        for (x, y), up in ((ahead, forearm), (middle, hand))
    ]


def _palm_crop(palm: Found) -> Crop:
    up = palm.points[2] - palm.points[0]
    return _ahead(palm.center, upright_angle(up), float(max(palm.size)), 0.5, _PALM_CROP)


def _hand_crop(points: FloatArray) -> Crop:
    knuckles = 0.25 * points[5] + 0.5 * points[9] + 0.25 * points[13]
    angle = upright_angle(knuckles - points[0])
    cos, sin = math.cos(angle), math.sin(angle)
    turn = np.array([[cos, sin], [-sin, cos]])
    palm = points[_PALM] @ turn.T
    low, high = palm.min(0), palm.max(0)
    return _ahead(turn.T @ ((low + high) / 2), angle, float((high - low).max()), 0.1, _HAND_CROP)


def _ahead(center: FloatArray, angle: float, size: float, shift: float, scale: float) -> Crop:
    """A crop ``scale`` times the size, shifted towards the finger tips."""
    x, y = center + shift * size * np.array([math.sin(angle), -math.cos(angle)])
    return Crop((float(x), float(y)), scale * size, angle)
