"""Points, hands and faces that do not belong to the body they come with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smplifyx.keypoints.plausibility import without_misplaced
from smplifyx.keypoints.reading import PersonKeypoints
from smplifyx.skeleton import (
    BODY_KEYPOINTS,
    CONTOUR_KEYPOINTS,
    FACE_KEYPOINTS,
    LEFT_HAND_KEYPOINTS,
    RIGHT_HAND_KEYPOINTS,
    keypoint_index,
)

from .conftest import standing_person

HANDS = {"left": LEFT_HAND_KEYPOINTS, "right": RIGHT_HAND_KEYPOINTS}


def whole_person() -> PersonKeypoints:
    """Somebody 200 pixels tall with hands that hang down from the wrists and a face around the nose."""
    keypoints = np.zeros((135, 3), np.float32)
    keypoints[BODY_KEYPOINTS] = standing_person()
    for side, part in HANDS.items():
        wrist = keypoints[keypoint_index(f"{side}_wrist")]
        keypoints[part] = [(wrist[0] + (k % 4), wrist[1] + 0.8 * k, 0.6) for k in range(21)]
    nose = keypoints[keypoint_index("nose")]
    face = np.random.default_rng(0).uniform(-6, 6, (68, 2)) + nose[:2]
    face[30] = nose[:2]
    keypoints[FACE_KEYPOINTS, :2], keypoints[CONTOUR_KEYPOINTS, :2] = face[17:], face[:17]
    keypoints[FACE_KEYPOINTS.start : CONTOUR_KEYPOINTS.stop, 2] = 0.7
    return PersonKeypoints(0, keypoints)


def changed(keypoints: np.ndarray) -> PersonKeypoints:
    return without_misplaced(replace(whole_person(), keypoints=keypoints))


def test_a_person_in_order_stays() -> None:
    person = whole_person()
    assert without_misplaced(person) is person


def test_a_dropped_point_loses_its_3d_point() -> None:
    keypoints = whole_person().keypoints.copy()
    keypoints[keypoint_index("left_ankle"), :2] += 500
    person = without_misplaced(replace(whole_person(), keypoints=keypoints, points_3d=np.ones((25, 4), np.float32)))
    assert person.flags == ("point_dropped",) and person.points_3d is not None
    dropped = keypoints[BODY_KEYPOINTS, 2] != person.keypoints[BODY_KEYPOINTS, 2]
    assert dropped[keypoint_index("left_ankle")]
    np.testing.assert_array_equal(person.points_3d[:, 3] == 0, dropped)


def test_one_hand_in_both_lists_stays_at_its_own_wrist() -> None:
    keypoints = whole_person().keypoints.copy()
    keypoints[RIGHT_HAND_KEYPOINTS] = keypoints[LEFT_HAND_KEYPOINTS] + np.float32([1, -0.5, -0.3])
    for right_wrist in (0.9, 0.25, 0.0):
        keypoints[keypoint_index("right_wrist"), 2] = right_wrist
        person = changed(keypoints)
        assert person.flags == ("hand_dropped",) and not person.keypoints[RIGHT_HAND_KEYPOINTS].any()
        np.testing.assert_array_equal(person.keypoints[LEFT_HAND_KEYPOINTS], keypoints[LEFT_HAND_KEYPOINTS])
        assert "right hand is the other hand once more" in person.warnings[0]


def test_swapped_hands_are_swapped_back() -> None:
    keypoints = whole_person().keypoints.copy()
    left, right = keypoints[LEFT_HAND_KEYPOINTS].copy(), keypoints[RIGHT_HAND_KEYPOINTS].copy()
    keypoints[LEFT_HAND_KEYPOINTS], keypoints[RIGHT_HAND_KEYPOINTS] = right, left
    person = changed(keypoints)
    assert person.flags == ("hands_swapped",)
    np.testing.assert_array_equal(person.keypoints, whole_person().keypoints)


def test_hands_that_touch_are_left_alone() -> None:
    keypoints = whole_person().keypoints.copy()
    for side, x in (("left", 102), ("right", 97)):
        shift = np.float32([x, 120, 0]) - keypoints[keypoint_index(f"{side}_wrist")] * np.float32([1, 1, 0])
        keypoints[keypoint_index(f"{side}_wrist")] += shift
        keypoints[HANDS[side]] += shift
        keypoints[HANDS[side], 0] = x + np.sign(x - 100) * (keypoints[HANDS[side], 0] - x)
    assert changed(keypoints).flags == ()


def test_a_hand_in_the_list_of_the_other_side_is_moved() -> None:
    keypoints = whole_person().keypoints.copy()
    keypoints[RIGHT_HAND_KEYPOINTS] = keypoints[LEFT_HAND_KEYPOINTS]
    keypoints[LEFT_HAND_KEYPOINTS] = 0
    person = changed(keypoints)
    assert person.flags == ("hand_moved",)
    np.testing.assert_array_equal(
        person.keypoints[LEFT_HAND_KEYPOINTS], whole_person().keypoints[LEFT_HAND_KEYPOINTS]
    )
    assert not person.keypoints[RIGHT_HAND_KEYPOINTS].any()


@pytest.mark.parametrize("wrist", [0.9, 0.0])
def test_a_hand_far_from_its_arm_is_dropped(wrist: float) -> None:
    keypoints = whole_person().keypoints.copy()
    keypoints[LEFT_HAND_KEYPOINTS, :2] += 90
    keypoints[keypoint_index("left_wrist"), 2] = wrist
    person = changed(keypoints)
    assert person.flags == ("hand_dropped",) and not person.keypoints[LEFT_HAND_KEYPOINTS].any()
    assert "far from the left arm" in person.warnings[0]


@pytest.mark.parametrize("seen", ["nose", "left_ear", "neck"])
def test_the_face_of_somebody_else_is_dropped(seen: str) -> None:
    keypoints = whole_person().keypoints.copy()
    for name in ("nose", "left_eye", "right_eye", "left_ear", "right_ear"):
        keypoints[keypoint_index(name), 2] *= name == seen
    assert changed(keypoints.copy()).flags == ()
    face = slice(FACE_KEYPOINTS.start, CONTOUR_KEYPOINTS.stop)
    keypoints[face, 0] += 110
    person = changed(keypoints)
    assert person.flags == ("face_dropped",) and not person.keypoints[face].any()


def test_a_neck_at_the_nose_goes_back_between_the_shoulders() -> None:
    keypoints = whole_person().keypoints.copy()
    neck = keypoint_index("neck")
    keypoints[neck, :2] = keypoints[keypoint_index("nose"), :2]
    person = changed(keypoints)
    assert person.flags == ("point_replaced",)
    np.testing.assert_allclose(person.keypoints[neck], whole_person().keypoints[neck] * [1, 1, 0.5], rtol=1e-5)
    assert (person.keypoints[:, 2] > 0).all()


@pytest.mark.parametrize("name", ["left_elbow", "right_wrist", "left_knee", "right_ankle", "left_heel", "nose"])
def test_one_point_far_off_the_rest_is_dropped(name: str) -> None:
    keypoints = whole_person().keypoints.copy()
    keypoints[HANDS["right"]] = 0
    keypoints[FACE_KEYPOINTS.start :] = 0
    keypoints[keypoint_index(name), :2] += (260, -170)
    person = changed(keypoints)
    dropped = np.flatnonzero((person.keypoints[:, 2] == 0) & (keypoints[:, 2] > 0))
    assert keypoint_index(name) in dropped and "point_dropped" in person.flags
    # The end of a limb goes along where only the lost point joins it.
    assert len(dropped) <= 2


def test_foreshortened_and_stretched_limbs_stay() -> None:
    keypoints = whole_person().keypoints.copy()
    keypoints[HANDS["right"]] = 0
    wrist, elbow = keypoint_index("right_wrist"), keypoint_index("right_elbow")
    for length in (0.0, 0.15, 0.3):
        keypoints[wrist, :2] = keypoints[elbow, :2] + np.float32([0, 200 * length])
        assert changed(keypoints).flags == ()


def test_a_scatter_of_points_is_not_judged() -> None:
    keypoints = np.zeros((135, 3), np.float32)
    keypoints[0] = (10, 10, 0.9)
    assert changed(keypoints).flags == ()
