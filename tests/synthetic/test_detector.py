from dataclasses import replace

import numpy as np
import pytest

from smplifyx.lifting.network import LIFTED_KEYPOINTS
from smplifyx.skeleton import (
    BODY_KEYPOINT_NAMES,
    BODY_KEYPOINTS,
    CANONICAL_KEYPOINT_NAMES,
    LEFT_HAND_KEYPOINTS,
    N_KEYPOINTS,
    RIGHT_HAND_KEYPOINTS,
)
from smplifyx.synthetic.detector import OPENPOSE_OFFSETS, Sight, detect, detect_people
from smplifyx.synthetic.noise import DETECTORS, DetectorNoise
from smplifyx.training.settings import CORRELATED_TRAINING_DETECTOR, TRAINING_DETECTOR

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


def test_unsure_points_lose_confidence_and_do_not_move(sight):
    sure, unsure = detected(sight, EXACT), detected(sight, replace(EXACT, unsure_rate=0.5))
    np.testing.assert_array_equal(sure[:, :2], unsure[:, :2])
    ratio = unsure[BODY_KEYPOINTS, 2] / sure[BODY_KEYPOINTS, 2]
    assert 0.2 < (ratio < 0.51).mean() < 0.8
    assert set(np.round(ratio[ratio > 0.51], 6)) == {1.0}


def people(count: int = 600) -> np.ndarray:
    """[B, 135, 2] people of about 600 pixels."""
    rng = np.random.default_rng(7)
    return rng.uniform(200.0, 800.0, (1, N_KEYPOINTS, 2)) + rng.normal(0.0, 20.0, (count, N_KEYPOINTS, 2))


def errors_of(noise, points):
    """[B, K, 2] in sizes of the box."""
    found = detect_people(points, noise, np.random.default_rng(1))
    box = np.ptp(points[:, BODY_KEYPOINTS], axis=1).max(axis=1)
    return (found.points - points) / box[:, None, None]


def correlation(errors, first, second):
    a, b = (errors[:, BODY_KEYPOINT_NAMES.index(name)].reshape(-1) for name in (first, second))
    return np.corrcoef(a, b)[0, 1]


def test_the_families_differ_in_what_errors_share():
    points = people()
    independent, correlated = (
        errors_of(replace(DETECTORS[name], swap_rate=0.0, offset_scale=0.0), points)
        for name in ("independent", "correlated")
    )
    for pair in (("left_elbow", "left_wrist"), ("right_ankle", "right_heel"), ("left_hip", "right_hip")):
        assert abs(correlation(independent, *pair)) < 0.15
        assert correlation(correlated, *pair) > 0.3
    assert abs(correlation(correlated, "left_wrist", "right_ankle")) < 0.15


def test_no_constant_of_the_training_is_shared_with_the_correlated_detector():
    noise, default = vars(DETECTORS["correlated"]), vars(DetectorNoise())
    for name in ("body_jitter", "hand_jitter", "face_jitter", "tail", "body_miss_rate", "confidence", "swap_rate"):
        trained = [getattr(one, name) for one in (TRAINING_DETECTOR, CORRELATED_TRAINING_DETECTOR)]
        assert noise[name] not in (default[name], *trained), name


def test_offsets_follow_the_bones():
    points = people(20)
    moved = errors_of(replace(EXACT, offset_scale=1.0), points)
    toe, heel = (points[:, BODY_KEYPOINT_NAMES.index(name)] for name in ("left_big_toe", "left_heel"))
    foot = (toe - heel) / np.linalg.norm(toe - heel, axis=1, keepdims=True)
    offset = moved[:, BODY_KEYPOINT_NAMES.index("left_big_toe")]
    np.testing.assert_allclose(offset, OPENPOSE_OFFSETS["big_toe"][0] * foot, atol=1e-9)
    assert np.abs(moved[:, LEFT_HAND_KEYPOINTS]).max() == 0.0


def test_whole_limbs_are_missed_with_their_hands():
    found = detect_people(people(2000), replace(EXACT, limb_miss_rate=0.1), np.random.default_rng(0)).confidence == 0
    missed = {name: found[:, BODY_KEYPOINT_NAMES.index(name)] for name in BODY_KEYPOINT_NAMES}
    hand = found[:, LEFT_HAND_KEYPOINTS]
    np.testing.assert_array_equal(hand.all(axis=1), missed["left_wrist"])
    np.testing.assert_array_equal(hand.any(axis=1), missed["left_wrist"])
    assert (missed["left_elbow"] <= missed["left_wrist"]).all()
    assert missed["left_wrist"].mean() == pytest.approx(1 - 0.9 * 0.95 * 0.96, abs=0.03)
    assert not missed["nose"].any() and not missed["mid_hip"].any()


def test_level_zero_is_exact_for_every_detector(sight):
    for noise in DETECTORS.values():
        np.testing.assert_array_equal(detected(sight, noise.scaled(0.0))[:, :2], sight.pixels)


LIFTED = tuple(CANONICAL_KEYPOINT_NAMES[index] for index in LIFTED_KEYPOINTS)


def lifted(noise, count=400):
    points = people(count)[:, list(LIFTED_KEYPOINTS)]
    return points, detect_people(points, noise, np.random.default_rng(2), LIFTED)


def test_fewer_keypoints_can_be_detected():
    exact = replace(EXACT, min_part_px=0.0, stray_miss_rate=0.02)
    points, found = lifted(exact)
    np.testing.assert_array_equal(found.points, points)
    assert (found.confidence > 0).mean() == pytest.approx(0.98, abs=0.01)
    assert not found.swapped_sides.any()


def test_people_are_cut_off_below():
    points, found = lifted(replace(EXACT, min_part_px=0.0, cut_rate=1.0))
    y = points[..., 1]
    lowest, highest = np.take_along_axis(found.confidence, np.stack([y.argmax(1), y.argmin(1)], 1), axis=1).T
    assert (lowest == 0).mean() > 0.9 and (highest > 0).all()


def test_swapped_arms_take_their_hands_along():
    points, found = lifted(replace(EXACT, min_part_px=0.0, swap_rate=1.0))
    assert (found.swapped_sides.sum(axis=1) == 1).all() and 0.4 < found.swapped_sides[:, 0].mean() < 0.6
    arms = found.swapped_sides[:, 0]
    left, right = LIFTED.index("left_wrist"), LIFTED.index("right_wrist")
    np.testing.assert_array_equal(found.points[arms][:, left], points[arms][:, right])
    np.testing.assert_array_equal(found.points[arms][:, 25:28], points[arms][:, 28:31])
    np.testing.assert_array_equal(found.points[~arms][:, left], points[~arms][:, left])


def test_some_detectors_are_certain_of_everything():
    _, found = lifted(replace(TRAINING_DETECTOR, certain_rate=0.5))
    seen = np.where(found.confidence > 0, found.confidence, 1.0)
    assert (seen == 1.0).all(axis=1).mean() == pytest.approx(0.5, abs=0.1)
