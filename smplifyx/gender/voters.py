"""Voters: a classifier together with the part of the person that it sees, the face or the whole body."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from smplifyx.detect.crops import Photo
from smplifyx.gender.classifier import ClassifierOutput, GenderClassifier, load_classifier
from smplifyx.gender.crop import CropRules, cut, person_region
from smplifyx.gender.decision import DecisionRule, Part
from smplifyx.gender.face import FACE_RULE, FaceClassifier, FaceLocator, Head
from smplifyx.keypoints import Observation

#: Names of voters; ``auto`` stands for the face, then the body.
Choice = Literal["auto", "face", "body"]


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
