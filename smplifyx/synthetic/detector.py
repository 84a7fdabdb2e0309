"""What a 2D detector makes of a person whose keypoints are known: jitter, misses, guesses, swaps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from smplifyx.skeleton import (
    BODY_KEYPOINT_NAMES,
    BODY_KEYPOINTS,
    CONTOUR_KEYPOINTS,
    FACE_KEYPOINTS,
    LEFT_HAND_KEYPOINTS,
    N_KEYPOINTS,
    RIGHT_HAND_KEYPOINTS,
)

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

_HANDS = (LEFT_HAND_KEYPOINTS, RIGHT_HAND_KEYPOINTS)
_HEAD = ("nose", "right_eye", "left_eye", "right_ear", "left_ear")
_FEET = ("big_toe", "small_toe", "heel")
_LEG_PARTS = ("hip", "knee", "ankle", *_FEET)
_ARM_PARTS = ("shoulder", "elbow", "wrist")
#: Whole faces of which more than this share is hidden are not detected.
_HIDDEN_FACE = 0.6
_HIDDEN_HAND = 0.7
#: What is left of the confidence of a good point that the detector doubts.
_DOUBT = (0.15, 0.5)
#: Edge of a cell of the visibility grid (metres at the body's depth): a little over the mesh's vertex spacing.
_CELL_SIZE = 0.025


@dataclass(frozen=True)
class DetectorNoise:
    """Statistics of a detector. Jitter is a standard deviation as a fraction of the person's box.

    Attributes:
        body_jitter, hand_jitter, face_jitter: of visible points; hips jitter more, the head less.
        occlusion: whether hidden points are guessed or missed at all.
        body_miss_rate: share of hidden body points that are missed; the others are guessed, twice as far off.
        hand_miss_rate: share of hands that are missed although they can be seen.
        swap_rate: share of people whose legs or arms come with left and right exchanged.
        min_part_px: hands and faces with a smaller box are not detected.
        hand_flip_rate: share of people whose hands are taken for each other, or one of them for both.
        doubt_rate: share of good body points whose confidence is low all the same.
    """

    body_jitter: float = 0.007
    hand_jitter: float = 0.0025
    face_jitter: float = 0.0015
    occlusion: bool = True
    body_miss_rate: float = 0.35
    hand_miss_rate: float = 0.15
    swap_rate: float = 0.02
    min_part_px: float = 12.0
    hand_flip_rate: float = 0.0
    doubt_rate: float = 0.0

    def scaled(self, factor: float) -> DetectorNoise:
        """The same detector with errors so many times as large and frequent; 0 gives exact keypoints."""
        rates = ("body_miss_rate", "hand_miss_rate", "swap_rate", "hand_flip_rate", "doubt_rate")
        sizes = ("body_jitter", "hand_jitter", "face_jitter")
        changes = {name: min(factor * getattr(self, name), 1.0) for name in rates}
        changes |= {name: factor * getattr(self, name) for name in sizes}
        return replace(self, occlusion=self.occlusion and factor > 0, **changes)


@dataclass(frozen=True)
class Sight:
    """What the camera sees of one person.

    Attributes:
        pixels: [135, 2] exact keypoints.
        hidden: [135] behind another part of the body.
        image_size: (width, height) pixels.
    """

    pixels: FloatArray
    hidden: BoolArray
    image_size: tuple[int, int]


def detect(sight: Sight, noise: DetectorNoise, rng: np.random.Generator) -> FloatArray:
    """Noisy keypoints [135, 3] (x, y, confidence); a missed one is (0, 0, 0)."""
    hidden = sight.hidden if noise.occlusion else np.zeros(N_KEYPOINTS, dtype=bool)
    box = np.ptp(sight.pixels[BODY_KEYPOINTS], axis=0).max()
    sigma = box * _relative_jitter(noise) * np.where(hidden, 2.0, 1.0)
    # Student's t: most points are good, some are far off.
    offsets = rng.standard_t(5, size=(N_KEYPOINTS, 2)) / np.sqrt(5.0 / 3.0)
    keypoints = np.column_stack([sight.pixels + sigma[:, None] * offsets, _confidence(offsets, hidden, rng)])
    keypoints = _swap_sides(keypoints, noise, rng)
    missed = _missed(sight, hidden, noise, rng) | _outside(keypoints, sight.image_size)
    keypoints[missed] = 0.0
    if noise.hand_flip_rate > 0:
        _mix_up_hands(keypoints, noise, rng)
    if noise.doubt_rate > 0:
        doubted = rng.random(len(BODY_KEYPOINT_NAMES)) < noise.doubt_rate
        keypoints[BODY_KEYPOINTS, 2] *= np.where(doubted, rng.uniform(*_DOUBT, len(doubted)), 1.0)
    return keypoints


def hidden_by_body(
    keypoints: FloatArray, vertices: FloatArray, focal_length: float, principal_point: FloatArray
) -> BoolArray:
    """Keypoints [K] that lie behind the body's surface, by a coarse depth buffer of its vertices.

    Args:
        keypoints: [K, 3] camera frame, metres, canonical layout.
        vertices: [V, 3] camera frame, metres.
        focal_length: pixels.
        principal_point: [2] pixels.
    """
    depth = float(np.median(vertices[:, 2]))
    cell = focal_length * _CELL_SIZE / depth

    def cells(points: FloatArray) -> NDArray[np.int64]:
        return np.floor((focal_length * points[:, :2] / points[:, 2:] + principal_point) / cell).astype(np.int64)

    vertex_cells = cells(vertices)
    # An empty rim: points beside the body are looked up there.
    low = vertex_cells.min(axis=0) - 1
    shape = vertex_cells.max(axis=0) - low + 2
    buffer = np.full(shape, np.inf)
    np.minimum.at(buffer, tuple((vertex_cells - low).T), vertices[:, 2])
    place = np.clip(cells(keypoints) - low, 0, shape - 1)
    return keypoints[:, 2] - buffer[tuple(place.T)] > _depth_inside()


def _depth_inside() -> FloatArray:
    """How deep [135] below the visible surface a point lies when nothing hides it, with some slack (metres)."""
    depth = np.full(N_KEYPOINTS, 0.04)
    for index, name in enumerate(BODY_KEYPOINT_NAMES):
        inner = name not in _HEAD and not name.endswith(_FEET)
        depth[index] = 0.16 if name in ("neck", "mid_hip") or name.endswith("hip") else 0.11 if inner else 0.06
    return depth


def _relative_jitter(noise: DetectorNoise) -> FloatArray:
    jitter = np.full(N_KEYPOINTS, noise.face_jitter)
    for hand in _HANDS:
        jitter[hand] = noise.hand_jitter
    for index, name in enumerate(BODY_KEYPOINT_NAMES):
        factor = 1.5 if name.endswith("hip") else 0.5 if name in _HEAD else 1.0
        jitter[index] = noise.body_jitter * factor
    return jitter


def _confidence(offsets: FloatArray, hidden: BoolArray, rng: np.random.Generator) -> FloatArray:
    """Confidence falls with the error, as a heat map's peak does, and is low for guesses."""
    level = np.full(N_KEYPOINTS, 0.82)
    for hand in _HANDS:
        level[hand] = 0.65
    level = np.where(hidden, 0.45, level) + rng.normal(0.0, 0.07, N_KEYPOINTS)
    return np.clip(level * np.exp(-0.04 * (offsets**2).sum(axis=1)), 0.05, 0.98)


