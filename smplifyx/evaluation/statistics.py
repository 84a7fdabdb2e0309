"""Confidence intervals of means over people, by resampling the people (Efron 1979)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

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


FloatArray = NDArray[np.float64]


def worst_share(errors: FloatArray, share: float) -> NDArray[np.bool_]:
    """The people [P] of largest error: this share of them, at least one."""
    count = max(1, round(share * len(errors)))
    worst = np.zeros(len(errors), bool)
    worst[np.argsort(errors)[-count:]] = True
    return worst


def area_under_curve(estimate: FloatArray, positive: NDArray[np.bool_]) -> float:
    """Area under the receiver operating characteristic: the chance that a positive has the larger estimate.

    Args:
        estimate: [P] larger for those that ought to be positive; equal ones count half.
        positive: [P] who truly is. Both kinds must occur, otherwise NaN.
    """
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return float("nan")
    rank_sum = rankdata(estimate)[positive].sum()
    return float((rank_sum - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


Cell = str | float


def format_table(rows: Sequence[Mapping[str, Cell]], decimals: int = 1) -> str:
    """Columns under the keys of the first row, numbers right-aligned; an empty string for no rows."""
    if not rows:
        return ""
    columns = list(rows[0])
    cells = [columns] + [[_text(row.get(column, ""), decimals) for column in columns] for row in rows]
    widths = [max(len(line[k]) for line in cells) for k in range(len(columns))]
    return "\n".join("  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)) for line in cells)


def summarise(rows: Sequence[Mapping[str, Cell]]) -> list[dict[str, Cell]]:
    """Mean, median, mean magnitude and worst of every numeric column over the rows; NaN entries are left out.

    Worst means largest by magnitude, so that signed errors count on both sides.
    """
    columns = [column for column in (rows[0] if rows else ()) if not isinstance(rows[0][column], str)]
    summary: list[dict[str, Cell]] = []
    for name, statistic in _STATISTICS.items():
        line: dict[str, Cell] = {"": name}
        for column in columns:
            values = np.array([row[column] for row in rows], dtype=np.float64)
            values = values[np.isfinite(values)]
            line[column] = statistic(values) if len(values) else float("nan")
        summary.append(line)
    return summary


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values))


def _median(values: np.ndarray) -> float:
    return float(np.median(values))


def _mean_magnitude(values: np.ndarray) -> float:
    return float(np.mean(np.abs(values)))


def _worst(values: np.ndarray) -> float:
    return float(values[np.argmax(np.abs(values))])


_STATISTICS: dict[str, Callable[[np.ndarray], float]] = {
    "mean": _mean,
    "median": _median,
    "mean |.|": _mean_magnitude,
    "worst": _worst,
}


def _text(cell: Cell, decimals: int) -> str:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int | np.integer):
        return str(cell)
    return f"{cell:.{decimals}f}"
