"""Observed keypoints on a photo."""

from __future__ import annotations

import itertools

import cv2
import numpy as np

from smplifyx.body.canonical_keypoints import (
    BODY_KEYPOINT_NAMES,
    BODY_KEYPOINTS,
    LEFT_HAND_KEYPOINTS,
    RIGHT_HAND_KEYPOINTS,
)

_LIMBS = (
    ("nose", "neck"), ("neck", "mid_hip"), ("nose", "right_eye"), ("nose", "left_eye"), ("right_eye", "right_ear"),
    ("left_eye", "left_ear"),
    *((f"{side}_{a}", f"{side}_{b}") for side in ("left", "right") for a, b in (
        ("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"), ("ankle", "heel"),
        ("ankle", "big_toe"), ("big_toe", "small_toe"))),
    *((middle, f"{side}_{end}") for side in ("left", "right") for middle, end in (
        ("neck", "shoulder"), ("mid_hip", "hip"))),
)  # fmt: skip
#: BGR: the person's left is orange, the right is blue, the middle and the face are green.
_LEFT, _RIGHT, _MIDDLE = (40, 140, 255), (255, 150, 50), (90, 200, 90)


def draw_keypoints(image_bgr: np.ndarray, keypoints_2d: np.ndarray, min_confidence: float = 0.05) -> np.ndarray:
    """A copy of the photo `[H, W, 3]` with one person's keypoints (x, y, confidence) `[135, 3]` as a stick figure.

    Keypoints below ``min_confidence`` are left out. Left limbs are orange, right ones blue, the middle green.
    """
    picture = image_bgr.copy()
    thickness = max(1, round(_height(keypoints_2d, min_confidence) / 200))
    for start, end, color in _segments():
        if min(keypoints_2d[start, 2], keypoints_2d[end, 2]) > min_confidence:
            ends = [tuple(int(v) for v in np.rint(keypoints_2d[k, :2])) for k in (start, end)]
            cv2.line(picture, ends[0], ends[1], color, thickness, cv2.LINE_AA)
    for index, (x, y, confidence) in enumerate(keypoints_2d):
        if confidence > min_confidence:
            radius = thickness + 1 if index < BODY_KEYPOINTS.stop else thickness
            cv2.circle(picture, (round(float(x)), round(float(y))), radius, _color(index), -1, cv2.LINE_AA)
    return picture


def _segments() -> list[tuple[int, int, tuple[int, int, int]]]:
    pairs = [(BODY_KEYPOINT_NAMES.index(a), BODY_KEYPOINT_NAMES.index(b)) for a, b in _LIMBS]
    for hand in (LEFT_HAND_KEYPOINTS, RIGHT_HAND_KEYPOINTS):
        for finger in range(5):
            chain = [hand.start, *range(hand.start + 1 + 4 * finger, hand.start + 5 + 4 * finger)]
            pairs += list(itertools.pairwise(chain))
    return [(a, b, _color(b)) for a, b in pairs]


def _color(index: int) -> tuple[int, int, int]:
    if index < BODY_KEYPOINTS.stop:
        name = BODY_KEYPOINT_NAMES[index]
        return _LEFT if name.startswith("left_") else _RIGHT if name.startswith("right_") else _MIDDLE
    if index < LEFT_HAND_KEYPOINTS.stop:
        return _LEFT
    return _RIGHT if index < RIGHT_HAND_KEYPOINTS.stop else _MIDDLE


def _height(keypoints_2d: np.ndarray, min_confidence: float) -> float:
    seen = keypoints_2d[keypoints_2d[:, 2] > min_confidence, 1]
    return float(np.ptp(seen)) if len(seen) else 0.0
