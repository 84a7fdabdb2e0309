import numpy as np
import pytest

from smplifyx.skeleton import (
    BODY_KEYPOINTS,
    LEFT_HAND_KEYPOINTS,
    N_KEYPOINTS,
    RIGHT_HAND_KEYPOINTS,
)
from smplifyx.synthetic.detector import DetectorNoise, Sight, detect

EXACT = DetectorNoise().scaled(0.0)


@pytest.fixture()
def sight():
    pixels = np.random.default_rng(0).uniform(100.0, 900.0, (N_KEYPOINTS, 2))
    return Sight(pixels, np.zeros(N_KEYPOINTS, dtype=bool), (1000, 1000))


def detected(sight, noise, seed=0):
    return detect(sight, noise, np.random.default_rng(seed))


def test_level_zero_is_exact_and_complete(sight):
    hidden = Sight(sight.pixels, np.ones(N_KEYPOINTS, dtype=bool), sight.image_size)
    np.testing.assert_array_equal(detected(hidden, EXACT)[:, :2], sight.pixels)


def test_jitter_grows_with_level_and_size(sight):
    def error(noise, scale=1.0):
        scaled = Sight(sight.pixels * scale, sight.hidden, (3000, 3000))
        body = np.concatenate([detected(scaled, noise, seed)[BODY_KEYPOINTS] for seed in range(40)])
        true = np.tile(scaled.pixels[BODY_KEYPOINTS], (40, 1))
        return float(np.linalg.norm(body[:, :2] - true, axis=1).mean())

    noise = DetectorNoise(occlusion=False, swap_rate=0.0)
    assert error(noise.scaled(3.0)) == pytest.approx(3.0 * error(noise), rel=0.01)
    assert error(noise, 2.0) == pytest.approx(2.0 * error(noise), rel=0.01)


def test_rates_stay_shares():
    assert DetectorNoise(hand_miss_rate=0.4).scaled(10.0).hand_miss_rate == 1.0


def test_hands_are_mixed_up_as_often_as_asked(sight):
    noise = DetectorNoise(0.0, 0.0, 0.0, occlusion=False, hand_miss_rate=0.0, swap_rate=0.0, hand_flip_rate=0.3)
    left, right = sight.pixels[LEFT_HAND_KEYPOINTS], sight.pixels[RIGHT_HAND_KEYPOINTS]
    kinds = {(0, 1): 0, (1, 0): 0, (0, 0): 0, (1, 1): 0}
    for seed in range(400):
        found = detected(sight, noise, seed)[:, :2]
        hands = found[LEFT_HAND_KEYPOINTS], found[RIGHT_HAND_KEYPOINTS]
        kinds[tuple(int(np.array_equal(hand, right)) for hand in hands)] += 1
        assert all(np.array_equal(hand, left) or np.array_equal(hand, right) for hand in hands)
    assert kinds[0, 1] / 400 == pytest.approx(0.7, abs=0.06)
    assert all(kinds[kind] / 400 == pytest.approx(0.1, abs=0.05) for kind in ((1, 0), (0, 0), (1, 1)))


def test_doubt_lowers_confidence_and_moves_nothing(sight):
    sure, doubted = detected(sight, EXACT), detected(sight, DetectorNoise(**{**vars(EXACT), "doubt_rate": 0.5}))
    np.testing.assert_array_equal(sure[:, :2], doubted[:, :2])
    ratio = doubted[BODY_KEYPOINTS, 2] / sure[BODY_KEYPOINTS, 2]
    assert 0.2 < (ratio < 0.51).mean() < 0.8
    assert set(np.round(ratio[ratio > 0.51], 6)) == {1.0}
