"""Flags of results that come from single keypoints."""

from __future__ import annotations

import numpy as np

from smplifyx.fitting.collect import _worst_error
from tests.fitting.test_quality import _fit_result


def test_the_worst_body_keypoint_that_is_sure_counts() -> None:
    fit, confidence = _fit_result(), np.full(135, 0.8)
    fit.keypoints_2d = np.column_stack([fit.projected_keypoints_2d, confidence])
    assert _worst_error(fit, confidence) == 0
    fit.keypoints_2d[7, 0] += 50
    fit.keypoints_2d[100, 0] += 500  # no part of the body
    assert _worst_error(fit, confidence) == 50
    confidence[7] = 0.1
    assert _worst_error(fit, confidence) == 0
