"""Voters: a classifier together with the part of the person that it sees, the face or the whole body.

For the whole body, the box around the body's keypoints, with a margin of 8 % of the photo, is scaled so that its
longer side fills the square picture; the rest of the square is black. People who are too small or too occluded are
not classified.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from smplifyx.detect.crops import Photo
from smplifyx.gender.classifier import ClassifierOutput, GenderClassifier, load_classifier
from smplifyx.gender.decision import DecisionRule, Part
from smplifyx.gender.face import FACE_RULE, FaceClassifier, FaceLocator, Head
from smplifyx.keypoints import Observation, read_image
from smplifyx.skeleton import BODY_KEYPOINT_NAMES, BODY_KEYPOINTS

_PARTS = {
    "head": ("nose", "eye", "ear"),
    "arm": ("elbow", "wrist"),
    "leg": ("knee", "ankle", "toe", "heel"),
}
_PAPER_SIDE = 224
_PART_INDICES = {
    part: [i for i, name in enumerate(BODY_KEYPOINT_NAMES) if name.endswith(endings)]
    for part, endings in _PARTS.items()
}
#: Names of voters; ``auto`` stands for the face, then the body.
Choice = Literal["auto", "face", "body"]


@dataclass(frozen=True)
class CropRules:
    """Conditions for classifying a person.

    Attributes:
        margin: added on each side of the keypoints, as a share of the photo's width and height.
        min_side: smallest width and height of the region, pixels.
        min_confidence: body keypoints at or below it are ignored.
        min_mean_confidence: of the remaining keypoints.
        min_points: least number of keypoints of the head, the arms and the legs.
    """

    margin: float = 0.08
    min_side: int = 200
    min_confidence: float = 0.1
    min_mean_confidence: float = 0.5
    min_points: tuple[tuple[str, int], ...] = (("head", 2), ("arm", 1), ("leg", 1))

    @classmethod
    def for_side(cls, side: int) -> CropRules:
        """Return the paper's conditions with the least size scaled from 224 pixels to ``side``."""
        return cls(min_side=round(cls.min_side * side / _PAPER_SIDE))


@dataclass(frozen=True)
class Region:
    """A part of a photo, pixels of the upright photo; right and bottom are exclusive."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def size(self) -> tuple[float, float]:
        """Width and height."""
        return self.right - self.left, self.bottom - self.top


def person_region(
    keypoints: NDArray[np.float32], image_size: tuple[int, int], rules: CropRules | None = None
) -> Region | str:
    """Return the region around a person within the photo, margin included, or the reason against classification.

    Args:
        keypoints: [135, 3], canonical layout.
        image_size: width and height of the photo, pixels.
        rules: conditions for classifying a person.
    """
    rules = rules or CropRules()
    body = keypoints[BODY_KEYPOINTS]
    seen = body[:, 2] > rules.min_confidence
    missing = [part for part, least in rules.min_points if seen[_PART_INDICES[part]].sum() < least]
    if missing:
        return f"too occluded: too few keypoints of {' and '.join(missing)}"
    if body[seen, 2].mean() < rules.min_mean_confidence:
        return f"too uncertain: mean keypoint confidence {body[seen, 2].mean():.2f}"
    size = np.array(image_size, np.float64)
    low = np.clip(body[seen, :2].min(0) - rules.margin * size, 0, size)
    high = np.clip(body[seen, :2].max(0) + rules.margin * size, 0, size)
    if (high - low).min() < rules.min_side:
        return f"too small: {high[0] - low[0]:.0f} x {high[1] - low[1]:.0f} pixels"
    return Region(*low.tolist(), *high.tolist())


def cut(image: NDArray[np.uint8], region: Region, image_size: tuple[int, int], side: int) -> NDArray[np.uint8]:
    """Crop a region into a square: the longer side fills it, centred, on black.

    Args:
        image: [H, W, 3], the photo, possibly decoded at a reduced size.
        region: in pixels of the full photo.
        image_size: width and height of the full photo.
        side: of the square, pixels.

    Returns:
        uint8 [side, side, 3], channels as in ``image``.
    """
    height, width = image.shape[:2]
    factor = np.array([width / image_size[0], height / image_size[1]] * 2)
    corners = np.array([region.left, region.top, region.right, region.bottom]) * factor
    left, top = np.floor(corners[:2]).astype(int)
    right, bottom = np.maximum(np.ceil(corners[2:]).astype(int), (left + 1, top + 1))
    part = image[top:bottom, left:right]
    scale = side / max(part.shape[:2])
    shape = tuple(max(1, round(scale * length)) for length in (part.shape[1], part.shape[0]))
    # Averaging over areas when shrinking avoids aliasing.
    small = cv2.resize(part, shape, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    square = np.zeros((side, side, 3), np.uint8)
    y, x = (side - small.shape[0]) // 2, (side - small.shape[1]) // 2
    square[y : y + small.shape[0], x : x + small.shape[1]] = small
    return square


def read_crops(
    path: Path, image_size: tuple[int, int], regions: Sequence[Region], side: int
) -> list[NDArray[np.uint8]]:
    """Read crops of one photo, decoded at the lowest sufficient resolution.

    Args:
        path: the photo.
        image_size: its width and height.
        regions: in its pixels, at least one.
        side: of the crops, pixels.

    Returns:
        As of :func:`cut`, blue first.

    Raises:
        InputError: the photo cannot be read.
    """
    image = read_image(path, min(1.0, max(side / max(region.size) for region in regions)))
    return [cut(image, region, image_size, side) for region in regions]


class DecodedPhoto:
    """A photo that several people and voters share.

    Args:
        image: [H, W, 3], blue first, possibly decoded at a reduced size.
    """

    def __init__(self, image: NDArray[np.uint8]) -> None:
        self.image = image

    @cached_property
    def rgb(self) -> Photo:
        """The photo for the detector's networks."""
        return Photo(self.image[..., ::-1])


