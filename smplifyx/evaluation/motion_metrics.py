"""Metrics of motions: jitter, delay and fast movements.

Points in metres, F frames first; numpy only. Distances between bodies of one frame are in :mod:`.metrics`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from smplifyx.evaluation.metrics import MILLIMETRES_PER_METRE

FloatArray = NDArray[np.float64]

#: Points slower than this at their fastest say nothing on delay (metres a second).
FAST = 1.5
#: Largest delay that is looked for, and its resolution, frames.
_LARGEST_DELAY, _DELAY_STEP = 4.0, 0.05


def acceleration_errors(fitted: FloatArray, true: FloatArray) -> FloatArray:
    """Mean length of the difference of second differences, [F - 2] millimetres a frame squared.

    This is the acceleration error of the literature (Kanazawa et al. 2019); times the square of the frames a second
    over a thousand it is in metres a second squared.

    Args:
        fitted: [F, J, 3].
        true: [F, J, 3].
    """
    difference = np.diff(np.asarray(fitted, np.float64) - np.asarray(true, np.float64), n=2, axis=0)
    return np.asarray(np.linalg.norm(difference, axis=2).mean(axis=1) * MILLIMETRES_PER_METRE)


def per_second_squared(millimetres_a_frame: float, fps: float) -> float:
    """Metres a second squared of an acceleration in millimetres a frame squared."""
    return millimetres_a_frame * fps**2 / MILLIMETRES_PER_METRE


def speeds(points: FloatArray, fps: float) -> FloatArray:
    """Speeds [F - 2, J] of points [F, J, 3] by central differences, metres a second."""
    points = np.asarray(points, np.float64)
    return np.asarray(np.linalg.norm(points[2:] - points[:-2], axis=2) * fps / 2.0)


def delay_frames(fitted: FloatArray, true: FloatArray) -> float:
    """Delay of fitted against true curves [F, N], frames; positive when the fit is late.

    It is the shift of all true curves together that brings them closest to the fitted ones; the means of the curves
    do not count. Between frames the true curves are interpolated: the same done to fitted curves would smooth their
    jitter, and half a frame would always seem best. NaN without a curve or with too few frames.
    """
    n_frames = len(true)
    margin = int(_LARGEST_DELAY)
    if n_frames <= 2 * margin + 2 or not true.shape[1]:
        return float("nan")
    times, smooth = np.arange(margin, n_frames - margin), CubicSpline(np.arange(n_frames), true)
    best = (np.inf, np.nan)
    for delay in np.arange(-_LARGEST_DELAY, _LARGEST_DELAY + _DELAY_STEP / 2.0, _DELAY_STEP):
        difference = fitted[times] - smooth(times - delay)
        best = min(best, (float(np.square(difference - difference.mean(axis=0)).sum()), float(delay)))
    return best[1]


def peak_share(fitted: FloatArray, true: FloatArray, around: int = 2) -> float:
    """Highest fitted over highest true value of a curve [F], near the true peak.

    Args:
        fitted: [F].
        true: [F].
        around: frames before and after the true peak in which the fitted one may be.
    """
    peak = int(np.argmax(true))
    return float(fitted[max(peak - around, 0) : peak + around + 1].max() / true[peak])