def _swap_sides(keypoints: FloatArray, noise: DetectorNoise, rng: np.random.Generator) -> FloatArray:
    happens, of_legs = rng.random() < noise.swap_rate, rng.random() < 0.5
    if not happens:
        return keypoints
    order = np.arange(N_KEYPOINTS)
    for part in _LEG_PARTS if of_legs else _ARM_PARTS:
        left, right = (BODY_KEYPOINT_NAMES.index(f"{side}_{part}") for side in ("left", "right"))
        order[[left, right]] = right, left
    if not of_legs:  # the hand detector searches where the wrists are
        order[LEFT_HAND_KEYPOINTS], order[RIGHT_HAND_KEYPOINTS] = (
            np.r_[RIGHT_HAND_KEYPOINTS],
            np.r_[LEFT_HAND_KEYPOINTS],
        )
    return keypoints[order]


def _mix_up_hands(keypoints: FloatArray, noise: DetectorNoise, rng: np.random.Generator) -> None:
    """Exchanges the hands, or reports one of them as both, in place."""
    happens, kind = rng.random() < noise.hand_flip_rate, rng.integers(3)
    if not happens:
        return
    left, right = (keypoints[hand].copy() for hand in _HANDS)
    keypoints[LEFT_HAND_KEYPOINTS] = left if kind == 1 else right
    keypoints[RIGHT_HAND_KEYPOINTS] = right if kind == 2 else left


def _missed(sight: Sight, hidden: BoolArray, noise: DetectorNoise, rng: np.random.Generator) -> BoolArray:
    missed = np.zeros(N_KEYPOINTS, dtype=bool)
    body_draws = rng.random(len(BODY_KEYPOINT_NAMES))
    hand_draws = rng.random(2)
    for index, name in enumerate(BODY_KEYPOINT_NAMES):
        rate = 0.95 if name in _HEAD else noise.body_miss_rate
        missed[index] = hidden[index] and body_draws[index] < rate
    for hand, draw in zip(_HANDS, hand_draws, strict=True):
        unseen = hidden[hand].mean() > _HIDDEN_HAND or _too_small(sight.pixels[hand], noise)
        missed[hand] = draw < noise.hand_miss_rate or unseen
    face = slice(FACE_KEYPOINTS.start, CONTOUR_KEYPOINTS.stop)
    missed[face] = hidden[face].mean() > _HIDDEN_FACE or _too_small(sight.pixels[face], noise)
    return missed


def _too_small(pixels: FloatArray, noise: DetectorNoise) -> bool:
    return bool(np.ptp(pixels, axis=0).max() < noise.min_part_px)


def _outside(keypoints: FloatArray, image_size: tuple[int, int]) -> BoolArray:
    xy = keypoints[:, :2]
    beyond = np.logical_or(xy < 0.0, xy >= np.array(image_size, dtype=np.float64))
    return np.asarray(beyond.any(axis=1))
