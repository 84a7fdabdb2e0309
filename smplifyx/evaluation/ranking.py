"""How well an estimate puts the worst fits first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

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
