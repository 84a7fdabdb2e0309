"""Foreign pictures: which photos they come from, how they are cut out, and what is lost on them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional

from smplifyx.errors import InputError
from smplifyx.gender import CropRules
from smplifyx.training.gender_config import GenderForeign
from smplifyx.training.gender_foreign import foreign_loss, foreign_photos, load_foreign, random_cut_outs
from tests.training.gender_photos import make_foreign

SIDE = 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return make_foreign(tmp_path_factory.mktemp("foreign"), 12)


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> list[Path]:
    """Photos of people, one of them twice, as two people are in it."""
    folder = tmp_path_factory.mktemp("own")
    paths = [folder / f"{number}.png" for number in range(3)]
    for path in paths:
        cv2.imwrite(str(path), np.full((200, 200, 3), 7, np.uint8))
    return [*paths, paths[0]]


def test_photos_in_subfolders_count_and_other_systems_side_files_do_not(folder):
    photos = foreign_photos(folder)
    assert len(photos) == 12 + 4
    assert len({path.parent for path in photos}) == 2
    assert not any(path.name.startswith(".") for path in photos)


def test_frames_of_one_subfolder_stay_together(folder, own, monkeypatch):
    cut = []
    monkeypatch.setattr(
        "smplifyx.training.gender_foreign.random_cut_outs",
        lambda path, n, side, rng: cut.append(path) or [path] * n,
    )
    parts = load_foreign(GenderForeign(str(folder), crops=60, validation_share=0.4), own, SIDE, seed=0)
    learned, held_out = set(parts.training), set(parts.held_out)
    assert learned | held_out == set(foreign_photos(folder))
    assert not learned & held_out
    assert len({path in learned for path in folder.glob("video/*")}) == 1
    assert set(parts.familiar) == set(own)
    assert len(cut) == len(set(cut))
    assert len(parts.training) >= 60 and len(parts.familiar) >= 60


def test_crops_look_like_those_of_people(folder):
    found = random_cut_outs(foreign_photos(folder)[0], 60, SIDE, np.random.default_rng(0))
    sizes = np.array([one.region.size for one in found])
    assert len(found) == 60 and {one.plain.shape for one in found} == {(SIDE, SIDE, 3)}
    assert sizes[:, 1].min() > CropRules.for_side(SIDE).min_side - 1
    assert 0.3 < np.median(sizes[:, 0] / sizes[:, 1]) < 1.2
    # As of people, the longer side fills the square and the rest is black.
    tall = next(one for one in found if one.region.size[0] < 0.5 * one.region.size[1])
    assert not tall.plain[:, 0].any() and tall.plain[:, SIDE // 2].any(axis=1).all()
    np.testing.assert_array_equal(tall.crop(tall.region).shape, tall.plain.shape)
    assert np.abs(tall.crop(tall.region).astype(int) - tall.plain).mean() < 10


def test_small_photos_and_unusable_folders_are_told(folder, own, tmp_path):
    cv2.imwrite(str(tmp_path / "small.png"), np.zeros((20, 300, 3), np.uint8))
    assert random_cut_outs(tmp_path / "small.png", 5, SIDE, np.random.default_rng(0)) == []
    with pytest.raises(InputError, match="too few"):
        load_foreign(GenderForeign(str(tmp_path)), own, SIDE, 0)
    with pytest.raises(InputError, match="no such folder"):
        load_foreign(GenderForeign(str(tmp_path / "none")), own, SIDE, 0)
    (tmp_path / "small.png").unlink()
    with pytest.raises(InputError, match="has no photos"):
        load_foreign(GenderForeign(str(tmp_path)), own, SIDE, 0)


def test_the_loss_is_cross_entropy_with_half_the_weight_on_either_class():
    logits = torch.randn(5 + 2 + 2, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([0.0] * 7 + [1.0] * 2)
    weight = torch.tensor([0.25 / 5] * 5 + [0.25 / 2] * 2 + [0.5 / 2] * 2)
    expected = functional.binary_cross_entropy_with_logits(logits, target, weight, reduction="sum")
    torch.testing.assert_close(foreign_loss(logits, 2), expected)
