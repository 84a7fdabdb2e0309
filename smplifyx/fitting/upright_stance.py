"""Posture in depth: energies of a leaning trunk and of bent legs, and the image evidence of an upright stance.

A single photo hardly shows whether a trunk or a leg leans towards the camera: a lean of 20 degrees shortens it by
6 %, which is within the variation of body shapes and detectors. Legs that look straight and long are seldom bent in
depth.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from smplifyx import skeleton
from smplifyx.constants import constant, index_of
from smplifyx.skeleton import BODY_KEYPOINT_NAMES

_SEEN = 0.3
#: In trunks; a leg shorter than the minimum points towards the camera.
_STANDING_LEG_LENGTH = 1.5
_MIN_LEG_LENGTH = 1.25
_MIN_STRAIGHTNESS = 0.96
#: Height difference of the feet, relative to a leg, beyond which they do not stand side by side.
_MAX_FEET_DIFFERENCE = 0.08
#: Cosine of the largest angle between a leg and the trunk's continuation.
_MIN_ALIGNMENT = 0.85


class _Segments(NamedTuple):
    """Lines between joints (indices [S]) and the sine [S] of the tilt from which the energy of each saturates."""

    starts: tuple[int, ...]
    ends: tuple[int, ...]
    large_tilt: tuple[float, ...]


def _segments(*segments: tuple[str, str, float]) -> _Segments:
    starts, ends, large_tilt = zip(*segments, strict=True)
    return _Segments(
        tuple(skeleton.joint_index(s) for s in starts), tuple(skeleton.joint_index(e) for e in ends), large_tilt
    )


_LOOSE_TRUNK = _segments(("pelvis", "neck", 0.35))
_TRUNK_AND_LEGS = _segments(
    ("pelvis", "neck", 0.12),
    ("left_hip", "left_knee", 0.2),
    ("left_knee", "left_ankle", 0.2),
    ("right_hip", "right_knee", 0.2),
    ("right_knee", "right_ankle", 0.2),
)
#: Weights of the segments; the trunk counts more.
_STANDING_SHARES = (2.5, 0.5, 0.5, 0.5, 0.5)
#: (start joint, end joint, saturating sine, share) of all segments, that of the trunk's tilt alone first.
TILT_SEGMENTS = (
    *zip(*_LOOSE_TRUNK, [1.0], strict=True),
    *zip(*_TRUNK_AND_LEGS, _STANDING_SHARES, strict=True),
)


def trunk_tilt_energy(joints: Tensor) -> Tensor:
    """Energy [B] of a trunk that leans towards or away from the camera, for joints [B, J, 3] in its frame."""
    return _tilt_energies(joints, _LOOSE_TRUNK)[:, 0]


def upright_stance_energy(joints: Tensor) -> Tensor:
    """Energy [B] of a standing person's trunk and legs that lean towards or away from the camera.

    Args:
        joints: [B, J, 3] in the camera frame.
    """
    return _tilt_energies(joints, _TRUNK_AND_LEGS) @ constant(_STANDING_SHARES, joints)


def _tilt_energies(joints: Tensor, segments: _Segments) -> Tensor:
    """Robust squared sines [B, S] of the angles between segments and the image plane (Geman & McClure)."""
    ends, starts = (index_of(joint, joints.device) for joint in (segments.ends, segments.starts))
    lines = joints[:, ends] - joints[:, starts]
    squared = lines[..., 2].square() / lines.square().sum(2)
    limit = constant(segments.large_tilt, joints).square()
    return squared * limit / (squared + limit)


def has_upright_stance(keypoints: Tensor, confidence: Tensor) -> Tensor:
    """Image evidence [B] of an upright stance.

    Every visible leg is straight, long relative to the trunk, and continues it, and both feet are at the same height.
    Without a visible leg, or without a trunk to compare with, a person counts as standing: people who squat below the
    frame are rare.

    Args:
        keypoints: [B, 135, 2] pixels.
        confidence: [B, 135].
    """

    def point(name: str) -> Tensor:
        return keypoints[:, BODY_KEYPOINT_NAMES.index(name)]

    def seen(*names: str) -> Tensor:
        chosen = tuple(BODY_KEYPOINT_NAMES.index(name) for name in names)
        return confidence[:, index_of(chosen, confidence.device)].amin(1) > _SEEN

    trunk = point("mid_hip") - point("neck")
    trunk_length = trunk.norm(dim=1).clamp_min(1e-3)
    down = trunk / trunk_length[:, None]
    feet = ((point("left_ankle") - point("right_ankle")) * down).sum(1).abs()
    level = feet < _MAX_FEET_DIFFERENCE * _STANDING_LEG_LENGTH * trunk_length
    upright_stance = level | ~seen("neck", "mid_hip", "left_ankle", "right_ankle")
    for side in ("left", "right"):
        hip, knee, ankle = (f"{side}_{part}" for part in ("hip", "knee", "ankle"))
        thigh, shin = point(knee) - point(hip), point(ankle) - point(knee)
        whole = seen("neck", "mid_hip", hip, knee, ankle)
        # A shin that is not visible is assumed to continue the thigh with the same length.
        leg = torch.where(whole[:, None], thigh + shin, 2.0 * thigh)
        bones = torch.where(whole, thigh.norm(dim=1) + shin.norm(dim=1), 2.0 * thigh.norm(dim=1)).clamp_min(1e-3)
        length = leg.norm(dim=1)
        alignment = (leg * down).sum(1) / length.clamp_min(1e-6)
        upright = (
            (length / bones > _MIN_STRAIGHTNESS)
            & (length / trunk_length > _MIN_LEG_LENGTH)
            & (alignment > _MIN_ALIGNMENT)
        )
        upright_stance &= upright | ~seen("neck", "mid_hip", hip, knee)
    return upright_stance
