import math

import cv2
import numpy as np
import pytest

from smplifyx.detect.crops import Crop, Photo, sigmoid, upright_angle


def blob_photo(width, height, x, y, radius):
    """A bright disc whose centre lies at (x, y), where (0, 0) is the photo's corner."""
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    disc = np.clip(radius - np.hypot(columns - x, rows - y), 0.0, 1.0)
    return Photo(np.repeat((255 * disc)[..., None], 3, 2).astype(np.uint8))


def centroid(image):
    weights = image[..., 0].astype(float)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
    return np.array([(weights * columns).sum(), (weights * rows).sum()]) / weights.sum()


@pytest.mark.parametrize("angle", [0.0, 0.7, -2.5, math.pi])
@pytest.mark.parametrize("side", [50.0, 160.0, 900.0])
def test_a_point_seen_in_a_crop_is_found_where_it_is_in_the_photo(side, angle):
    """At every scale, also where smaller copies of the photo are read."""
    x, y = 410.0, 330.0
    photo = blob_photo(1000, 700, x, y, max(3.0, side / 20))
    crop = Crop((x + 0.1 * side, y - 0.05 * side), side, angle)
    seen = centroid(crop.cut(photo, 128))
    assert np.linalg.norm(crop.to_photo(seen, 128) - [x, y]) < 0.005 * side + 0.05


def test_a_crop_without_turn_is_what_opencv_cuts_out():
    image = np.random.default_rng(0).integers(0, 255, (80, 60, 3)).astype(np.uint8)
    cut = Crop((30.0, 40.0), 32.0).cut(Photo(image), 32)
    np.testing.assert_array_equal(cut, image[24:56, 14:46])


def test_outside_of_the_photo_is_black():
    photo = Photo(np.full((40, 40, 3), 200, np.uint8))
    assert Crop((-100.0, 20.0), 40.0).cut(photo, 16).max() == 0


def test_smaller_copies_average():
    image = np.random.default_rng(1).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    expected = cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(Photo(image).level(1), expected)


def test_vectors_turn_with_the_crop():
    crop = Crop((0.0, 0.0), 10.0, 0.5)
    moved = crop.to_photo(np.array([[5.0, 0.0]]), 10) - crop.to_photo(np.array([[5.0, 5.0]]), 10)
    np.testing.assert_allclose(crop.turn(np.array([[0.0, -5.0]])), moved, atol=1e-12)
    assert upright_angle(moved[0]) == pytest.approx(0.5)


def test_sigmoid_does_not_overflow():
    np.testing.assert_allclose(sigmoid(np.array([-1e6, 0.0, 1e6])), [0.0, 0.5, 1.0], atol=1e-12)
