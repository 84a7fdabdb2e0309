"""The gender of each person's body: the label if there is one, else the classifiers' decision, else neutral."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from smplifyx.config import GenderConfig
from smplifyx.errors import InputError, UsageError
from smplifyx.gender.decision import CLASSES, GenderDecision, GenderLabels, fallback, given
from smplifyx.keypoints import Observation

if TYPE_CHECKING:
    import torch

    from smplifyx.gender.voters import Voter

_UNCLASSIFIED = fallback("no label, and the classifier is off")


class GenderChooser:
    """Decide about the people of one photo after the other.

    Networks, and torch, are loaded for the first person without a label. Each person is classified alone, so that
    a decision and its probability do not depend on who else is decided about.

    Args:
        settings: choice of the classifier, threshold.
        labels: labels of a table; they override those of the keypoint files.
        available: genders with a body model; other verdicts become neutral.
        device: of the classifiers.
    """

    def __init__(
        self,
        settings: GenderConfig,
        labels: GenderLabels | None = None,
        available: Collection[str] = CLASSES,
        device: torch.device | str = "cpu",
    ) -> None:
        self._settings, self._labels, self._available, self._device = settings, labels, available, device

    def label_of(self, person: Observation) -> str | None:
        """The user's label of a person, or None."""
        label = None if self._labels is None else self._labels.of(person.stem, person.person_index)
        return label or person.gender

    def least_scale(self, people: Sequence[Observation]) -> float:
        """Share of the photo's resolution that the classifiers need for its people; 0 if they need no photo.

        Raises:
            UsageError: a classifier is unusable.
        """
        from smplifyx.gender.people import least_scale

        unlabelled = [one for one in people if self.label_of(one) is None]
        return least_scale(unlabelled, self._voters) if unlabelled and self._classifies else 0.0

    def choose(self, people: Sequence[Observation], read: Callable[[], NDArray[np.uint8]]) -> list[GenderDecision]:
        """Decide about people of one photo.

        Args:
            people: the people.
            read: gives the photo BGR `[H, W, 3]`; called only if a classifier looks at it.

        Raises:
            UsageError: a classifier is unusable.
        """
        labels = [self.label_of(one) for one in people]
        unlabelled = [one for one, label in zip(people, labels, strict=True) if label is None]
        remaining = iter(self._classified(unlabelled, read) if unlabelled else ())
        return [next(remaining) if label is None else given(label) for label in labels]

    @property
    def _classifies(self) -> bool:
        return self._settings.classifier != "none"

    @cached_property
    def _voters(self) -> list[Voter]:
        from smplifyx.gender.voters import load_voters

        choice = self._settings.classifier
        assert choice != "none"
        try:
            return load_voters(choice, self._settings.threshold, self._device)
        except InputError as error:
            raise UsageError(str(error)) from error

    def _classified(
        self, people: Sequence[Observation], read: Callable[[], NDArray[np.uint8]]
    ) -> list[GenderDecision]:
        if not self._classifies:
            return [_UNCLASSIFIED] * len(people)
        from smplifyx.gender.people import classify_in_photo, decide

        decisions = decide(classify_in_photo(people, self._voters, read), self._voters)
        return [self._with_body(one) for one in decisions]

    def _with_body(self, decision: GenderDecision) -> GenderDecision:
        if decision.gender in (*self._available, "neutral"):
            return decision
        return replace(decision, gender="neutral", source="fallback", reason=f"no {decision.gender} body model")
