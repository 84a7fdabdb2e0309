"""Drawings of keypoints."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from smplifyx.skeleton import BODY_BONE_LENGTHS, BODY_KEYPOINTS, CANONICAL_KEYPOINT_NAMES, HAND_KEYPOINTS, Bone

#: Bones of one hand, as positions in its 21 points.
_HAND_BONES: tuple[Bone, ...] = tuple((0 if k % 4 == 1 else k - 1, k) for k in range(1, 21))
#: All bones of the canonical layout; the face has none.
BONES: tuple[Bone, ...] = (
    *BODY_BONE_LENGTHS,
    *((hand.start + a, hand.start + b) for hand in HAND_KEYPOINTS.values() for a, b in _HAND_BONES),
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
