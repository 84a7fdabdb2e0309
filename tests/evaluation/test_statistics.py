"""Intervals of means, and the order of estimates."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from smplifyx.evaluation.statistics import area_under_curve, difference_interval, mean_interval, worst_share


def test_interval_agrees_with_scipy():
    sample = np.random.default_rng(0).gamma(2.0, 30.0, 100)
    ours = mean_interval(sample)
    theirs = stats.bootstrap((sample,), np.mean, method="percentile", rng=1, n_resamples=9999).confidence_interval
    assert ours.mean == pytest.approx(sample.mean())
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1.0)


def test_interval_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(2)
    intervals = [mean_interval(rng.normal(5.0, 1.0, 60), seed) for seed in range(200)]
    assert 0.89 < np.mean([one.low <= 5.0 <= one.high for one in intervals]) < 0.99


def test_missing_values_are_left_out():
    assert mean_interval([1.0, np.nan, 3.0]).mean == 2.0
    assert np.isnan(mean_interval([]).mean)


def test_difference_goes_by_person():
    """Two methods that differ by 1 on each of very different people differ by 1 for sure."""
    people = np.random.default_rng(3).normal(50.0, 40.0, 30)
    difference = difference_interval(people + 1.0, people)
    assert (difference.mean, difference.low, difference.high) == pytest.approx((1.0, 1.0, 1.0))


def test_written_as_text():
    assert str(mean_interval([2.0, 2.0])) == "2.0 [2.0, 2.0]"


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
