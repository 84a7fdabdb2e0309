"""Which keypoints are joined by a bone, and how long a body bone is beside a person's height."""

from __future__ import annotations

from smplifyx.body.canonical_keypoints import BODY_KEYPOINT_NAMES, LEFT_HAND_KEYPOINTS, RIGHT_HAND_KEYPOINTS

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
