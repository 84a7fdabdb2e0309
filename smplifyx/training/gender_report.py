"""Figures of a gender classifier on people of known gender, its reliability, and the curves of its training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smplifyx.files import atomic_path
from smplifyx.gender import CLASSES, Classification, DecisionRule, GenderClassifier, GenderDecision, ask_about, decide
from smplifyx.gender.decision import PAPER_THRESHOLD
from smplifyx.training.gender_calibration import (
    FloatArray,
    Verdicts,
    class_weights,
    reliability,
    verdicts,
)
from smplifyx.training.gender_people import LabelledPerson
from smplifyx.training.gender_trainer import History

#: Of Pavlakos et al. 2019 at its threshold, on its own test photos.
PAPER = Verdicts(0.6238, 0.0754)


@dataclass(frozen=True)
class GenderReport:
    """What a classifier says about people of known gender.

    Attributes:
        rule: threshold and limit that were asked for.
        decisions: one a person.
        labels: `[N]`, 0 male, 1 female.
        probabilities: `[M, 2]` of the people who were classified.
        asked: `[M]` their places among all.
        foreignness: `[M]`.
        foreign_probability: `[M]`.
    """

    rule: DecisionRule
    decisions: list[GenderDecision]
    labels: NDArray[np.int64]
    probabilities: FloatArray
    asked: NDArray[np.int64]
    foreignness: FloatArray
    foreign_probability: FloatArray

    @property
    def asked_labels(self) -> NDArray[np.int64]:
        """`[M]`."""
        return self.labels[self.asked]

    @property
    def counts(self) -> dict[str, Counter[str]]:
        """Male, female -> how many of them are fitted as what."""
        counts: dict[str, Counter[str]] = {name: Counter() for name in CLASSES}
        for label, decision in zip(self.labels, self.decisions, strict=True):
            counts[CLASSES[label]][decision.gender] += 1
        return counts

    @property
    def shares(self) -> Verdicts:
        """Correct and wrong among all people, those included who were not classified; each person counts the same."""
        names = [CLASSES[label] for label in self.labels]
        genders = [one.gender for one in self.decisions]
        correct = sum(a == b for a, b in zip(names, genders, strict=True))
        neutral = genders.count("neutral")
        return Verdicts(correct / len(names), (len(names) - correct - neutral) / len(names))

    def lines(self) -> list[str]:
        """The figures, one a line."""
        rule, shares, counts = self.rule, self.shares, self.counts
        limits = ", ".join(
            f"{name} {'none' if limit is None else f'{limit:.4f}'}"
            for name, limit in (("distance", rule.foreign_limit), ("probability", rule.foreign_probability_limit))
        )
        lines = [
            f"{len(self.labels)} people, {' and '.join(f'{sum(counts[name].values())} {name}' for name in CLASSES)}",
            f"rule             threshold {rule.threshold:.4f}; limits of the foreign: {limits}",
            _shares("verdicts", shares),
            _shares(f"paper at {PAPER_THRESHOLD}", PAPER),
        ]
        lines += [
            f"{name:<16} {' '.join(f'{counts[name][gender]} {gender}' for gender in (*CLASSES, 'neutral'))}"
            for name in CLASSES
        ]
        reasons = Counter(one.reason.split(":")[0] for one in self.decisions if one.reason)
        lines += [f"neutral          {number} {reason}" for reason, number in reasons.most_common()]
        if len(self.asked):
            lines += self._without_rule()
        return lines

    def _without_rule(self) -> list[str]:
        right = self.probabilities.argmax(1) == self.asked_labels
        at_paper = verdicts(self.probabilities, self.asked_labels, PAPER_THRESHOLD)
        return [
            f"without the rule {right.mean():.1%} of {len(right)} classified people right, "
            f"{class_weights(self.asked_labels) @ right:.1%} for equal classes",
            _shares(f"at {PAPER_THRESHOLD} alone", at_paper) + ", equal classes",
            f"reliability      {reliability(self.probabilities, self.asked_labels).error:.1%} calibration error",
            _spread("distance", self.foreignness),
            _spread("probability", self.foreign_probability),
        ]


def _shares(name: str, shares: Verdicts) -> str:
    return f"{name:<16} {shares.correct:.2%} correct, {shares.wrong:.2%} wrong, {shares.neutral:.2%} neutral"


def _spread(name: str, values: FloatArray) -> str:
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
    return f"foreign {name:<11} {low:.2f}, {middle:.2f}, {high:.2f} (5, 50, 95 % of the people)"


def report(
    people: Sequence[LabelledPerson],
    classifier: GenderClassifier,
    rule: DecisionRule | None = None,
    progress: Callable[[int], object] = lambda n: None,
) -> GenderReport:
    """Ask a classifier about people.

    Args:
        people: anyone.
        classifier: any.
        rule: when an answer counts; None: the classifier's own.
        progress: called with the number of people just done.
    """
    rule = rule or classifier.rule
    answers = ask_about([person.observation for person in people], classifier, progress)
    asked = [(place, answer) for place, answer in enumerate(answers) if isinstance(answer, Classification)]
    return GenderReport(
        rule,
        decide(answers, rule),
        np.array([person.label for person in people]),
        np.array([answer.probabilities for _, answer in asked]).reshape(-1, len(CLASSES)),
        np.array([place for place, _ in asked], int),
        np.array([answer.foreignness for _, answer in asked]),
        np.array([answer.foreign_probability for _, answer in asked]),
    )


def plot_history(history: History, path: Path) -> None:
    """Draws the learning curves; needs matplotlib (the extra ``train``)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 3.2), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    epochs = np.arange(1, len(history.validation) + 1)
    loss.plot(epochs, history.training, label="training, pictures changed")
    loss.plot(epochs, history.validation, label="validation, calibrated")
    loss.set(title="loss", xlabel="epoch", ylim=(0, None))
    accuracy.plot(epochs, history.accuracy, label="validation")
    accuracy.set(title="share right, equal classes", xlabel="epoch", ylim=(None, 1))
    for axes in (loss, accuracy):
        axes.axvline(history.best_epoch + 1, color="0.7", linestyle=":", label="best")
        axes.legend(frameon=False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)


def plot_reliability(outcome: GenderReport, path: Path) -> None:
    """Draws how often answers of a given probability are right, and what each threshold would bring."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    bins = reliability(outcome.probabilities, outcome.asked_labels)
    left.plot([0.5, 1], [0.5, 1], color="0.7", linestyle=":", label="perfect")
    left.plot(bins.probability, bins.accuracy, "o-", label="held-out people")
    for x, y, count in zip(bins.probability, bins.accuracy, bins.count, strict=True):
        if count:
            left.annotate(str(count), (x, y), textcoords="offset points", xytext=(5, -10), fontsize=7, color="0.4")
    left.set(title="reliability", xlabel="probability of the likelier", ylabel="share right", ylim=(0, 1.03))
    thresholds = np.linspace(0.5, 1, 101)
    shares = [verdicts(outcome.probabilities, outcome.asked_labels, one) for one in thresholds]
    right.plot(thresholds, [one.correct for one in shares], label="correct")
    right.plot(thresholds, [one.wrong for one in shares], label="wrong")
    right.axvline(outcome.rule.threshold, color="0.7", linestyle=":", label="threshold")
    right.set(title="verdicts, equal classes", xlabel="threshold", ylabel="share of the people", ylim=(0, 1.03))
    for axes in (left, right):
        axes.legend(frameon=False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)
