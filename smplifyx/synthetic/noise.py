"""Parameters of simulated keypoint detectors, and two sets of them for benchmarks.

:data:`INDEPENDENT_ERRORS`, where each keypoint errs by itself, and :data:`CORRELATED_ERRORS`, measured on OpenPose's
output on real photos, where limbs err and vanish as a whole and joints have offsets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from smplifyx.config.fields import setting


@dataclass(frozen=True)
class DetectorNoise:
    """Parameters of a simulated detector. Sizes are shares of the longer side of the person's box."""

    body_jitter: float = setting(0.007, "sd of visible body keypoints; hips 1.5 times, head half of it", minimum=0)
    hand_jitter: float = setting(0.0025, "sd of hand keypoints", minimum=0)
    face_jitter: float = setting(0.0015, "sd of face keypoints", minimum=0)
    jitter_spread: float = setting(0.0, "sd of the logarithm of a person's jitter", minimum=0)
    tail: int = setting(5, "degrees of freedom of Student's t; fewer give more gross errors", minimum=3)
    limb_jitter: float = setting(0.0, "sd of the error that the end of a limb shares with the limb", minimum=0)
    limb_spread: float = setting(0.0, "sd of the logarithm of one limb's share of it", minimum=0)
    offset_scale: float = setting(0.0, "times the joint offsets measured on OpenPose's output", minimum=0)
    offset_sd: float = setting(0.0, "sd of a person's own joint offsets, equal on both sides", minimum=0)
    occlusion: bool = setting(True, "whether hidden keypoints are missed or guessed")
    limb_hidden_rate: float = setting(0.0, "chance that each limb, or end of one, is hidden", minimum=0, maximum=1)
    body_miss_rate: float = setting(
        0.35, "share of hidden body keypoints that are missed; the others are guessed, twice as far off",
        minimum=0, maximum=1,
    )  # fmt: skip
    head_miss_rate: float = setting(0.95, "the same for keypoints of the head", minimum=0, maximum=1)
    stray_miss_rate: float = setting(0.0, "share of keypoints missed for no reason", minimum=0, maximum=1)
    limb_miss_rate: float = setting(
        0.0, "chance that a wrist is missed; larger parts less often", minimum=0, maximum=1
    )
    hand_miss_rate: float = setting(0.15, "share of visible hands that are missed", minimum=0, maximum=1)
    min_part_px: float = setting(12.0, "hands and faces with a smaller box are not detected, pixels", minimum=0)
    cut_rate: float = setting(0.0, "share of people who are cut off below", minimum=0, maximum=1)
    side_cut_rate: float = setting(0.0, "share of people who are cut off at a side", minimum=0, maximum=1)
    swap_rate: float = setting(0.02, "share of people whose arms or legs have sides swapped", minimum=0, maximum=1)
    hand_flip_rate: float = setting(
        0.0, "share of people whose hands are swapped, or one reported twice", minimum=0, maximum=1
    )
    confidence: float = setting(0.82, "mean confidence of visible body keypoints", minimum=0, maximum=1)
    confidence_sd: float = setting(0.07, "its standard deviation", minimum=0)
    confidence_range: tuple[float, float] = setting((1.0, 1.0), "factor of all of a person's confidences", above=0)
    unsure_rate: float = setting(0.0, "share of good body keypoints with low confidence", minimum=0, maximum=1)
    certain_rate: float = setting(0.0, "share of people whose confidences are all 1", minimum=0, maximum=1)

    def scaled(self, factor: float) -> DetectorNoise:
        """Multiply sizes and frequencies of all errors; 0 gives exact keypoints."""
        changes = {name: min(factor * getattr(self, name), 1.0) for name in _SCALED_RATES}
        changes |= {name: factor * getattr(self, name) for name in _SCALED_SIZES}
        return replace(self, occlusion=self.occlusion and factor > 0, **changes)


_SCALED_RATES = (
    "limb_hidden_rate", "body_miss_rate", "stray_miss_rate", "limb_miss_rate", "hand_miss_rate", "cut_rate",
    "side_cut_rate", "swap_rate", "hand_flip_rate", "unsure_rate",
)  # fmt: skip
_SCALED_SIZES = ("body_jitter", "hand_jitter", "face_jitter", "limb_jitter", "offset_scale", "offset_sd")

#: Errors of each keypoint by itself. The noise that the lifting network is trained on started from these constants.
INDEPENDENT_ERRORS = DetectorNoise(hand_flip_rate=0.03, unsure_rate=0.05)
#: Errors as measured on OpenPose's output: jitter, correlation and tails against points triangulated from 18
#: calibrated views, offsets from the residuals of fits to ordinary photos, misses and confidences from 72 people in
#: these photos. None of its constants is shared with the training of the lifting network.
CORRELATED_ERRORS = DetectorNoise(
    body_jitter=0.006,
    hand_jitter=0.003,
    face_jitter=0.002,
    jitter_spread=0.3,
    tail=3,
    limb_jitter=0.010,
    limb_spread=0.7,
    offset_scale=1.0,
    body_miss_rate=0.5,
    head_miss_rate=0.8,
    stray_miss_rate=0.01,
    limb_miss_rate=0.05,
    hand_miss_rate=0.25,
    swap_rate=0.03,
    hand_flip_rate=0.03,
    confidence=0.70,
    confidence_sd=0.17,
    unsure_rate=0.05,
)
#: The benchmarks' detectors by name.
DETECTORS: Mapping[str, DetectorNoise] = {"independent": INDEPENDENT_ERRORS, "correlated": CORRELATED_ERRORS}
