"""Fits from other starts, and with keypoints hardly moved."""

from __future__ import annotations

import numpy as np

from smplifyx.evaluation import restarts
from smplifyx.evaluation.trials import make_people
from smplifyx.synthetic.documents import observation_of
from tests.random_body import random_body_model


def test_shares_of_people_near_the_lowest_loss():
    figures = restarts.RestartFigures(
        np.array([100.0, 103.0, 120.0]), np.array([[101.0, 140.0], [100.0, 102.0], [130.0, 100.0]]), np.ones(3, bool)
    )
    np.testing.assert_allclose(figures.excess, [0.0, 0.03, 0.2])
    row = restarts.restart_row(figures)
    assert (row["within 1%"], row["within 5%"], row["worst"]) == ("33.3 %", "66.7 %", "+20.0 %")
    assert row["restarts within 1%"] == "50.0 %"


def test_a_usual_fit_that_is_not_finite_is_the_worst():
    figures = restarts.RestartFigures(
        np.array([np.inf, 100.0]), np.array([[100.0, 100.5], [np.inf, 200.0]]), np.zeros(2, bool)
    )
    row = restarts.restart_row(figures)
    assert (row["within 1%"], row["restarts within 1%"], row["worst"]) == ("50.0 %", "50.0 %", "+inf %")


def test_only_restarts_begin_elsewhere(config):
    data = random_body_model()
    people = [observation_of(one, with_camera=True) for one in make_people(data, 2, 3, None)]
    moved, usual = restarts.movements_mm(data, config, people)
    still = restarts.restart(data, config, people, 2, size=0.0)
    away = restarts.restart(data, config, people, 2, size=1.0)
    losses = np.array([one.loss for one in usual])
    np.testing.assert_array_equal(still.loss, losses)
    np.testing.assert_array_equal(still.restarted, np.stack([losses, losses], 1))
    np.testing.assert_array_equal(away.loss, losses)
    assert (away.restarted != losses[:, None]).all() and moved.shape == (2,) and np.isfinite(moved).all()
    assert restarts.same_in_other_batches(data, config, people, usual).all()
