"""Comparison of bases that may be turned within a nearly degenerate space."""

from __future__ import annotations

import numpy as np


def covariance_distance(found: np.ndarray, expected: np.ndarray) -> float:
    """Relative Frobenius distance of the covariances of two sets of scaled components.

    Components of almost equal scale span a space in which the processor's rounding chooses the axes, and the sign of
    each component is free. The covariance, the sum of the components' outer products, depends on neither.

    Args:
        found: [N, D] components in rows, each as long as its standard deviation.
        expected: [M, D].
    """
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    own, cross, wanted = found @ found.T, found @ expected.T, expected @ expected.T
    squared = (own**2).sum() - 2 * (cross**2).sum() + (wanted**2).sum()
    return float(np.sqrt(max(squared, 0.0) / (wanted**2).sum()))
