"""Calibration of a gender classifier, and figures on people with labels: verdicts, reliability, and their plots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from smplifyx.files import atomic_path
from smplifyx.gender import (
    CLASSES,
    Classification,
    DecisionRule,
    GenderDecision,
    Voter,
    Votes,
    classify_people,
    decide,
    joint,
)
from smplifyx.gender.decision import PAPER_THRESHOLD
from smplifyx.training.gender_people import LabelledPerson

FloatArray = NDArray[np.float64]

_LOG_TEMPERATURE = (-3.0, 4.0)
_N_BINS = 10


def class_weights(labels: NDArray[np.int64]) -> FloatArray:
    """Return weights [N] with sum 1 that balance the classes of labels [N]."""
    counts = np.bincount(labels, minlength=2)
    return 1.0 / (counts[labels] * (counts > 0).sum())


def fit_temperature(logits: FloatArray, labels: NDArray[np.int64]) -> float:
    """Fit the temperature with the lowest log-loss, with balanced classes (Guo et al. 2017).

    Args:
        logits: [N, 2].
        labels: [N].
    """
    weights, rows = class_weights(labels), np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        log_probability: FloatArray = log_softmax(logits / np.exp(log_temperature), axis=1)
        return -float(weights @ log_probability[rows, labels])

    return float(np.exp(minimize_scalar(loss, bounds=_LOG_TEMPERATURE, method="bounded").x))


def tempered(logits: FloatArray, temperature: float) -> FloatArray:
    """Return probabilities [N, 2] of logits [N, 2]."""
    return np.asarray(softmax(logits / temperature, axis=1))


@dataclass(frozen=True)
class Verdicts:
    """Shares of people with ``correct`` and ``wrong`` verdicts; the others are ``neutral``."""

    correct: float
    wrong: float

    @property
    def neutral(self) -> float:
        """Share of people without a verdict."""
        return max(0.0, 1.0 - self.correct - self.wrong)


def verdicts(probabilities: FloatArray, labels: NDArray[np.int64], threshold: float) -> Verdicts:
    """Compute the verdicts of a threshold, with balanced classes.

    Args:
        probabilities: [N, 2].
        labels: [N].
        threshold: lowest probability for a verdict.
    """
    weights = class_weights(labels)
    sure = probabilities.max(1) >= threshold
    right = probabilities.argmax(1) == labels
    return Verdicts(float(weights[sure & right].sum()), float(weights[sure & ~right].sum()))


def choose_threshold(probabilities: FloatArray, labels: NDArray[np.int64], target_error: float) -> float:
    """Return the lowest threshold, from 0.5, with at most a share ``target_error`` of wrong verdicts."""
    surest = probabilities.max(1)
    wrong = probabilities.argmax(1) != labels
    order = np.argsort(-surest[wrong])
    shares = np.cumsum(class_weights(labels)[wrong][order])
    too_many = np.nonzero(shares > target_error + 1e-12)[0]
    if not len(too_many):
        return 0.5
    # Just above the first wrong verdict beyond the target.
    return float(np.nextafter(surest[wrong][order][too_many[0]], 2.0))


def choose_out_of_distribution_limit(probabilities: FloatArray, accepted: float) -> float:
    """Return the highest limit that accepts at most a share ``accepted`` of out-of-distribution pictures.

    Args:
        probabilities: [N] of being out of distribution, of such pictures.
        accepted: from 0 to 1.
    """
    n_accepted = int(accepted * len(probabilities) + 1e-9)
    if n_accepted == len(probabilities):
        return 1.0
    # Just below the first one beyond the share.
    return float(np.nextafter(np.sort(probabilities)[n_accepted], 0.0))


@dataclass(frozen=True)
class Reliability:
    """Accuracy by probability, in bins.

    Attributes:
        probability: [bins] mean probability of the predicted class; NaN for an empty bin.
        accuracy: [bins] share of correct predictions; NaN for an empty bin.
        count: [bins].
    """

    probability: FloatArray
    accuracy: FloatArray
    count: NDArray[np.int64]

    @property
    def error(self) -> float:
        """Expected calibration error: mean difference of the two over all people."""
        gap = np.nan_to_num(np.abs(self.probability - self.accuracy))
        return float((self.count * gap).sum() / max(self.count.sum(), 1))


def reliability(probabilities: FloatArray, labels: NDArray[np.int64]) -> Reliability:
    """Compute the reliability in ten equal bins of the predicted class's probability, from 0.5 to 1."""
    surest = probabilities.max(1)
    right = probabilities.argmax(1) == labels
    bins = np.clip(((surest - 0.5) * 2 * _N_BINS).astype(int), 0, _N_BINS - 1)
    count = np.bincount(bins, minlength=_N_BINS)
    with np.errstate(invalid="ignore"):
        means = [np.bincount(bins, values, _N_BINS) / count for values in (surest, right)]
    return Reliability(means[0], means[1], count)


