"""Bones between keypoints with their lengths, and drawings of keypoints."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from smplifyx.skeleton import (
    BODY_KEYPOINT_NAMES,
    BODY_KEYPOINTS,
    CANONICAL_KEYPOINT_NAMES,
    LEFT_HAND_KEYPOINTS,
    RIGHT_HAND_KEYPOINTS,
)

Bone = tuple[int, int]


def _bone(a: str, b: str) -> Bone:
    return BODY_KEYPOINT_NAMES.index(a), BODY_KEYPOINT_NAMES.index(b)


#: Body bones and their length as a fraction of stature, rough adult averages (after Drillis and Contini, 1966).
BODY_BONE_LENGTHS: dict[Bone, float] = {
    _bone("nose", "neck"): 0.12,
    _bone("neck", "mid_hip"): 0.29,
    **{
        _bone(a.format(side), b.format(side)): length
        for side in ("left", "right")
        for a, b, length in (
            ("nose", "{}_eye", 0.03),
            ("{}_eye", "{}_ear", 0.05),
            ("neck", "{}_shoulder", 0.10),
            ("{}_shoulder", "{}_elbow", 0.18),
            ("{}_elbow", "{}_wrist", 0.15),
            ("mid_hip", "{}_hip", 0.06),
            ("{}_hip", "{}_knee", 0.24),
            ("{}_knee", "{}_ankle", 0.24),
            ("{}_ankle", "{}_heel", 0.05),
            ("{}_ankle", "{}_big_toe", 0.12),
            ("{}_big_toe", "{}_small_toe", 0.05),
        )
    },
}

#: The bones of one hand, as positions in its 21 points.
HAND_BONES: tuple[Bone, ...] = tuple((0 if k % 4 == 1 else k - 1, k) for k in range(1, 21))

#: All bones of the canonical layout; the face has none.
BONES: tuple[Bone, ...] = (
    *BODY_BONE_LENGTHS,
    *(
        (part.start + a, part.start + b)
        for part in (LEFT_HAND_KEYPOINTS, RIGHT_HAND_KEYPOINTS)
        for a, b in HAND_BONES
    ),
)


# Blue, green, red: orange on the person's left, blue on the right.
LEFT_COLOUR, RIGHT_COLOUR, MIDDLE_COLOUR, FACE_COLOUR = (40, 140, 255), (255, 150, 40), (90, 220, 90), (235, 235, 235)


def draw_keypoints(
    image: NDArray[np.uint8], keypoints: NDArray[np.float32], min_confidence: float = 0.1
) -> NDArray[np.uint8]:
    """Draw one person's keypoints and bones; the strokes grow with the image.

    The person's left side is orange, the right side blue, the middle green, the face white.

    Args:
        image: uint8 `[H, W, 3]`, blue, green, red; it is not changed.
        keypoints: `[135, 3]`, canonical layout.
        min_confidence: points at or below it are left out.

    Returns:
        A copy of the image with the drawing on it.
    """
    canvas = image.copy()
    unit = max(image.shape[:2]) / 700
    visible = keypoints[:, 2] > min_confidence
    for a, b in BONES:
        if visible[a] and visible[b]:
            is_body = max(a, b) < BODY_KEYPOINTS.stop
            colour = _colour(b) if _colour(a) == MIDDLE_COLOUR else _colour(a)
            thickness = max(1, round((2.2 if is_body else 1.2) * unit))
            cv2.line(canvas, _pixel(keypoints[a]), _pixel(keypoints[b]), colour, thickness, cv2.LINE_AA)
    for k in np.flatnonzero(visible):
        radius = max(1, round((3.0 if k < BODY_KEYPOINTS.stop else 1.4) * unit))
        cv2.circle(canvas, _pixel(keypoints[k]), radius, _colour(int(k)), cv2.FILLED, cv2.LINE_AA)
    return canvas


def _colour(k: int) -> tuple[int, int, int]:
    name = CANONICAL_KEYPOINT_NAMES[k]
    sides = {"left": LEFT_COLOUR, "right": RIGHT_COLOUR, "face": FACE_COLOUR}
    return sides.get(name.split("_")[0], MIDDLE_COLOUR)


def _pixel(point: NDArray[np.float32]) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))
