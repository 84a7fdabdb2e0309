"""Jitter, delay and peaks against brute force and motions whose faults are known."""

from __future__ import annotations

import numpy as np
import pytest

from smplifyx.evaluation.motion_metrics import (
    acceleration_errors,
    delay_frames,
    peak_share,
    per_second_squared,
    speeds,
)

FPS = 30.0


def wave(times):
    """Curves [F, 3] with a movement of half a second."""
    return np.stack([np.exp(-np.square((times - 0.9) / 0.2)), np.sin(4.0 * times), times], axis=1)


def test_acceleration_errors_are_those_of_a_plain_loop():
    rng = np.random.default_rng(0)
    fitted, true = rng.normal(size=(2, 7, 5, 3))
    expected = []
    for frame in range(1, 6):
        lengths = []
        for joint in range(5):
            a, b = ([p[frame + k, joint] for k in (-1, 0, 1)] for p in (fitted, true))
            lengths.append(np.linalg.norm((a[0] - 2 * a[1] + a[2]) - (b[0] - 2 * b[1] + b[2])))
        expected.append(1000.0 * np.mean(lengths))
    np.testing.assert_allclose(acceleration_errors(fitted, true), expected)


def test_a_constant_velocity_more_is_no_acceleration():
    true = np.random.default_rng(0).normal(size=(9, 4, 3))
    drifting = true + np.arange(9)[:, None, None] * [0.1, -0.2, 0.3]
    np.testing.assert_allclose(acceleration_errors(drifting, true), 0.0, atol=1e-9)


def test_free_fall_in_metres_a_second_squared():
    times = np.arange(10) / FPS
    falling = np.zeros((10, 1, 3))
    falling[:, 0, 1] = -9.81 / 2.0 * times**2
    error = acceleration_errors(falling, np.zeros_like(falling)).mean()
    assert per_second_squared(error, FPS) == pytest.approx(9.81)


def test_speed_of_a_straight_path():
    path = np.arange(6)[:, None, None] * np.array([0.01, 0.0, 0.0])
    np.testing.assert_allclose(speeds(path, FPS), 0.3)


@pytest.mark.parametrize("delay", [-2.0, -0.5, 0.0, 1.0, 1.75])
def test_a_known_delay_is_found_despite_an_offset(delay):
    frames = np.arange(60)
    fitted = wave((frames - delay) / FPS) + np.array([0.3, -0.1, 2.0])
    assert delay_frames(fitted, wave(frames / FPS)) == pytest.approx(delay, abs=0.1)


def test_smoothing_without_delay_is_no_delay_and_lowers_the_peak():
    frames = np.arange(60)
    true = wave(frames / FPS)
    kernel = np.array([1, 2, 3, 4, 3, 2, 1]) / 16.0
    smooth = np.stack([np.convolve(np.pad(curve, 3, mode="edge"), kernel, mode="valid") for curve in true.T], axis=1)
    assert delay_frames(smooth, true) == pytest.approx(0.0, abs=0.11)
    assert peak_share(smooth[:, 0], true[:, 0]) == pytest.approx(smooth[:, 0].max() / true[:, 0].max())
    assert peak_share(smooth[:, 0], true[:, 0]) < 0.97


def test_no_delay_without_a_curve_or_with_few_frames():
    assert np.isnan(delay_frames(np.zeros((40, 0)), np.zeros((40, 0))))
    assert np.isnan(delay_frames(np.zeros((8, 2)), np.zeros((8, 2))))


def test_a_peak_far_from_the_true_one_does_not_count():
    true, fitted = np.zeros(30), np.zeros(30)
    true[10], fitted[20], fitted[11] = 1.0, 5.0, 0.5
    assert peak_share(fitted, true) == 0.5
