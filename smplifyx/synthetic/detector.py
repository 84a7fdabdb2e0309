"""Simulated 2D keypoint detectors: jitter, misses, guesses, swapped sides, odd confidences.

One function, :func:`detect_people`, serves the benchmarks (135 keypoints) and the training of the lifting network (31
keypoints, hidden limbs besides). :mod:`.noise` has its parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from smplifyx.lifting.network import SWAPPABLE_LIMBS
from smplifyx.skeleton import (
    BODY_KEYPOINT_NAMES,
    BODY_KEYPOINTS,
    CANONICAL_KEYPOINT_NAMES,
    FOOT_KEYPOINTS,
    HEAD_KEYPOINT_NAMES,
    SIDES,
    mirror_order,
)
from smplifyx.synthetic.noise import DetectorNoise
from smplifyx.synthetic.random_frames import RandomSource

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

_SWAPPED_PARTS = {"arms": ("shoulder", "elbow", "wrist"), "legs": ("hip", "knee", "ankle", *FOOT_KEYPOINTS)}
#: Keypoints that something in front of the person hides together, on one side.
_HIDDEN_TOGETHER = (
    ("elbow", "wrist"),
    ("wrist",),
    ("knee", "ankle", *FOOT_KEYPOINTS),
    ("ankle", *FOOT_KEYPOINTS),
    FOOT_KEYPOINTS,
    ("eye", "ear"),
)
#: Parts of limbs that are missed together, with their hand, and the share of ``limb_miss_rate`` of each.
_MISSED_TOGETHER = (
    (("wrist", "hand"), 1.0),
    (("elbow", "wrist", "hand"), 0.5),
    (("shoulder", "elbow", "wrist", "hand"), 0.4),
    (("ankle", *FOOT_KEYPOINTS), 0.9),
    (("knee", "ankle", *FOOT_KEYPOINTS), 0.4),
)
#: Share of a limb's common error that each of its keypoints has: none at the trunk, all at the end.
_LIMB_ERRORS = (
    {"shoulder": 0.3, "elbow": 0.7, "wrist": 1.0, "hand": 1.0},
    {"knee": 0.6, "ankle": 0.8, "big_toe": 1.0, "small_toe": 1.0, "heel": 1.0},
)
#: Keypoints of the trunk and the head have a common error too.
_COMMON_ERRORS = (("left_hip", "right_hip", "mid_hip"), HEAD_KEYPOINT_NAMES)
#: Offset of a detector's keypoint from the model's, in sizes of the person's box: along the bone that ends there
#: (for the trunk and the head from neck to hips), and away from the same keypoint of the other side.
OPENPOSE_OFFSETS: Mapping[str, tuple[float, float]] = {
    "nose": (-0.006, 0.0),
    "neck": (-0.003, 0.0),
    "shoulder": (-0.004, -0.003),
    "elbow": (0.0, 0.003),
    "wrist": (0.003, 0.0),
    "hip": (0.0, 0.006),
    "knee": (0.001, -0.002),
    "ankle": (0.001, 0.005),
    "ear": (0.004, 0.004),
    "big_toe": (-0.006, 0.0),
    "small_toe": (-0.008, -0.009),
    "heel": (0.002, 0.0),
}
_BONES = {
    "elbow": "shoulder", "wrist": "elbow", "knee": "hip", "ankle": "knee",
    "big_toe": "heel", "small_toe": "heel", "heel": "big_toe",
}  # fmt: skip
#: A whole face or hand of which more than this share is hidden is not detected.
_HIDDEN_FACE, _HIDDEN_HAND = 0.6, 0.7
#: Confidence of guessed and of hand keypoints, as shares of a visible body keypoint's.
_GUESSED, _HAND = 0.45 / 0.82, 0.65 / 0.82
#: Factor of the confidence of a good keypoint that the detector is unsure about.
_UNSURE = (0.15, 0.5)


@dataclass(frozen=True)
class Sight:
    """Image of one person before any detector.

    Attributes:
        pixels: [135, 2] exact keypoints.
        hidden: [135] behind another part of the body.
        image_size: (width, height) pixels.
    """

    pixels: FloatArray
    hidden: BoolArray
    image_size: tuple[int, int]


@dataclass(frozen=True)
class Detections:
    """Output of a detector.

    Attributes:
        points: [B, K, 2], also for missed keypoints.
        confidence: [B, K]; 0 for a missed keypoint.
        swapped_sides: [B, 2] whether arms and legs (``SWAPPABLE_LIMBS``) have left and right swapped.
    """

    points: FloatArray
    confidence: FloatArray
    swapped_sides: BoolArray


def detect(sight: Sight, noise: DetectorNoise, rng: RandomSource) -> FloatArray:
    """Detect one person: keypoints [135, 3] (x, y, confidence); a missed one is (0, 0, 0)."""
    size = np.array([sight.image_size], dtype=np.float64)
    found = detect_people(sight.pixels[None], noise, rng, hidden=sight.hidden[None], image_size=size)
    keypoints = np.concatenate([found.points[0], found.confidence[0, :, None]], axis=1)
    keypoints[found.confidence[0] == 0.0] = 0.0
    return keypoints


def detect_people(
    points: FloatArray,
    noise: DetectorNoise,
    rng: RandomSource,
    names: tuple[str, ...] = CANONICAL_KEYPOINT_NAMES,
    hidden: BoolArray | None = None,
    image_size: FloatArray | None = None,
) -> Detections:
    """Detect B people.

    Args:
        points: [B, K, 2] exact keypoints, in pixels or any other unit.
        noise: parameters of the detector.
        rng: source of all randomness.
        names: the K keypoints; the 25 body keypoints come first.
        hidden: [B, K] keypoints behind something; none by default.
        image_size: [B, 2] width and height in the points' unit; None for an image without borders.
    """
    layout = keypoint_groups(names)
    hidden = np.zeros(points.shape[:2], dtype=bool) if hidden is None or not noise.occlusion else hidden
    if noise.limb_hidden_rate > 0:
        hidden = hidden | _any_of(layout.hidden_together, noise.limb_hidden_rate, len(points), rng)
    box = np.ptp(points[:, BODY_KEYPOINTS], axis=1).max(axis=1)[:, None]
    sigma = box * layout.jitter(noise) * np.where(hidden, 2.0, 1.0)
    if noise.jitter_spread > 0:
        sigma = sigma * np.exp(noise.jitter_spread * rng.standard_normal((len(points), 1)))
    # Student's t: most points are good, some are far off.
    errors = rng.standard_t(noise.tail, size=points.shape) / np.sqrt(noise.tail / (noise.tail - 2.0))
    moved = points + sigma[..., None] * errors
    confidence = _confidence(errors, hidden, layout, noise, rng)
    moved += box[..., None] * (_limb_errors(layout, noise, len(points), rng) + _offsets(points, layout, noise, rng))
    swapped_sides, order = _swapped(layout, noise, len(points), rng)
    moved = np.take_along_axis(moved, order[..., None], axis=1)
    confidence = np.take_along_axis(confidence, order, axis=1)
    confidence[_missed(points, hidden, layout, noise, rng)] = 0.0
    if noise.cut_rate > 0 or noise.side_cut_rate > 0:
        confidence[_cut_off(moved, noise, rng)] = 0.0
    if image_size is not None:
        confidence[((moved < 0.0) | (moved >= image_size[:, None])).any(axis=2)] = 0.0
    if noise.hand_flip_rate > 0:
        _mix_up_hands(moved, confidence, layout, noise, rng)
    return Detections(moved, _odd_confidences(confidence, noise, rng), swapped_sides)


@dataclass(frozen=True)
class KeypointGroups:
    """Groups of the K keypoints of a layout; masks are [K], stacks of masks [G, K], positions lists of integers."""

    names: tuple[str, ...]
    head: BoolArray
    hips: BoolArray
    hands: tuple[list[int], list[int]]
    face: list[int]
    swapped: Mapping[str, list[int]]
    hidden_together: FloatArray
    missed_together: FloatArray
    missed_share: FloatArray
    limb_shares: FloatArray

    def jitter(self, noise: DetectorNoise) -> FloatArray:
        """[K] standard deviations as shares of the box."""
        jitter = np.full(len(self.names), noise.face_jitter)
        jitter[[*self.hands[0], *self.hands[1]]] = noise.hand_jitter
        jitter[BODY_KEYPOINTS] = noise.body_jitter
        return jitter * np.where(self.hips, 1.5, np.where(self.head, 0.5, 1.0))


@cache
def keypoint_groups(names: tuple[str, ...] = CANONICAL_KEYPOINT_NAMES) -> KeypointGroups:
    """Return the groups of a layout whose 25 body keypoints come first."""

    def of_side(side: str, parts: Sequence[str]) -> FloatArray:
        endings = tuple(f"{side}_{part}" for part in parts if part != "hand")
        hand = f"{side}_hand_" if "hand" in parts else "-"
        return np.array([float(name in endings or name.startswith(hand)) for name in names])

    def swapped(parts: Sequence[str], with_hands: bool) -> list[int]:
        moving = [*parts, "hand"] if with_hands else list(parts)
        sides = np.sum([of_side(side, moving) for side in SIDES], axis=0)
        return mirror_order(names, only=[name for name, moves in zip(names, sides, strict=True) if moves])

    missed = [(of_side(side, parts), share) for parts, share in _MISSED_TOGETHER for side in SIDES]
    shares = [
        sum((share * of_side(side, (part,)) for part, share in limb.items()), np.zeros(len(names)))
        for limb in _LIMB_ERRORS
        for side in SIDES
    ]
    shares += [np.array([float(name in group) for name in names]) for group in _COMMON_ERRORS]
    head = np.array([name in HEAD_KEYPOINT_NAMES for name in names])
    hidden = [of_side(side, parts) for parts in _HIDDEN_TOGETHER for side in SIDES] + [np.float64(head)]
    hands = [np.flatnonzero(of_side(side, ("hand",))).tolist() for side in SIDES]
    return KeypointGroups(
        names=names,
        head=head,
        hips=np.array([name.endswith("hip") for name in names]),
        hands=(hands[0], hands[1]),
        face=[index for index, name in enumerate(names) if name.startswith("face_")],
        swapped={limb: swapped(parts, limb == "arms") for limb, parts in _SWAPPED_PARTS.items()},
        hidden_together=np.stack(hidden),
        missed_together=np.stack([mask for mask, _ in missed]),
        missed_share=np.array([share for _, share in missed]),
        limb_shares=np.stack(shares),
    )


def _any_of(groups: FloatArray, rate: float | FloatArray, count: int, rng: RandomSource) -> BoolArray:
    """[B, K] keypoints of randomly chosen groups [G, K]."""
    happens = np.float64(rng.random((count, len(groups))) < rate)
    return np.asarray(happens @ groups > 0)


def _confidence(
    errors: FloatArray, hidden: BoolArray, layout: KeypointGroups, noise: DetectorNoise, rng: RandomSource
) -> FloatArray:
    """Confidence falls with the error, as a heat map's peak does, and is low for guesses."""
    level = np.full(len(layout.names), noise.confidence)
    level[[*layout.hands[0], *layout.hands[1]]] = noise.confidence * _HAND
    level = np.where(hidden, noise.confidence * _GUESSED, level) + rng.normal(0.0, noise.confidence_sd, hidden.shape)
    return np.clip(level * np.exp(-0.04 * (errors**2).sum(axis=2)), 0.05, 0.98)


