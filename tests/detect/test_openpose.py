import numpy as np
import pytest

from smplifyx.detect.openpose import body_as_openpose, calibrated, hand_as_openpose
from smplifyx.skeleton import BODY_KEYPOINT_NAMES, HAND_KEYPOINT_NAMES, mirror_order


def scattered(count: int) -> np.ndarray:
    return np.column_stack([np.random.default_rng(3).uniform(0, 500, (count, 2)), np.full(count, 0.7)])


def test_points_move_along_the_line_from_another_one_and_nothing_else_changes() -> None:
    body = scattered(25)
    moved = body_as_openpose(body)
    names = list(BODY_KEYPOINT_NAMES)
    ankle, knee = names.index("left_ankle"), names.index("left_knee")
    np.testing.assert_allclose(moved[ankle, :2], body[ankle, :2] + 0.03 * (body[ankle, :2] - body[knee, :2]))
    changed = {names[k] for k in np.flatnonzero((moved != body).any(axis=1))}
    assert changed == {
        f"{side}_{part}" for side in ("left", "right") for part in ("ear", "shoulder", "wrist", "ankle")
    }
    np.testing.assert_array_equal(moved[:, 2], body[:, 2])


def test_the_middle_of_the_shoulders_stays_and_a_mirrored_body_moves_alike() -> None:
    body = scattered(25)
    both = [BODY_KEYPOINT_NAMES.index(f"{side}_shoulder") for side in ("left", "right")]
    np.testing.assert_allclose(body_as_openpose(body)[both].mean(axis=0), body[both].mean(axis=0))
    order = list(mirror_order(BODY_KEYPOINT_NAMES))
    mirrored = (body * [-1, 1, 1])[order]
    np.testing.assert_allclose(body_as_openpose(mirrored), (body_as_openpose(body) * [-1, 1, 1])[order])


def test_a_point_without_the_one_that_it_moves_away_from_stays() -> None:
    body = scattered(25)
    wrist, elbow = (BODY_KEYPOINT_NAMES.index(f"right_{part}") for part in ("wrist", "elbow"))
    body[elbow] = 0
    np.testing.assert_array_equal(body_as_openpose(body)[wrist], body[wrist])
    assert not hand_as_openpose(np.zeros((21, 3))).any()


def test_only_the_wrist_of_a_hand_moves_away_from_the_fingers() -> None:
    hand = scattered(21)
    moved = hand_as_openpose(hand)
    wrist, knuckle = HAND_KEYPOINT_NAMES.index("wrist"), HAND_KEYPOINT_NAMES.index("middle1")
    lengths = [np.linalg.norm(points[wrist, :2] - points[knuckle, :2]) for points in (hand, moved)]
    assert lengths[1] == pytest.approx(1.12 * lengths[0])
    np.testing.assert_array_equal(np.delete(moved, wrist, 0), np.delete(hand, wrist, 0))


def test_confidence_rises_with_the_networks_own_and_unseen_points_stay_unseen() -> None:
    raw = np.linspace(0.0, 1.0, 50)[:, None] * np.ones(25)
    found = np.stack([calibrated(row) for row in raw])
    toes = [name.endswith("small_toe") for name in BODY_KEYPOINT_NAMES]
    assert (np.diff(found, axis=0) >= 0).all()
    assert (np.diff(found, axis=0)[:, ~np.array(toes)].sum(0) > 0.1).all()
    assert (found[0] == 0).all() and found.max() <= 1.0


def test_hips_count_less_than_knees_and_means_less_than_what_they_are_means_of() -> None:
    found = dict(zip(BODY_KEYPOINT_NAMES, calibrated(np.ones(25)), strict=True))
    assert found["left_hip"] < found["left_knee"]
    assert found["mid_hip"] < found["left_hip"] and found["neck"] < found["left_shoulder"]
    assert all(found[name] == found[name.replace("left", "right")] for name in found if name.startswith("left"))
