"""From logits to probabilities that can be believed, and from these to verdicts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

FloatArray = NDArray[np.float64]

_LOG_TEMPERATURE = (-3.0, 4.0)
_N_BINS = 10


def class_weights(labels: NDArray[np.int64]) -> FloatArray:
    """Weights [N] with which both classes count the same; their sum is 1."""
    counts = np.bincount(labels, minlength=2)
    return 1.0 / (counts[labels] * (counts > 0).sum())


def fit_temperature(logits: FloatArray, labels: NDArray[np.int64]) -> float:
    """The temperature with the least log-loss, both classes counting the same (Guo et al. 2017).

    Args:
        logits: `[N, 2]`.
        labels: `[N]`.
    """
    weights, rows = class_weights(labels), np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        log_probability: FloatArray = log_softmax(logits / np.exp(log_temperature), axis=1)
        return -float(weights @ log_probability[rows, labels])

    return float(np.exp(minimize_scalar(loss, bounds=_LOG_TEMPERATURE, method="bounded").x))


def tempered(logits: FloatArray, temperature: float) -> FloatArray:
    """Probabilities [N, 2]."""
    return np.asarray(softmax(logits / temperature, axis=1))


@dataclass(frozen=True)
class Verdicts:
    """Shares of all people: ``correct``, ``wrong`` and the rest, ``neutral``; both classes count the same."""

    correct: float
    wrong: float

    @property
    def neutral(self) -> float:
        """Share of people without a verdict."""
        return max(0.0, 1.0 - self.correct - self.wrong)


def verdicts(probabilities: FloatArray, labels: NDArray[np.int64], threshold: float) -> Verdicts:
    """What comes of a threshold.

    Args:
        probabilities: `[N, 2]`.
        labels: `[N]`.
        threshold: least probability for a verdict.
    """
    weights = class_weights(labels)
    sure = probabilities.max(1) >= threshold
    right = probabilities.argmax(1) == labels
    return Verdicts(float(weights[sure & right].sum()), float(weights[sure & ~right].sum()))


def choose_threshold(probabilities: FloatArray, labels: NDArray[np.int64], target_error: float) -> float:
    """The lowest threshold, from 0.5, with at most a share ``target_error`` of wrong verdicts among all people."""
    surest = probabilities.max(1)
    wrong = probabilities.argmax(1) != labels
    order = np.argsort(-surest[wrong])
    shares = np.cumsum(class_weights(labels)[wrong][order])
    too_many = np.nonzero(shares > target_error + 1e-12)[0]
    if not len(too_many):
        return 0.5
    # Just above the first mistake that is one too many.
    return float(np.nextafter(surest[wrong][order][too_many[0]], 2.0))


def choose_foreign_limit(probabilities: FloatArray, passed: float) -> float:
    """The highest limit that at most a share ``passed`` of foreign pictures does not exceed.

    Args:
        probabilities: `[N]` of being foreign, of foreign pictures.
        passed: from 0 to 1.
    """
    n_passed = int(passed * len(probabilities) + 1e-9)
    if n_passed == len(probabilities):
        return 1.0
    # Just below the first that is one too many.
    return float(np.nextafter(np.sort(probabilities)[n_passed], 0.0))


@dataclass(frozen=True)
class Reliability:
    """How often verdicts of a given probability are right.

    Attributes:
        probability: `[bins]` mean of the likelier class's probability; NaN for an empty bin.
        accuracy: `[bins]` share of right answers; NaN for an empty bin.
        count: `[bins]`.
    """

    probability: FloatArray
    accuracy: FloatArray
    count: NDArray[np.int64]

    @property
    def error(self) -> float:
        """Mean distance of the two over all people (expected calibration error)."""
        gap = np.nan_to_num(np.abs(self.probability - self.accuracy))
        return float((self.count * gap).sum() / max(self.count.sum(), 1))


def reliability(probabilities: FloatArray, labels: NDArray[np.int64]) -> Reliability:
    """Ten equal bins of the likelier class's probability, from 0.5 to 1."""
    surest = probabilities.max(1)
    right = probabilities.argmax(1) == labels
    bins = np.clip(((surest - 0.5) * 2 * _N_BINS).astype(int), 0, _N_BINS - 1)
    count = np.bincount(bins, minlength=_N_BINS)
    with np.errstate(invalid="ignore"):
        means = [np.bincount(bins, values, _N_BINS) / count for values in (surest, right)]
    return Reliability(means[0], means[1], count)
