"""Keypoints of the unturned picture, and of pictures of another size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from smplifyx.keypoints import KeypointOptions, Loaded, load_pairs, pair_folder
from smplifyx.keypoints.frames import turned_upright

from .conftest import standing_person

Writer = Callable[..., Path]


def as_stored(body: np.ndarray, height: int) -> np.ndarray:
    """The points of an upright picture in the one that EXIF orientation 6 turns upright."""
    stored = body.copy()
    stored[:, 0], stored[:, 1] = body[:, 1], height - 1 - body[:, 0]
    return stored


@pytest.fixture
def photograph(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str = "a.jpg", width: int = 300, height: int = 400, orientation: int = 6) -> Path:
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        stored = (height, width) if orientation > 4 else (width, height)
        path = tmp_path / "images" / name
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", stored).save(path, exif=exif)
        return path

    return write


def loaded(tmp_path: Path, **options: object) -> Loaded:
    pairs = pair_folder(tmp_path / "images", tmp_path / "keypoints").pairs
    return load_pairs(pairs, options=KeypointOptions(**options))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_points_turn_as_the_picture_does(orientation: int) -> None:
    pixels = np.zeros((30, 40), np.uint8)
    pixels[4, 7] = 255
    stored = Image.fromarray(pixels)
    stored.getexif()[ExifTags.Base.Orientation] = orientation
    upright = np.asarray(ImageOps.exif_transpose(stored))
    keypoints = np.zeros((135, 3), np.float32)
    keypoints[2] = (7, 4, 0.9)  # a right shoulder
    turned = turned_upright(keypoints, orientation, (upright.shape[1], upright.shape[0]))
    shoulder = 5 if orientation in (2, 4, 5, 7) else 2  # a mirrored person's is the left one
    x, y, confidence = turned[shoulder]
    assert upright[round(y), round(x)] == 255 and confidence == pytest.approx(0.9)
    assert (turned[:, 2] > 0).sum() == 1


def test_points_outside_the_upright_picture_are_turned(
    tmp_path: Path, photograph: Writer, write_people: Writer
) -> None:
    photograph()
    body = standing_person(x=150, y=150, height=240)
    write_people(as_stored(body, 300))
    (person,) = loaded(tmp_path).observations
    np.testing.assert_allclose(person.keypoints[:25], body, atol=1e-3)
    assert person.flags == ("frame_turned",) and "turned upright" in person.warnings[0]


def test_people_who_would_stand_in_the_stored_picture_are_doubtful(
    tmp_path: Path, photograph: Writer, write_people: Writer
) -> None:
    photograph()
    lying = as_stored(standing_person(x=120, y=60, height=180), 300)
    write_people(lying)
    result = loaded(tmp_path)
    (person,) = result.observations
    np.testing.assert_allclose(person.keypoints[:25], lying, atol=1e-3)
    assert person.flags == ("frame_uncertain",) and "keypoint frame stored" in result.notes[0]
    (turned,) = loaded(tmp_path, frame="stored").observations
    np.testing.assert_allclose(turned.keypoints[:25], standing_person(x=120, y=60, height=180), atol=1e-3)
    assert loaded(tmp_path, frame="upright").observations[0].flags == ()


def test_a_certain_photo_settles_the_doubtful_ones(tmp_path: Path, photograph: Writer, write_people: Writer) -> None:
    upright = standing_person(x=120, y=60, height=180)
    for name in "abc":
        photograph(f"{name}.jpg")
        write_people(as_stored(upright, 300), name=f"{name}_keypoints.json")
    assert [one.flags for one in loaded(tmp_path).observations] == [("frame_uncertain",)] * 3
    photograph("d.jpg")
    write_people(as_stored(standing_person(x=150, y=150, height=240), 300), name="d_keypoints.json")
    result = loaded(tmp_path)
    assert [one.flags for one in result.observations] == [("frame_turned",)] * 4 and len(result.notes) == 1
    np.testing.assert_allclose(result.observations[0].keypoints[:25], upright, atol=1e-3)
    # One who stands in the upright picture makes them doubtful again.
    photograph("e.jpg")
    write_people(upright, name="e_keypoints.json")
    flags = [one.flags for one in loaded(tmp_path).observations]
    assert flags == [*[("frame_uncertain",)] * 3, ("frame_turned",), ()]


def test_a_point_outside_the_stored_picture_rules_it_out(
    tmp_path: Path, photograph: Writer, write_people: Writer
) -> None:
    photograph()
    body = standing_person(x=120, y=60, height=180)
    lying = as_stored(body, 300)
    lying[:, 1] += 120  # below 300, the height of the stored picture
    write_people(lying)
    assert loaded(tmp_path).observations[0].flags == ()


def test_upright_people_and_photos_without_a_turn_are_not_doubtful(
    tmp_path: Path, photograph: Writer, write_people: Writer
) -> None:
    photograph("a.jpg")
    write_people(standing_person(x=150, height=300))
    photograph("b.jpg", orientation=1)
    write_people(as_stored(standing_person(x=120, y=60, height=180), 300), name="b_keypoints.json")
    result = loaded(tmp_path)
    assert [one.flags for one in result.observations] == [(), ()] and result.notes == ()


@pytest.mark.parametrize(("factor", "expected"), [(0.5, "smaller"), (1.0, ""), (1.3, "larger")])
def test_a_folder_of_keypoints_of_another_size_is_doubtful(
    tmp_path: Path, write_image: Writer, write_people: Writer, factor: float, expected: str
) -> None:
    for k in range(3):
        write_image(f"{k}.png", 200, 260)
        body = standing_person(x=95 + 5 * k, y=8, height=240)
        write_people(body * [factor, factor, 1], name=f"{k}_keypoints.json")
    result = loaded(tmp_path)
    if factor > 1:
        assert result.failures or "larger" in result.notes[0]
        return
    assert [one.flags for one in result.observations] == [("size_uncertain",) if expected else ()] * 3
    assert all(expected in note and "keypoint scale" in note for note in result.notes)
    assert len(result.notes) == bool(expected)
    again = loaded(tmp_path, scale=1 / factor)
    assert again.notes == () and again.observations[0].flags == ()
    np.testing.assert_allclose(again.observations[0].keypoints[:25], standing_person(95, 8, 240), rtol=1e-5)


def test_two_photos_tell_nothing_about_their_size(tmp_path: Path, write_image: Writer, write_people: Writer) -> None:
    for k in range(2):
        write_image(f"{k}.png", 400, 520)
        write_people(standing_person(), name=f"{k}_keypoints.json")
    assert loaded(tmp_path).notes == ()


def test_the_body_alone_tells_that_a_photo_is_smaller(
    tmp_path: Path, write_image: Writer, write_people: Writer
) -> None:
    """A face and hands in the middle of the picture do not hide that the legs are outside."""
    write_image("a.png", 110, 130)
    face = [value for k in range(70) for value in (100.0 + k / 10, 34.0, 0.9)]
    hand = [value for k in range(21) for value in (100.0 + k, 100.0, 0.9)]
    body = standing_person().ravel().tolist()
    write_people({"pose_keypoints_2d": body, "face_keypoints_2d": face, "hand_left_keypoints_2d": hand})
    (failure,) = loaded(tmp_path).failures
    assert "body keypoints lie far outside" in failure.problem
