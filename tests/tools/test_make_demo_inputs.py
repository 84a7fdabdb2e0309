"""The demo's photos and keypoints against the truth they were made from."""

from __future__ import annotations

import colorsys
from dataclasses import replace

import numpy as np
import pytest

from smplifyx.cli.demo import DEMO_INPUTS
from smplifyx.keypoints import load_pairs, pair_folder, read_image, read_keypoint_file
from smplifyx.skeleton import BODY_KEYPOINT_NAMES
from tools.demo_scene import clothes, room
from tools.demo_scene.characters import PICTURES
from tools.demo_scene.truth import people_of, to_world
from tools.make_demo_inputs import make, photograph

_REMAKE = "the open body has changed: run python -m tools.make_demo_inputs"


@pytest.fixture(scope="module")
def truth():
    return {picture.name: people_of(picture) for picture in PICTURES}


def _relative_errors(found: np.ndarray, person) -> np.ndarray:
    """Distances of seen keypoints from the truth in units of the person's box."""
    seen = found[:, 2] > 0
    exact = person.exact_keypoints_2d
    return np.linalg.norm(found[seen, :2] - exact[seen], axis=1) / np.ptp(exact[:25], axis=0).max()


def test_shipped_inputs_load_without_a_remark():
    pairing = pair_folder(DEMO_INPUTS / "images", DEMO_INPUTS / "keypoints")
    assert not pairing.images_without_keypoints and not pairing.keypoints_without_image
    loaded = load_pairs(pairing.pairs)
    assert not loaded.failures and not loaded.skipped
    assert [one.warnings for one in loaded.observations] == [()] * 5
    sizes = {picture.name: picture.size for picture in PICTURES}
    assert {one.stem: one.image_size for one in loaded.observations} == sizes
    focal_lengths = {one.stem: one.camera and one.camera.focal_length[0] for one in loaded.observations}
    for picture in PICTURES:
        if picture.exif:
            assert focal_lengths[picture.name] == pytest.approx(picture.focal_length, rel=0.02)
        else:
            assert focal_lengths[picture.name] is None


def test_shipped_photos_are_small():
    for path in (DEMO_INPUTS / "images").iterdir():
        assert path.stat().st_size <= 150_000


def test_shipped_keypoints_agree_with_the_truth_within_the_noise(truth):
    for name, people in truth.items():
        file = read_keypoint_file(DEMO_INPUTS / "keypoints" / f"{name}_keypoints.json")
        assert len(file.people) == len(people)
        for found, person in zip(file.people, people, strict=True):
            errors = _relative_errors(np.asarray(found.keypoints), person)
            assert len(errors) >= 90
            assert 5e-4 < np.median(errors) < 0.01, _REMAKE
            assert np.quantile(errors, 0.95) < 0.05, _REMAKE


def test_keypoints_are_made_alike_every_time(tmp_path):
    picture = PICTURES[0]
    made = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        make(picture, folder, with_image=False)
        made.append(read_keypoint_file(folder / "keypoints" / f"{picture.name}_keypoints.json").people)
    for one, other in zip(*made, strict=True):
        np.testing.assert_allclose(one.keypoints, other.keypoints, atol=1e-2)


def test_photo_shows_each_person_where_the_truth_says(truth):
    """On the upper chest lies the shirt, in its colour."""
    neck, hips = (BODY_KEYPOINT_NAMES.index(name) for name in ("neck", "mid_hip"))
    for picture in PICTURES:
        photo = read_image(DEMO_INPUTS / "images" / f"{picture.name}.jpg")
        for member, person in zip(picture.people, truth[picture.name], strict=True):
            x, y = 0.7 * person.exact_keypoints_2d[neck] + 0.3 * person.exact_keypoints_2d[hips]
            # high enough to hold more than one stripe of a striped shirt
            spot = photo[round(y) - 20 : round(y) + 20, round(x) - 3 : round(x) + 4].reshape(-1, 3)[:, ::-1] / 255.0
            colorful = spot[np.ptp(spot, axis=1) > 0.15]
            assert len(colorful) > 0.3 * len(spot), f"{person.name}: {_REMAKE}"
            hue, wanted = (
                colorsys.rgb_to_hsv(*color)[0] for color in (np.median(colorful, axis=0), member.outfit.shirt)
            )
            assert abs((hue - wanted + 0.5) % 1.0 - 0.5) < 0.06, f"{person.name}: {_REMAKE}"


def test_people_stand_on_the_floor_before_the_wall(truth):
    for picture in PICTURES:
        for person in truth[picture.name]:
            points = to_world(person.vertices, picture)
            assert points[:, 1].min() == pytest.approx(0.0, abs=1e-9)
            assert points[:, 2].min() > -picture.wall_distance


def test_a_small_photo_shows_the_dressed_person_in_the_room(monkeypatch):
    """Few rays of light and coarse cloth, for speed: the shirt is where the truth says, and the room is above it."""
    monkeypatch.setattr(room, "_N_SUN_RAYS", 2)
    monkeypatch.setattr(room, "_N_SKY_RAYS", 2)
    monkeypatch.setattr(clothes, "_FINE", 0.02)
    picture = next(one for one in PICTURES if one.name == "walking")
    small = replace(picture, size=(128, 180), focal_length=picture.focal_length / 5)
    (person,) = people_of(small)
    photo = photograph(small, [person])
    assert photo.shape == (180, 128, 3) and photo.dtype == np.uint8
    neck, hips = (BODY_KEYPOINT_NAMES.index(name) for name in ("neck", "mid_hip"))
    x, y = 0.6 * person.exact_keypoints_2d[neck] + 0.4 * person.exact_keypoints_2d[hips]
    shirt = np.median(photo[round(y) - 4 : round(y) + 4, round(x) - 2 : round(x) + 3].reshape(-1, 3), axis=0) / 255.0
    hue, wanted = (colorsys.rgb_to_hsv(*color)[0] for color in (shirt, small.people[0].outfit.shirt))
    assert abs((hue - wanted + 0.5) % 1.0 - 0.5) < 0.06
    wall = np.median(photo[:8].reshape(-1, 3), axis=0) / 255.0
    assert np.abs(wall - small.wall).max() < 0.3
