"""Changes of pictures."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from smplifyx.gender import Region, cut
from smplifyx.training.gender_augmentation import Augmenter
from smplifyx.training.gender_config import GenderAugmentation
from smplifyx.training.gender_people import CutOut

NOTHING = {one.name: 0.0 for one in fields(GenderAugmentation)}


@pytest.fixture(scope="module")
def person():
    rows, columns = np.mgrid[:120, :80]
    pixels = np.stack([rows * 2, columns * 3, rows + columns], 2).astype(np.uint8)
    region = Region(10, 15, 70, 105)
    return CutOut(cut(pixels, region, (80, 120), 48), pixels, region, (8.0, 9.0))


def drawn(person, count=20, seed=0, **options):
    augmenter = Augmenter(GenderAugmentation(**(NOTHING | options)), np.random.default_rng(seed))
    return [augmenter.draw(person) for _ in range(count)]


def test_without_changes_only_mirrored_pictures_come(person):
    plain = person.plain
    same = [np.array_equal(one, plain) for one in drawn(person)]
    mirrored = [np.array_equal(one, plain[:, ::-1]) for one in drawn(person)]
    assert all(a or b for a, b in zip(same, mirrored, strict=True))
    assert any(same) and any(mirrored)


@pytest.mark.parametrize("name", list(NOTHING))
def test_each_change_changes_the_picture_and_keeps_its_kind(person, name):
    plain = person.plain
    options = {name: 30.0 if name == "rotation_deg" else 1.0}
    pictures = drawn(person, **options)
    for one in pictures:
        assert one.shape == (48, 48, 3) and one.dtype == np.uint8
        assert not np.array_equal(one, plain) and not np.array_equal(one, plain[:, ::-1])
    assert len({one.tobytes() for one in pictures}) > 1


def test_the_same_seed_gives_the_same_pictures(person):
    everything = {one.name: one.default for one in fields(GenderAugmentation)}
    first, second = (np.stack(drawn(person, 5, seed=4, **everything)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, np.stack(drawn(person, 5, seed=5, **everything)))


def test_grey_pictures_have_no_colours(person):
    for one in drawn(person, 5, grey=1.0):
        np.testing.assert_array_equal(one[..., 0], one[..., 2])
