"""Regions and crops of people, against hand-made photos whose content is known."""

from __future__ import annotations

import numpy as np
import pytest

from smplifyx.gender.voters import CropRules, Region, cut, person_region
from smplifyx.skeleton import BODY_KEYPOINT_NAMES, BODY_KEYPOINTS
from tests.gender.conftest import standing

SIZE = (1000, 800)


def without(keypoints, *endings):
    keypoints = keypoints.copy()
    gone = [i for i, name in enumerate(BODY_KEYPOINT_NAMES) if name.endswith(endings)]
    keypoints[gone] = 0
    return keypoints


def test_the_region_is_the_keypoints_and_a_margin_of_the_photo():
    region = person_region(standing(500, 200, 400), SIZE)
    assert region == pytest.approx(Region(400 - 80, 200 - 64, 600 + 80, 600 + 64))
    assert region.size == pytest.approx((360, 528))


def test_the_region_ends_at_the_photo_and_ignores_hands_and_doubtful_points():
    keypoints = standing(500, 20, 770)
    keypoints[100] = (990, 10, 1.0)
    keypoints[BODY_KEYPOINT_NAMES.index("left_wrist")] = (5, 5, 0.05)
    region = person_region(keypoints, SIZE)
    assert (region.top, region.bottom) == (0, 800)
    assert region.left == pytest.approx(500 - 0.25 * 770 - 80)


@pytest.mark.parametrize(
    ("keypoints", "word"),
    [
        (standing(500, 300, 60), "too small"),
        (without(standing(500, 200, 400), "nose", "eye", "ear"), "keypoints of head"),
        (without(standing(500, 200, 400), "nose", "eye", "right_ear"), "keypoints of head"),
        (without(standing(500, 200, 400), "elbow", "wrist"), "keypoints of arm"),
        (without(standing(500, 200, 400), "knee", "ankle", "toe", "heel"), "keypoints of leg"),
        (np.zeros((135, 3), np.float32), "keypoints of head and arm and leg"),
        (standing(500, 200, 400) * np.float32([1, 1, 0.5]), "too uncertain"),
    ],
)
def test_people_who_are_not_seen_well_enough_are_refused(keypoints, word):
    assert word in person_region(keypoints, SIZE)


def test_two_points_of_the_head_and_one_of_arm_and_leg_are_enough():
    keypoints = without(standing(500, 200, 400), "nose", "left_ear", "eye", "left_elbow", "left_wrist", "right_elbow")
    keypoints[BODY_KEYPOINT_NAMES.index("nose")] = (500, 208, 0.9)
    assert isinstance(person_region(keypoints, SIZE), Region)
    assert isinstance(person_region(keypoints, SIZE, CropRules(min_points=(("head", 3),))), str)


def test_a_classifier_of_fewer_pixels_may_look_at_smaller_people():
    assert CropRules.for_side(224) == CropRules()
    keypoints = standing(500, 200, 70)
    assert "too small: 195 x 198" in person_region(keypoints, SIZE)
    assert isinstance(person_region(keypoints, SIZE, CropRules.for_side(144)), Region)


def test_the_longer_side_fills_the_square_and_the_rest_is_black():
    image = np.full((800, 1000, 3), (10, 100, 200), np.uint8)
    crop = cut(image, Region(300, 100, 500, 500), SIZE, 64)
    assert crop.shape == (64, 64, 3)
    assert (crop[:, 16:48] == (10, 100, 200)).all()
    assert not crop[:, :16].any() and not crop[:, 48:].any()
    assert (cut(image, Region(300, 100, 700, 200), SIZE, 64)[24:40] == (10, 100, 200)).all()


def test_a_photo_decoded_smaller_gives_the_same_crop():
    rows, columns = np.mgrid[:800, :1000]
    image = np.stack([rows // 4, columns // 4, (rows + columns) // 8], 2).astype(np.uint8)
    region = Region(200, 120, 760, 680)
    full = cut(image, region, SIZE, 96).astype(int)
    half = cut(image.reshape(400, 2, 500, 2, 3).mean((1, 3)).astype(np.uint8), region, SIZE, 96).astype(int)
    assert np.abs(full - half).max() <= 2
    assert full.std() > 20


def test_a_region_of_less_than_a_pixel_still_gives_a_crop():
    image = np.full((8, 10, 3), 7, np.uint8)
    assert cut(image, Region(9.6, 3.2, 9.9, 3.3), (10, 8), 32).max() == 7


def test_detector_noise_does_not_count_as_seen():
    keypoints = without(standing(500, 200, 400), "knee", "ankle", "toe", "heel")
    keypoints[BODY_KEYPOINTS, 2] = np.maximum(keypoints[BODY_KEYPOINTS, 2], 0.05)
    assert "leg" in person_region(keypoints, SIZE)
