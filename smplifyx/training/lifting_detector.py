"""What a detector makes of many people at once: jitter, misses, cut-off limbs, exchanged sides, odd confidences."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from smplifyx.lifting.network import LIFTED_KEYPOINTS, SWAPPABLE_LIMBS, lifting_features
from smplifyx.skeleton import BODY_KEYPOINT_NAMES, CANONICAL_KEYPOINT_NAMES
from smplifyx.training.lifting_config import LiftingDetectorSettings
from smplifyx.training.lifting_people import LiftingPeople

_NAMES = [CANONICAL_KEYPOINT_NAMES[index] for index in LIFTED_KEYPOINTS]
_N_BODY = len(BODY_KEYPOINT_NAMES)
_FEET = ("big_toe", "small_toe", "heel")
_PARTS = {"arms": ("shoulder", "elbow", "wrist", "hand_index1", "hand_middle1", "hand_pinky1"),
          "legs": ("hip", "knee", "ankle", *_FEET)}  # fmt: skip
#: Points that are hidden together: whole limbs and their ends.
_HIDDEN_TOGETHER = (
    ("elbow", "wrist"),
    ("wrist",),
    ("knee", "ankle", *_FEET),
    ("ankle", *_FEET),
    _FEET,
    ("eye", "ear"),
)
_HEAD = ("nose", "right_eye", "left_eye", "right_ear", "left_ear")
_MISS_RATE = 0.02
#: Confidence of good, guessed and hand points, its spread, and what is left of a doubted one's.
_GOOD, _GUESSED, _HAND, _SPREAD, _DOUBT = 0.82, 0.45, 0.65, 0.07, (0.15, 0.5)
#: Detectors differ in how high their confidences are.
_CALIBRATION = (0.7, 1.2)


@dataclass(frozen=True)
class Detections:
    """``points`` [B, 31, 2], ``confidence`` [B, 31], ``exchanged`` [B, 2] 1 where arms or legs are."""

    points: Tensor
    confidence: Tensor
    swapped_sides: Tensor


def detect(points: Tensor, settings: LiftingDetectorSettings) -> Detections:
    """Noisy keypoints of people whose exact ones are [B, 31, 2]; torch's generator draws.

    The error of a point is Student's t with five degrees of freedom: most are good, some are far off.
    """
    n = len(points)
    box = (points.amax(1) - points.amin(1)).amax(1)
    hidden = _hidden(n, settings)
    scale = torch.exp(settings.jitter_spread * torch.randn(n, 1)) * box[:, None]
    chi = torch.randn(n, len(_NAMES), 5).square().mean(2, keepdim=True).sqrt()
    offsets = torch.randn(points.shape) / chi * (3.0 / 5.0) ** 0.5
    noisy = points + (scale * _jitter(settings) * (1.0 + hidden))[..., None] * offsets
    confidence = _confidence(offsets, hidden, settings)
    noisy, swapped_sides = _exchange(noisy, settings)
    missed = _missed(noisy, hidden, settings)
    return Detections(noisy, torch.where(missed, 0.0, confidence), swapped_sides)


@dataclass(frozen=True)
class Sighting:
    """``features`` [B, F] for the network, and what it should say: ``joints`` [B, 21, 3] and ``exchanged`` [B, 2]."""

    features: Tensor
    joints: Tensor
    swapped_sides: Tensor


def sight(people: LiftingPeople, settings: LiftingDetectorSettings) -> Sighting:
    """People as a detector reports them, through a camera of which the focal length is guessed."""
    detections = detect(people.points, settings)
    focal_error = torch.exp(settings.focal_spread * torch.randn(len(people.points)))
    features = lifting_features(detections.points, detections.confidence, focal_error)
    return Sighting(features, people.joints, detections.swapped_sides)


def _members(*endings: str) -> Tensor:
    return torch.tensor([name.endswith(endings) for name in _NAMES])


def _chance(rate: float, *shape: int) -> Tensor:
    return torch.rand(*shape) < rate


def _uniform(limits: tuple[float, float], *shape: int) -> Tensor:
    return limits[0] + (limits[1] - limits[0]) * torch.rand(*shape)


def _hidden(n: int, settings: LiftingDetectorSettings) -> Tensor:
    """[B, 31] 1 where something is in front of a point."""
    groups = [
        _members(*(f"{side}_{part}" for part in parts)) for side in ("left", "right") for parts in _HIDDEN_TOGETHER
    ]
    groups.append(_members(*_HEAD))
    happens = _chance(settings.hidden_rate, n, len(groups)).float()
    return (happens @ torch.stack(groups).float()).clamp(max=1.0)


def _jitter(settings: LiftingDetectorSettings) -> Tensor:
    jitter = torch.full((len(_NAMES),), float(settings.hand_jitter))
    jitter[:_N_BODY] = settings.body_jitter
    return torch.where(_members("hip"), 1.5, torch.where(_members(*_HEAD), 0.5, 1.0)) * jitter


def _confidence(offsets: Tensor, hidden: Tensor, settings: LiftingDetectorSettings) -> Tensor:
    n = len(offsets)
    level = torch.full((len(_NAMES),), _HAND)
    level[:_N_BODY] = _GOOD
    level = torch.where(hidden > 0, _GUESSED, level) + _SPREAD * torch.randn(hidden.shape)
    level = (level * torch.exp(-0.04 * offsets.square().sum(2))).clamp(0.05, 0.98)
    doubted = _chance(settings.doubt_rate, *hidden.shape)
    level = torch.where(doubted, level * _uniform(_DOUBT, *hidden.shape), level)
    level = (level * _uniform(_CALIBRATION, n, 1)).clamp(max=1.0)
    return torch.where(_chance(settings.certain_rate, n, 1), 1.0, level)


def _exchange(points: Tensor, settings: LiftingDetectorSettings) -> tuple[Tensor, Tensor]:
    """Points with left and right of some people's arms or legs exchanged, and whose [B, 2]."""
    happens = _chance(settings.exchange_rate, len(points))
    which = torch.randint(len(SWAPPABLE_LIMBS), (len(points),))
    swapped_sides = torch.stack([happens & (which == limb) for limb in range(len(SWAPPABLE_LIMBS))], 1)
    for limb, name in enumerate(SWAPPABLE_LIMBS):
        points = torch.where(swapped_sides[:, limb, None, None], points[:, _other_side(_PARTS[name])], points)
    return points, swapped_sides.float()


