"""Weights of observations after a solution, and of the lifted joints of several views."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from smplifyx.config import SequenceConfig
from smplifyx.fitting.fitter import Fitter
from smplifyx.sequence.evidence import revised_weights
from tests.sequence.moving_people import moving_person
from tests.sequence.test_start import evidence_of

_FAR = 500.0


def revised(
    residuals: np.ndarray, weights: np.ndarray, agreed: np.ndarray | None = None, is_first: bool = True
) -> np.ndarray:
    agreed = np.ones_like(residuals) if agreed is None else agreed
    return revised_weights(residuals, np.isfinite(residuals), weights, agreed, SequenceConfig(), is_first)


@pytest.mark.parametrize(("n_views", "expected"), [(1, 0.0), (2, 0.0), (3, 1.0), (4, 1.0)])
def test_frames_in_which_three_views_agree_are_never_rejected(n_views: int, expected: float) -> None:
    residuals = np.full((6, n_views), 5.0)
    residuals[2] = _FAR
    for is_first in (True, False):
        weights = revised(residuals, np.ones_like(residuals), is_first=is_first)
        np.testing.assert_array_equal(weights[2], expected)
        np.testing.assert_array_equal(np.delete(weights, 2, axis=0), 1.0)


def test_three_views_do_not_agree_where_one_is_left_out_or_sees_nobody() -> None:
    residuals = np.full((6, 3), 5.0)
    agreed = np.ones_like(residuals)
    residuals[2:4] = _FAR
    agreed[2, 1], residuals[3, 1] = 0.0, np.nan
    weights = revised(residuals, agreed.copy(), agreed)
    np.testing.assert_array_equal(weights[2:4], 0.0)
    np.testing.assert_array_equal(weights[[0, 1, 4, 5]], 1.0)


def test_what_was_passed_over_is_tried_once() -> None:
    residuals = np.full((6, 1), 5.0)
    residuals[2:4, 0] = 40.0, _FAR  # the body is a guess; a wrong person
    weights = np.ones_like(residuals)
    weights[2:4] = 0.0
    assert revised(residuals, weights)[:, 0].tolist() == [1, 1, 1, 0, 1, 1]
    assert revised(residuals, weights, is_first=False)[:, 0].tolist() == [1, 1, 0, 0, 1, 1]


def test_lifted_joints_of_all_views_that_count_are_as_those_of_one(plain_fitter: Fitter) -> None:
    evidence = evidence_of(plain_fitter, moving_person(2, 4))
    whole = evidence.data.targets.sqrt_precision.square().unflatten(0, (2, 4))
    for weights in ([1.0, 1.0, 1.0, 1.0], [0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 1.0]):
        found = evidence.weighted(np.array([weights, [1.0] * 4])).targets.sqrt_precision.square()
        mean = whole[0, np.flatnonzero(weights)].mean(0)
        torch.testing.assert_close(found.unflatten(0, (2, 4))[0].sum(0), mean)