def _limb_errors(layout: KeypointGroups, noise: DetectorNoise, count: int, rng: RandomSource) -> FloatArray:
    """Errors [B, K, 2] that the keypoints of a limb, of the hips or of the head share, in sizes of the box."""
    if noise.limb_jitter == 0.0:
        return np.zeros((count, len(layout.names), 2))
    n_groups = len(layout.limb_shares)
    size = noise.limb_jitter * np.exp(noise.limb_spread * rng.standard_normal((count, n_groups, 1)))
    common = size * rng.standard_normal((count, n_groups, 2))
    return np.einsum("gk,bgc->bkc", layout.limb_shares, common)


def _offsets(points: FloatArray, layout: KeypointGroups, noise: DetectorNoise, rng: RandomSource) -> FloatArray:
    """Offsets [B, K, 2] of the detector's keypoints from the model's, in sizes of the box."""
    offsets = np.zeros_like(points)
    if noise.offset_scale == 0.0 and noise.offset_sd == 0.0:
        return offsets
    names = layout.names
    trunk = points[:, names.index("mid_hip")] - points[:, names.index("neck")]
    own = {part: noise.offset_sd * rng.standard_normal((2, len(points), 1)) for part in OPENPOSE_OFFSETS}
    for index, name in enumerate(names[BODY_KEYPOINTS]):
        side, _, part = name.partition("_")
        paired = side in SIDES
        part = part if paired else name
        if part not in OPENPOSE_OFFSETS:
            continue
        along, across = (noise.offset_scale * value for value in OPENPOSE_OFFSETS[part])
        start = names.index(f"{side}_{_BONES[part]}") if part in _BONES else None
        bone = trunk if start is None else points[:, index] - points[:, start]
        offsets[:, index] += (along + own[part][0]) * _unit(bone)
        if paired:
            other = names.index(name.replace(side, SIDES[1 - SIDES.index(side)]))
            offsets[:, index] += (across + own[part][1]) * _unit(points[:, index] - points[:, other])
    return offsets


