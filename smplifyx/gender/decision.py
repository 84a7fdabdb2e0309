"""From a classifier's answer to the gender of a person's body model: a verdict only where the classifier is sure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from smplifyx.gender.network import CLASSES

#: Threshold of Pavlakos et al. 2019, section 3.6.
PAPER_THRESHOLD = 0.9

Source = Literal["given", "classified", "fallback"]


@dataclass(frozen=True)
class GenderDecision:
    """Which body model a person is fitted with, and why.

    Attributes:
        gender: ``male``, ``female`` or ``neutral``.
        source: ``given`` by the user; ``classified``; or ``fallback``, where nobody could say.
        probability: of the likelier of the two, from the classifier; NaN where it was not asked.
        reason: why it is neutral, where nobody asked for that; else empty.
    """

    gender: str
    source: Source
    probability: float = math.nan
    reason: str = ""


@dataclass(frozen=True)
class DecisionRule:
    """When a classifier's answer counts.

    Attributes:
        threshold: least probability for a verdict; below it the person is neutral.
        foreign_limit: largest foreignness for a verdict; None without such a check.
        foreign_probability_limit: likewise, of the probability of being foreign.
    """

    threshold: float = PAPER_THRESHOLD
    foreign_limit: float | None = None
    foreign_probability_limit: float | None = None

    def decide(
        self, probabilities: tuple[float, float], foreignness: float = 0.0, foreign_probability: float = 0.0
    ) -> GenderDecision:
        """The decision for one person.

        Args:
            probabilities: of male and female.
            foreignness: distance of the person's picture to the training pictures.
            foreign_probability: of the picture being foreign, in the classifier's own opinion.
        """
        likelier = int(probabilities[1] > probabilities[0])
        probability = probabilities[likelier]
        if not math.isfinite(probability + foreignness + foreign_probability):
            return fallback("the classifier gave no number")
        if self.foreign_limit is not None and foreignness > self.foreign_limit:
            reason = f"unlike the classifier's training pictures: {foreignness:.2f}, limit {self.foreign_limit:.2f}"
            return GenderDecision("neutral", "fallback", probability, reason)
        limit = self.foreign_probability_limit
        if limit is not None and foreign_probability > limit:
            reason = f"foreign to the classifier: probability {foreign_probability:.4f}, limit {limit:.4f}"
            return GenderDecision("neutral", "fallback", probability, reason)
        if probability < self.threshold:
            reason = f"not sure enough: {probability:.3f}, threshold {self.threshold:.3f}"
            return GenderDecision("neutral", "classified", probability, reason)
        return GenderDecision(CLASSES[likelier], "classified", probability)


def given(gender: str) -> GenderDecision:
    """The decision for a person whose gender the user names."""
    return GenderDecision(gender, "given")


def fallback(reason: str) -> GenderDecision:
    """The decision for a person about whom nothing can be said."""
    return GenderDecision("neutral", "fallback", reason=reason)