#: Of Pavlakos et al. 2019 at its threshold, on its own test photos.
PAPER = Verdicts(0.6238, 0.0754)


@dataclass(frozen=True)
class GenderReport:
    """Results of a classifier on people with labels.

    Attributes:
        rule: conditions of a verdict.
        decisions: one per person.
        labels: [N], 0 male, 1 female.
        probabilities: [M, 2] of the classified people.
        classified: [M] their positions among all.
        distance: [M].
        out_of_distribution: [M].
    """

    rule: DecisionRule
    decisions: list[GenderDecision]
    labels: NDArray[np.int64]
    probabilities: FloatArray
    classified: NDArray[np.int64]
    distance: FloatArray
    out_of_distribution: FloatArray

    @property
    def classified_labels(self) -> NDArray[np.int64]:
        """[M] labels of the classified people."""
        return self.labels[self.classified]

    @property
    def counts(self) -> dict[str, Counter[str]]:
        """Numbers of decisions by label."""
        counts: dict[str, Counter[str]] = {name: Counter() for name in CLASSES}
        for label, decision in zip(self.labels, self.decisions, strict=True):
            counts[CLASSES[label]][decision.gender] += 1
        return counts

    @property
    def shares(self) -> Verdicts:
        """Shares among all people, including those who were not classified; each person has the same weight."""
        names = [CLASSES[label] for label in self.labels]
        genders = [one.gender for one in self.decisions]
        correct = sum(a == b for a, b in zip(names, genders, strict=True))
        neutral = genders.count("neutral")
        return Verdicts(correct / len(names), (len(names) - correct - neutral) / len(names))

    def lines(self) -> list[str]:
        """Return one line per figure."""
        rule, shares = self.rule, self.shares
        limits = ", ".join(
            f"{name} {'none' if limit is None else f'{limit:.4f}'}"
            for name, limit in (("distance", rule.distance_limit), ("probability", rule.out_of_distribution_limit))
        )
        lines = [
            f"{len(self.labels)} people, "
            + " and ".join(f"{(self.labels == number).sum()} {name}" for number, name in enumerate(CLASSES)),
            f"rule             threshold {rule.threshold:.4f}; out-of-distribution limits: {limits}",
            _shares("verdicts", shares),
            _shares(f"paper at {PAPER_THRESHOLD}", PAPER),
        ]
        lines += self._counts()
        if len(self.classified):
            lines += self._without_rule()
        return lines

    def _counts(self) -> list[str]:
        counts = self.counts
        lines = [
            f"{name:<16} {' '.join(f'{counts[name][gender]} {gender}' for gender in (*CLASSES, 'neutral'))}"
            for name in CLASSES
        ]
        reasons = Counter(one.reason_without_figures for one in self.decisions if one.reason)
        return lines + [f"neutral          {number} {reason}" for reason, number in reasons.most_common()]

    def joint_lines(self, other: GenderReport) -> list[str]:
        """Return one line per figure of the joint decisions with another classifier of the same people."""
        pairs = zip(other.decisions, self.decisions, strict=True)
        both = replace(self, decisions=[joint(pair) for pair in pairs])
        return [_shares("verdicts", both.shares), *both._counts()]

    def _without_rule(self) -> list[str]:
        correct = self.probabilities.argmax(1) == self.classified_labels
        at_paper = verdicts(self.probabilities, self.classified_labels, PAPER_THRESHOLD)
        return [
            f"without the rule {correct.mean():.1%} of {len(correct)} classified people correct, "
            f"{class_weights(self.classified_labels) @ correct:.1%} for equal classes",
            _shares(f"at {PAPER_THRESHOLD} alone", at_paper) + ", equal classes",
            f"reliability      {reliability(self.probabilities, self.classified_labels).error:.1%} calibration error",
            *(
                _spread(name, values)
                for name, values in (("distance", self.distance), ("out of distribution", self.out_of_distribution))
                if values.any()
            ),
        ]


