"""Confidence intervals of means over people, by resampling the people (Efron 1979)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

FloatArray = NDArray[np.float64]

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

    def cells(self, name: str) -> dict[str, float]:
        """Columns of a table, see :data:`smplifyx.evaluation.tables.Row`."""
        return {name: self.mean, f"{name}_low": self.low, f"{name}_high": self.high}


def mean_interval(values: ArrayLike, seed: int = 0) -> MeanInterval:
    """Mean of [N] values with its percentile interval; NaN entries are left out. The same seed, the same interval."""
    sample = np.asarray(values, dtype=np.float64)
    sample = sample[np.isfinite(sample)]
    if not len(sample):
        return MeanInterval(np.nan, np.nan, np.nan)
    drawn = np.random.default_rng(seed).integers(len(sample), size=(_N_RESAMPLES, len(sample)))
    low, high = np.percentile(sample[drawn].mean(axis=1), [50.0 - _COVERAGE / 2.0, 50.0 + _COVERAGE / 2.0])
    return MeanInterval(float(sample.mean()), float(low), float(high))


def difference_interval(values: ArrayLike, reference: ArrayLike) -> MeanInterval:
    """Mean of ``values - reference``, person by person, with its interval."""
    return mean_interval(np.asarray(values, dtype=np.float64) - np.asarray(reference, dtype=np.float64))


def worst_share(errors: FloatArray, share: float) -> NDArray[np.bool_]:
    """The people [P] of largest error: this share of them, at least one."""
    count = max(1, round(share * len(errors)))
    worst = np.zeros(len(errors), bool)
    worst[np.argsort(errors)[-count:]] = True
    return worst


def area_under_curve(estimate: FloatArray, positive: NDArray[np.bool_]) -> float:
    """Area under the receiver operating characteristic: the chance that a positive has the larger estimate.

    Args:
        estimate: [P] larger for those that should be positive; equal ones count half.
        positive: [P] who truly is. Both kinds must occur, otherwise NaN.
    """
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return float("nan")
    rank_sum = rankdata(estimate)[positive].sum()
    return float((rank_sum - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))