def _other_side(parts: tuple[str, ...]) -> list[int]:
    order = list(range(len(_NAMES)))
    for part in parts:
        left, right = _NAMES.index(f"left_{part}"), _NAMES.index(f"right_{part}")
        order[left], order[right] = right, left
    return order


def _missed(points: Tensor, hidden: Tensor, settings: LiftingDetectorSettings) -> Tensor:
    """[B, 31] points that are not reported: hidden ones, those beyond the picture's edge, hands, and a few more."""
    n = len(points)
    missed = (hidden > 0) & _chance(settings.missed_share, *hidden.shape) | _chance(_MISS_RATE, *hidden.shape)
    for side in ("left", "right"):
        missed |= _chance(settings.no_hand_rate, n, 1) & torch.tensor(
            [name.startswith(f"{side}_hand") for name in _NAMES]
        )
    x, y = points.unbind(2)
    edge = y.amin(1) + (y.amax(1) - y.amin(1)) * _uniform((0.45, 1.0), n)
    missed |= _chance(settings.cut_rate, n, 1) & (y > edge[:, None])
    x = torch.where(_chance(0.5, n, 1), x, -x)
    edge = x.amin(1) + (x.amax(1) - x.amin(1)) * _uniform((0.5, 1.0), n)
    return missed | _chance(settings.side_cut_rate, n, 1) & (x > edge[:, None])
