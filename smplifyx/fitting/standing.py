"""People who stand in the picture stand in depth too: evidence for it, and the energy that follows from it.

One photo hardly shows whether a trunk or a leg leans towards the camera: a lean of 20 degrees shortens it by 6 %,
no more than what shapes and detectors vary by. But legs that look straight and long are seldom bent in depth.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from smplifyx.body import skeleton
from smplifyx.body.canonical_keypoints import BODY_KEYPOINT_NAMES

_SEEN = 0.3
#: In trunks; a leg shorter than the minimum points towards the camera.
_STANDING_LEG_LENGTH = 1.5
_MIN_LEG_LENGTH = 1.25
_MIN_STRAIGHTNESS = 0.96
#: Feet further apart in height than this share of a leg do not stand side by side.
_MAX_FEET_DIFFERENCE = 0.08
#: Cosine of the largest angle between a leg and the trunk's continuation.
_MIN_ALIGNMENT = 0.85


class _Segment(NamedTuple):
    start: str
    end: str
    #: Sine of the tilt beyond which the segment is simply not upright, and the energy lets go.
    large_tilt: float


_TRUNK = _Segment("pelvis", "neck", 0.12)
_LEGS = tuple(
    _Segment(f"{side}_{start}", f"{side}_{end}", 0.2)
    for side in ("left", "right")
    for start, end in (("hip", "knee"), ("knee", "ankle"))
)
_LOOSE_TRUNK = _TRUNK._replace(large_tilt=0.35)


def trunk_tilt_energy(joints: Tensor) -> Tensor:
    """Energy [B] of a trunk that leans towards or away from the camera, for joints [B, J, 3] in its frame."""
    return _tilt_energy(joints, _LOOSE_TRUNK)


def standing_energy(joints: Tensor, looseness: float = 1.0) -> Tensor:
    """Energy [B] of a standing person's trunk and legs that lean towards or away from the camera.

    Args:
        joints: [B, J, 3] in the camera frame.
        looseness: factor of the tilts beyond which the energy lets go; early stages take more, to pull from afar.
    """
    trunk, *legs = (
        _tilt_energy(joints, segment._replace(large_tilt=looseness * segment.large_tilt))
        for segment in (_TRUNK, *_LEGS)
    )
    return 2.5 * trunk + 0.5 * torch.stack(legs).sum(0)


def _tilt_energy(joints: Tensor, segment: _Segment) -> Tensor:
    """Robust squared sine of the angle between a segment and the image plane (Geman & McClure)."""
    line = joints[:, skeleton.joint_index(segment.end)] - joints[:, skeleton.joint_index(segment.start)]
    squared = line[:, 2].square() / line.square().sum(1)
    return squared * segment.large_tilt**2 / (squared + segment.large_tilt**2)


def seems_to_stand(keypoints: Tensor, confidence: Tensor) -> Tensor:
    """Whether [B] nothing in the picture speaks against standing.

    That is: every leg that is seen is straight, long for the trunk, and continues it, and both feet are equally far
    down. Where no leg is seen, or no
    trunk to compare with, a person counts as standing: half-figures that squat below the frame are rare.

    Args:
        keypoints: [B, 135, 2] pixels.
        confidence: [B, 135].
    """

    def point(name: str) -> Tensor:
        return keypoints[:, BODY_KEYPOINT_NAMES.index(name)]

    def seen(*names: str) -> Tensor:
        return confidence[:, [BODY_KEYPOINT_NAMES.index(name) for name in names]].amin(1) > _SEEN

    trunk = point("mid_hip") - point("neck")
    trunk_length = trunk.norm(dim=1).clamp_min(1e-3)
    down = trunk / trunk_length[:, None]
    feet = ((point("left_ankle") - point("right_ankle")) * down).sum(1).abs()
    level = feet < _MAX_FEET_DIFFERENCE * _STANDING_LEG_LENGTH * trunk_length
    stands = level | ~seen("neck", "mid_hip", "left_ankle", "right_ankle")
    for side in ("left", "right"):
        hip, knee, ankle = (f"{side}_{part}" for part in ("hip", "knee", "ankle"))
        thigh, shin = point(knee) - point(hip), point(ankle) - point(knee)
        whole = seen("neck", "mid_hip", hip, knee, ankle)
        # An unseen shin is taken to be as long as the thigh and to go on in its direction.
        leg = torch.where(whole[:, None], thigh + shin, 2.0 * thigh)
        bones = torch.where(whole, thigh.norm(dim=1) + shin.norm(dim=1), 2.0 * thigh.norm(dim=1)).clamp_min(1e-3)
        length = leg.norm(dim=1)
        alignment = (leg * down).sum(1) / length.clamp_min(1e-6)
        upright = (
            (length / bones > _MIN_STRAIGHTNESS)
            & (length / trunk_length > _MIN_LEG_LENGTH)
            & (alignment > _MIN_ALIGNMENT)
        )
        stands &= upright | ~seen("neck", "mid_hip", hip, knee)
    return stands