def _shares(name: str, shares: Verdicts) -> str:
    return f"{name:<16} {shares.correct:.2%} correct, {shares.wrong:.2%} wrong, {shares.neutral:.2%} neutral"


def _spread(name: str, values: FloatArray) -> str:
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
    return f"{name:<19} {low:.2f}, {middle:.2f}, {high:.2f} (5, 50, 95 % of the people)"


def report_votes(
    people: Sequence[LabelledPerson], voters: Sequence[Voter], progress: Callable[[int], object] = lambda n: None
) -> list[GenderReport]:
    """Classify people with labels; return the results of each voter alone.

    Args:
        people: the people.
        voters: the classifiers.
        progress: called with the number of people just done.
    """
    votes = classify_people([person.observation for person in people], voters, progress)
    labels = np.array([person.label for person in people])
    return [_report(voter, of_voter, labels) for voter, of_voter in zip(voters, votes, strict=True)]


def _report(voter: Voter, votes: Votes, labels: NDArray[np.int64]) -> GenderReport:
    classified = [(place, one) for place, one in enumerate(votes) if isinstance(one, Classification)]
    return GenderReport(
        voter.rule,
        decide([votes], [voter]),
        labels,
        np.array([one.probabilities for _, one in classified]).reshape(-1, len(CLASSES)),
        np.array([place for place, _ in classified], int),
        np.array([one.distance for _, one in classified]),
        np.array([one.out_of_distribution for _, one in classified]),
    )


def plot_reliability(outcome: GenderReport, path: Path) -> None:
    """Draw the reliability and the verdicts of each threshold; needs matplotlib (the extra ``train``)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    bins = reliability(outcome.probabilities, outcome.classified_labels)
    left.plot([0.5, 1], [0.5, 1], color="0.7", linestyle=":", label="perfect")
    left.plot(bins.probability, bins.accuracy, "o-", label="held-out people")
    for x, y, count in zip(bins.probability, bins.accuracy, bins.count, strict=True):
        if count:
            left.annotate(str(count), (x, y), textcoords="offset points", xytext=(5, -10), fontsize=7, color="0.4")
    left.set(title="reliability", xlabel="probability of the predicted class", ylabel="share correct", ylim=(0, 1.03))
    thresholds = np.linspace(0.5, 1, 101)
    shares = [verdicts(outcome.probabilities, outcome.classified_labels, one) for one in thresholds]
    right.plot(thresholds, [one.correct for one in shares], label="correct")
    right.plot(thresholds, [one.wrong for one in shares], label="wrong")
    right.axvline(outcome.rule.threshold, color="0.7", linestyle=":", label="threshold")
    right.set(title="verdicts, equal classes", xlabel="threshold", ylabel="share of the people", ylim=(0, 1.03))
    for axes in (left, right):
        axes.legend(frameon=False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)
