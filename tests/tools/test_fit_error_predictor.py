"""The regression of the error predictor on data of known distribution."""

from __future__ import annotations

import numpy as np
import pytest

from tools.fit_error_predictor import regressed


def test_error_predictor_recovers_a_log_linear_error() -> None:
    random = np.random.default_rng(1)
    features = [{"residual": float(a), "bend": float(b)} for a, b in random.normal(size=(400, 2))]
    errors = np.exp([3.0 + 0.5 * one["residual"] - 0.2 * one["bend"] for one in features])
    predictor = regressed(features, errors)
    assert predictor.weights["residual"] == pytest.approx(0.5, rel=0.05)
    assert predictor.weights["bend"] == pytest.approx(-0.2, rel=0.05)
    assert predictor.expected_error({"residual": 0.0, "bend": 0.0}) == pytest.approx(np.exp(3.0), rel=0.05)