def _unit(vectors: FloatArray) -> FloatArray:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9))


def _swapped(
    layout: KeypointGroups, noise: DetectorNoise, count: int, rng: RandomSource
) -> tuple[BoolArray, NDArray[np.int64]]:
    """Draw the limbs [B, 2] whose sides are swapped; return them and the resulting order [B, K] of keypoints.

    Hands go with the arms: the hand detector searches where the wrists are.
    """
    happens, legs = rng.random(count) < noise.swap_rate, rng.random(count) < 0.5
    swapped_sides = np.stack([happens & ~legs, happens & legs], axis=1)
    order = np.tile(np.arange(len(layout.names)), (count, 1))
    for limb, name in enumerate(SWAPPABLE_LIMBS):
        order[swapped_sides[:, limb]] = layout.swapped[name]
    return swapped_sides, order


def _missed(
    points: FloatArray, hidden: BoolArray, layout: KeypointGroups, noise: DetectorNoise, rng: RandomSource
) -> BoolArray:
    missed = np.zeros(hidden.shape, dtype=bool)
    body = rng.random((len(points), len(BODY_KEYPOINT_NAMES)))
    rate = np.where(layout.head[BODY_KEYPOINTS], noise.head_miss_rate, noise.body_miss_rate)
    missed[:, BODY_KEYPOINTS] = hidden[:, BODY_KEYPOINTS] & (body < rate)
    hands = rng.random((len(points), len(layout.hands))) < noise.hand_miss_rate
    for hand, happens in zip(layout.hands, hands.T, strict=True):
        missed[:, hand] |= (happens | _undetectable(points[:, hand], hidden[:, hand], _HIDDEN_HAND, noise))[:, None]
    if layout.face:
        face = layout.face
        missed[:, face] |= _undetectable(points[:, face], hidden[:, face], _HIDDEN_FACE, noise)[:, None]
    if noise.stray_miss_rate > 0:
        missed |= rng.random(missed.shape) < noise.stray_miss_rate
    if noise.limb_miss_rate > 0:
        missed |= _any_of(layout.missed_together, noise.limb_miss_rate * layout.missed_share, len(points), rng)
    return missed


