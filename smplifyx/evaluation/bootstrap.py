"""Confidence intervals of means over people, by resampling the people (Efron 1979)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

_N_RESAMPLES = 4000
_COVERAGE = 95.0


@dataclass(frozen=True)
class MeanInterval:
    """A mean and its 95 % interval; NaN throughout for no values."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.1f} [{self.low:.1f}, {self.high:.1f}]"


def mean_interval(values: ArrayLike, seed: int = 0) -> MeanInterval:
    """Mean of [N] values with its percentile interval; NaN entries are left out. The same seed, the same interval."""
    sample = np.asarray(values, dtype=np.float64)
    sample = sample[np.isfinite(sample)]
    if not len(sample):
        return MeanInterval(np.nan, np.nan, np.nan)
    drawn = np.random.default_rng(seed).integers(len(sample), size=(_N_RESAMPLES, len(sample)))
    low, high = np.percentile(sample[drawn].mean(axis=1), [50.0 - _COVERAGE / 2.0, 50.0 + _COVERAGE / 2.0])
    return MeanInterval(float(sample.mean()), float(low), float(high))


def difference_interval(values: ArrayLike, reference: ArrayLike, seed: int = 0) -> MeanInterval:
    """Mean of ``values - reference``, person by person, with its interval."""
    return mean_interval(np.asarray(values, dtype=np.float64) - np.asarray(reference, dtype=np.float64), seed)
