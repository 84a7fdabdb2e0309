"""The one keypoint layout used inside: 25 body, 2 x 21 hand, 51 face and 17 contour points.

The order is that of the vector which SMPLify-X concatenates from OpenPose's arrays.
"""

from __future__ import annotations

#: OpenPose BODY_25.
BODY_KEYPOINT_NAMES: tuple[str, ...] = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "mid_hip", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
    "right_eye", "left_eye", "right_ear", "left_ear",
    "left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel",
)  # fmt: skip

#: OpenPose hand: wrist, then four points from knuckle to tip for thumb, index, middle, ring, pinky.
HAND_KEYPOINT_NAMES: tuple[str, ...] = (
    "wrist",
    *(f"{finger}{k}" for finger in ("thumb", "index", "middle", "ring", "pinky") for k in (1, 2, 3, 4)),
)

CANONICAL_KEYPOINT_NAMES: tuple[str, ...] = (
    BODY_KEYPOINT_NAMES
    + tuple(f"left_hand_{name}" for name in HAND_KEYPOINT_NAMES)
    + tuple(f"right_hand_{name}" for name in HAND_KEYPOINT_NAMES)
    + tuple(f"face_{k}" for k in range(17, 68))
    + tuple(f"face_{k}" for k in range(17))
)
N_KEYPOINTS = len(CANONICAL_KEYPOINT_NAMES)

BODY_KEYPOINTS = slice(0, 25)
LEFT_HAND_KEYPOINTS = slice(25, 46)
RIGHT_HAND_KEYPOINTS = slice(46, 67)
FACE_KEYPOINTS = slice(67, 118)
CONTOUR_KEYPOINTS = slice(118, 135)
