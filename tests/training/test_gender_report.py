"""Temperature, thresholds and reliability, on synthetic logits with known calibration."""

from __future__ import annotations

import numpy as np
import pytest

from smplifyx.training.gender_report import (
    choose_out_of_distribution_limit,
    choose_threshold,
    class_weights,
    fit_temperature,
    reliability,
    tempered,
    verdicts,
)


@pytest.fixture(scope="module")
def honest():
    """Logits whose softmax is the probability with which the label was drawn."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (40000, 2))
    labels = (rng.random(len(logits)) < tempered(logits, 1.0)[:, 1]).astype(int)
    return logits, labels


@pytest.mark.parametrize("scale", [0.25, 1.0, 5.0])
def test_the_temperature_undoes_a_scale_of_the_logits(honest, scale):
    logits, labels = honest
    assert fit_temperature(scale * logits, labels) == pytest.approx(scale, rel=0.05)


def test_honest_probabilities_are_reliable_and_others_not(honest):
    logits, labels = honest
    assert reliability(tempered(logits, 1.0), labels).error < 0.01
    bins = reliability(tempered(logits, 0.2), labels)
    assert bins.error > 0.1
    assert bins.count.sum() == len(labels)
    assert (bins.probability - bins.accuracy)[-1] > 0.05


def test_the_threshold_is_the_lowest_that_keeps_the_target(honest):
    logits, labels = honest
    probabilities = tempered(logits, 1.0)
    threshold = choose_threshold(probabilities, labels, 0.05)
    assert verdicts(probabilities, labels, threshold).wrong <= 0.05
    assert verdicts(probabilities, labels, threshold - 1e-3).wrong > 0.05
    assert choose_threshold(probabilities, labels, 0.5) == 0.5
    assert verdicts(probabilities, labels, choose_threshold(probabilities, labels, 0.0)).wrong == 0


def test_both_classes_count_the_same():
    labels = np.array([0] * 9 + [1])
    probabilities = np.array([[0.95, 0.05]] * 10)
    shares = verdicts(probabilities, labels, 0.9)
    assert (shares.correct, shares.wrong, shares.neutral) == pytest.approx((0.5, 0.5, 0.0))
    assert verdicts(probabilities, labels, 0.96).neutral == 1.0
    assert class_weights(labels).sum() == pytest.approx(1.0)
    assert class_weights(np.zeros(4, int)).sum() == pytest.approx(1.0)


def test_the_limit_accepts_at_most_the_given_share():
    outliers = np.random.default_rng(0).beta(3, 1, 210)
    for accepted in (0.0, 0.05, 0.31, 1.0):
        limit = choose_out_of_distribution_limit(outliers, accepted)
        assert (outliers <= limit).sum() == int(accepted * 210 + 1e-9)
    assert (outliers <= choose_out_of_distribution_limit(np.repeat(outliers, 2), 0.5)).mean() <= 0.5
