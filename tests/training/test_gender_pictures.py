"""Augmentation, and out-of-distribution pictures: which photos are used, how they are cropped, and their loss."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional

from smplifyx.errors import InputError
from smplifyx.gender import CropRules, Region, cut
from smplifyx.training.gender_people import CutOut
from smplifyx.training.gender_pictures import (
    Augmenter,
    find_photos,
    load_out_of_distribution,
    out_of_distribution_loss,
    random_cut_outs,
)
from smplifyx.training.settings import GenderAugmentation, OutOfDistribution
from tests.training.gender_photos import make_out_of_distribution

SIDE = 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return make_out_of_distribution(tmp_path_factory.mktemp("outliers"), 12)


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> list[Path]:
    """Photos of people, one of them twice, as two people are in it."""
    folder = tmp_path_factory.mktemp("own")
    paths = [folder / f"{number}.png" for number in range(3)]
    for path in paths:
        cv2.imwrite(str(path), np.full((200, 200, 3), 7, np.uint8))
    return [*paths, paths[0]]


def test_photos_in_subfolders_count_and_other_systems_side_files_do_not(folder):
    photos = find_photos(folder)
    assert len(photos) == 12 + 4
    assert len({path.parent for path in photos}) == 2
    assert not any(path.name.startswith(".") for path in photos)


def test_frames_of_one_subfolder_stay_together(folder, own, monkeypatch):
    cut = []
    monkeypatch.setattr(
        "smplifyx.training.gender_pictures.random_cut_outs",
        lambda path, n, side, rng: cut.append(path) or [path] * n,
    )
    parts = load_out_of_distribution(OutOfDistribution(folder, crops=60, validation_share=0.4), own, SIDE, seed=0)
    training, held_out = set(parts.training), set(parts.held_out)
    assert training | held_out == set(find_photos(folder))
    assert not training & held_out
    assert len({path in training for path in folder.glob("video/*")}) == 1
    assert set(parts.in_distribution) == set(own)
    assert len(cut) == len(set(cut))
    assert len(parts.training) >= 60 and len(parts.in_distribution) >= 60


def test_crops_look_like_those_of_people(folder):
    found = random_cut_outs(find_photos(folder)[0], 60, SIDE, np.random.default_rng(0))
    sizes = np.array([one.region.size for one in found])
    assert len(found) == 60 and {one.plain.shape for one in found} == {(SIDE, SIDE, 3)}
    assert sizes[:, 1].min() > CropRules.for_side(SIDE).min_side - 1
    assert 0.3 < np.median(sizes[:, 0] / sizes[:, 1]) < 1.2
    # As of people, the longer side fills the square and the rest is black.
    tall = next(one for one in found if one.region.size[0] < 0.5 * one.region.size[1])
    assert not tall.plain[:, 0].any() and tall.plain[:, SIDE // 2].any(axis=1).all()
    np.testing.assert_array_equal(tall.crop(tall.region).shape, tall.plain.shape)
    assert np.abs(tall.crop(tall.region).astype(int) - tall.plain).mean() < 10


def test_small_photos_and_unusable_folders_are_refused(folder, own, tmp_path):
    cv2.imwrite(str(tmp_path / "small.png"), np.zeros((20, 300, 3), np.uint8))
    assert random_cut_outs(tmp_path / "small.png", 5, SIDE, np.random.default_rng(0)) == []
    with pytest.raises(InputError, match="too few"):
        load_out_of_distribution(OutOfDistribution(tmp_path), own, SIDE, 0)
    with pytest.raises(InputError, match="no such folder"):
        load_out_of_distribution(OutOfDistribution(tmp_path / "none"), own, SIDE, 0)
    (tmp_path / "small.png").unlink()
    with pytest.raises(InputError, match="has no photos"):
        load_out_of_distribution(OutOfDistribution(tmp_path), own, SIDE, 0)


def test_the_loss_is_cross_entropy_with_half_the_weight_on_either_class():
    logits = torch.randn(5 + 2 + 2, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([0.0] * 7 + [1.0] * 2)
    weight = torch.tensor([0.25 / 5] * 5 + [0.25 / 2] * 2 + [0.5 / 2] * 2)
    expected = functional.binary_cross_entropy_with_logits(logits, target, weight, reduction="sum")
    torch.testing.assert_close(out_of_distribution_loss(logits, 2), expected)


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