class Voter(Protocol):
    """A classifier that cuts its own crops."""

    @property
    def part(self) -> Part:
        """The part of the person that it sees."""

    @property
    def rule(self) -> DecisionRule:
        """Conditions of a verdict."""

    def least_scale(self, person: Observation) -> float | str:
        """Return the share of the photo's resolution that suffices, or the reason against classification."""

    def crop(self, photo: DecodedPhoto, person: Observation) -> NDArray[np.uint8] | str:
        """Cut the crop of a person of a photo, or return the reason against classification."""

    def classify(self, crops: NDArray[np.uint8]) -> ClassifierOutput:
        """Classify crops [B, side, side, 3], blue first."""


class BodyVoter:
    """A classifier of crops of whole people.

    Args:
        classifier: the classifier.
        rule: conditions of a verdict; None: the classifier's own.
    """

    part: Part = "body"

    def __init__(self, classifier: GenderClassifier, rule: DecisionRule | None = None) -> None:
        self._classifier, self.rule = classifier, rule or classifier.rule
        self._crop_rules = CropRules.for_side(classifier.side)
        self.classify = classifier.classify

    def least_scale(self, person: Observation) -> float | str:
        """Return the share of the photo's resolution that suffices, or the reason against classification."""
        region = person_region(person.keypoints, person.image_size, self._crop_rules)
        return region if isinstance(region, str) else min(1.0, self._classifier.side / max(region.size))

    def crop(self, photo: DecodedPhoto, person: Observation) -> NDArray[np.uint8] | str:
        """Cut the square of a person."""
        region = person_region(person.keypoints, person.image_size, self._crop_rules)
        if isinstance(region, str):
            return region
        return cut(photo.image, region, person.image_size, self._classifier.side)


class FaceVoter:
    """The shipped classifier of faces.

    Args:
        rule: conditions of a verdict; None: the classifier's own.
        device: of the arithmetic.
    """

    part: Part = "face"

    def __init__(self, rule: DecisionRule | None = None, device: torch.device | str = "cpu") -> None:
        classifier = FaceClassifier(device)
        self.rule, self.classify = rule or classifier.rule, classifier.classify
        self._side, self._locate = classifier.side, FaceLocator()

    def least_scale(self, person: Observation) -> float | str:
        """Return the share of the photo's resolution that suffices, or the reason against classification."""
        head = Head.of(person.keypoints)
        return head if isinstance(head, str) else min(1.0, self._side / head.width)

    def crop(self, photo: DecodedPhoto, person: Observation) -> NDArray[np.uint8] | str:
        """Cut the square around the face of a person."""
        square = self._locate(photo.rgb, person)
        return square if isinstance(square, str) else square.cut(photo.rgb, self._side)[..., ::-1]


def load_voters(
    choice: Choice | Path = "auto", threshold: float | None = None, device: torch.device | str = "cpu"
) -> list[Voter]:
    """Load voters, in the order in which their verdicts count.

    Args:
        choice: ``face``, ``body``, ``auto`` for both, or the file of a classifier of bodies, which votes alone.
        threshold: lowest probability for a verdict; None: each classifier's own.
        device: of the arithmetic; ONNX files run on the CPU.

    Raises:
        InputError: a file is unusable.
    """
    voters: list[Voter] = []
    if choice in ("auto", "face"):
        voters.append(FaceVoter(_with_threshold(FACE_RULE, threshold), device))
    if choice != "face":
        classifier = load_classifier(choice if isinstance(choice, Path) else None, device)
        voters.append(BodyVoter(classifier, _with_threshold(classifier.rule, threshold)))
    return voters


def _with_threshold(rule: DecisionRule, threshold: float | None) -> DecisionRule:
    return rule if threshold is None else replace(rule, threshold=threshold)
