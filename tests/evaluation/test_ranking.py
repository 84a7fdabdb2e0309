"""Whether an estimate puts the worst first."""

from __future__ import annotations

import numpy as np

from smplifyx.evaluation.statistics import area_under_curve, worst_share


def test_the_area_is_the_share_of_pairs_in_the_right_order():
    rng = np.random.default_rng(0)
    estimate, positive = rng.integers(0, 20, 200).astype(float), rng.random(200) < 0.2
    pairs = [0.5 if a == b else float(a > b) for a in estimate[positive] for b in estimate[~positive]]
    assert np.isclose(area_under_curve(estimate, positive), np.mean(pairs))
    assert area_under_curve(positive.astype(float), positive) == 1.0
    assert np.isnan(area_under_curve(estimate, np.zeros(200, bool)))


def test_the_worst_share_is_the_largest_errors():
    assert worst_share(np.array([3.0, 9.0, 1.0, 7.0]), 0.5).tolist() == [False, True, False, True]
    assert worst_share(np.array([3.0, 9.0, 1.0]), 0.1).tolist() == [False, True, False]