def _undetectable(points: FloatArray, hidden: BoolArray, hidden_share: float, noise: DetectorNoise) -> BoolArray:
    """Hands or faces [B] that are too small or hidden."""
    too_small = np.ptp(points, axis=1).max(axis=1) < noise.min_part_px
    return np.asarray(too_small | (hidden.mean(axis=1) > hidden_share))


def _cut_off(points: FloatArray, noise: DetectorNoise, rng: RandomSource) -> BoolArray:
    """[B, K] keypoints beyond a border of the image, below or at a side."""
    x, y = points[..., 0], points[..., 1]
    count = len(points)

    def beyond(values: FloatArray, rate: float, nearest: float) -> BoolArray:
        low, high = values.min(axis=1, keepdims=True), values.max(axis=1, keepdims=True)
        edge = low + (high - low) * rng.uniform(nearest, 1.0, (count, 1))
        return np.asarray((rng.random((count, 1)) < rate) & (values > edge))

    below = beyond(y, noise.cut_rate, 0.45)
    return below | beyond(np.where(rng.random((count, 1)) < 0.5, x, -x), noise.side_cut_rate, 0.5)


def _mix_up_hands(
    points: FloatArray, confidence: FloatArray, layout: KeypointGroups, noise: DetectorNoise, rng: RandomSource
) -> None:
    """Exchange the hands, or report one of them as both, in place."""
    happens, kinds = rng.random(len(points)) < noise.hand_flip_rate, rng.integers(3, size=len(points))
    for row in np.flatnonzero(happens):
        for values in (points[row], confidence[row]):
            left, right = (values[hand].copy() for hand in layout.hands)
            values[layout.hands[0]] = left if kinds[row] == 1 else right
            values[layout.hands[1]] = right if kinds[row] == 2 else left


def _odd_confidences(confidence: FloatArray, noise: DetectorNoise, rng: RandomSource) -> FloatArray:
    """Low confidences of good keypoints, and the differences between detectors."""
    count = len(confidence)
    if noise.unsure_rate > 0:
        unsure = rng.random((count, len(BODY_KEYPOINT_NAMES))) < noise.unsure_rate
        confidence[:, BODY_KEYPOINTS] *= np.where(unsure, rng.uniform(*_UNSURE, unsure.shape), 1.0)
    if noise.confidence_range != (1.0, 1.0):
        confidence = np.minimum(confidence * rng.uniform(*noise.confidence_range, (count, 1)), 1.0)
    if noise.certain_rate > 0:
        certain = rng.random((count, 1)) < noise.certain_rate
        confidence = np.where(certain & (confidence > 0), 1.0, confidence)
    return confidence
