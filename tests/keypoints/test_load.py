from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from smplifyx.errors import InputError, UsageError
from smplifyx.keypoints import PersonSelection, keypoint_box, read_keypoints
from smplifyx.keypoints.folder import pair_folder
from smplifyx.keypoints.loading import load_pairs, merge_loaded

from .conftest import load_folder, standing_person

Writer = Callable[..., Path]


@pytest.fixture
def folders(tmp_path: Path, write_image: Writer, write_people: Writer) -> tuple[Path, Path]:
    """A folder with one good photo, ``good``, to which the tests add bad ones."""
    write_image("good.png")
    write_people(standing_person(), name="good_keypoints.json")
    return tmp_path / "images", tmp_path / "keypoints"


def test_a_good_photo(folders: tuple[Path, Path]) -> None:
    loaded = load_folder(*folders)
    (observation,) = loaded.observations
    assert loaded.failures == loaded.skipped == ()
    assert observation.stem == "good" and observation.person_index == 0 and observation.image_size == (200, 260)
    assert (observation.keypoints[:, 2] > 0).sum() == 25 and observation.warnings == ()
    np.testing.assert_allclose(keypoint_box(observation.keypoints), [72, 30, 128, 218], atol=1)
    assert keypoint_box(observation.keypoints, min_confidence=0.95) is None


def test_reading_one_file_or_a_folder(folders: tuple[Path, Path], write_people: Writer) -> None:
    images, keypoints = folders
    file, photo = keypoints / "good_keypoints.json", images / "good.png"
    for path, image in ((file, photo), (file, images), (keypoints, images)):
        (person,) = read_keypoints(path, image=image)
        assert person.image_path == photo and person.keypoint_path == file
    with pytest.raises(InputError, match="photo of the same name"):
        read_keypoints(write_people(standing_person(), name="lost_keypoints.json"), image=images)
    (person,) = read_keypoints(file, image_size=(200, 260))
    assert (person.image_path, person.stem, person.image_size) == (None, "good", (200, 260))
    assert [one.stem for one in read_keypoints(keypoints, image_size=(200, 260))] == ["good", "lost"]
    with pytest.raises(InputError, match="lie far outside the image, which is 20 x 26 pixels"):
        read_keypoints(file, image_size=(20, 26))
    photo.rename(keypoints / photo.name)
    assert len(read_keypoints(file)) == 1
    file.write_text("{")
    with pytest.raises(InputError, match=r"good_keypoints\.json"):
        read_keypoints(file)


def test_every_bad_day_leaves_the_good_photo(
    folders: tuple[Path, Path], write_image: Writer, write_people: Writer
) -> None:
    images, keypoints = folders
    for name in ("empty", "cut", "broken", "nan", "nobody", "lost", "fraction", "bad_person"):
        write_image(f"{name}.jpg")
        write_people(standing_person(), name=f"{name}_keypoints.json")
    write_image("good.bmp")
    (images / "empty.jpg").write_bytes(b"")
    (images / "cut.jpg").write_bytes((images / "cut.jpg").read_bytes()[:-200])
    text = (keypoints / "broken_keypoints.json").read_text()
    (keypoints / "broken_keypoints.json").write_text(text[: len(text) // 2])
    (keypoints / "lost_keypoints.json").rename(keypoints / "found_keypoints.json")
    write_people(standing_person() * np.nan, name="nan_keypoints.json")
    write_people(name="nobody_keypoints.json")
    write_people(standing_person() / 500, name="fraction_keypoints.json")
    write_people({"pose_keypoints_2d": [1, 2]}, standing_person(), name="bad_person_keypoints.json")

    loaded = load_folder(images, keypoints)
    assert [(o.stem, o.person_index) for o in loaded.observations] == [("bad_person", 1), ("good", 0)]
    assert {failure.path.name for failure in loaded.failures} == {
        *("empty.jpg", "cut.jpg", "lost.jpg", "good.png"),
        *("broken_keypoints.json", "fraction_keypoints.json", "bad_person_keypoints.json"),
    }
    reasons = {skipped.path.stem: skipped.reason for skipped in loaded.skipped}
    assert "no people" in reasons["nobody_keypoints"]
    assert "0 body keypoints" in reasons["nan_keypoints"]
    assert "no image" in reasons["found_keypoints"]


def test_points_outside_the_image(folders: tuple[Path, Path], write_people: Writer) -> None:
    body = standing_person(x=20)
    body[4, :2], body[7, :2] = (-10, 100), (-80, 100)
    write_people(body, name="good_keypoints.json")
    (observation,) = load_folder(*folders).observations
    np.testing.assert_allclose(observation.keypoints[4], [-10, 100, 0.9], rtol=1e-6)
    assert not observation.keypoints[7].any()
    assert "1 keypoint lies" in observation.warnings[0]


def test_keypoints_of_another_size_are_refused(folders: tuple[Path, Path], write_people: Writer) -> None:
    body = standing_person() * [2, 2, 1]
    write_people(body, name="good_keypoints.json")
    loaded = load_folder(*folders)
    assert loaded.observations == ()
    assert "200 x 260 pixels when upright" in loaded.failures[0].problem


def test_invented_hands_beyond_the_frame_do_no_harm(folders: tuple[Path, Path], write_people: Writer) -> None:
    hand = [value for _ in range(21) for value in (100.0, 400.0, 0.02)]
    body = standing_person().ravel().tolist()
    person = {"pose_keypoints_2d": body, "hand_left_keypoints_2d": hand, "hand_right_keypoints_2d": hand}
    write_people(person, name="good_keypoints.json")
    (observation,) = load_folder(*folders).observations
    assert (observation.keypoints[:, 2] > 0).sum() == 25 and observation.warnings == ()


def test_size_and_focal_length_of_a_turned_photo(tmp_path: Path, write_people: Writer) -> None:
    (tmp_path / "images").mkdir()
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FocalLengthIn35mmFilm] = 26
    Image.new("RGB", (400, 300)).save(tmp_path / "images" / "A.JPG", exif=exif)
    write_people(standing_person(), name="A_keypoints.json")
    (observation,) = load_folder(tmp_path / "images", tmp_path / "keypoints").observations
    assert observation.image_size == (300, 400)
    assert observation.camera.source == "exif"
    assert observation.camera.focal_length[0] == pytest.approx(26 * 500 / 43.267, rel=1e-3)


def test_missing_folder_is_an_error_of_the_call(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        load_folder(tmp_path / "images", tmp_path)


def test_all_sample_photos_load(real: Path) -> None:
    folders = sorted(folder for folder in real.iterdir() if (folder / "images").is_dir())
    loaded = merge_loaded(load_folder(folder / "images", folder / "keypoints") for folder in folders)
    assert loaded.failures == ()
    assert len({observation.image_path for observation in loaded.observations}) == 52
    assert len(loaded.observations) >= 80
    for observation in loaded.observations:
        points = observation.keypoints
        assert points.shape == (135, 3) and points.dtype == np.float32 and np.isfinite(points).all()
        assert points[:, 2].min() >= 0 and points[:, 2].max() <= 1
        assert not points[points[:, 2] == 0].any()
        # Keypoints that belong to the photo as it is shown lie in it.
        confident = points[points[:, 2] > 0.3, :2]
        assert (confident >= -2).all() and (confident <= np.array(observation.image_size) + 8).all()


def test_shards_add_up_to_the_whole(tmp_path: Path, write_image: Writer, write_people: Writer) -> None:
    for number, n_people in enumerate((1, 3, 2, 4, 1)):
        people = [standing_person(x=90 + 150 * k, height=150 + 40 * k) for k in range(n_people)]
        write_image(f"{number}.png", width=700)
        write_people(*people, name=f"{number}_keypoints.json")
    images, keypoints = tmp_path / "images", tmp_path / "keypoints"
    pairs = pair_folder(images, keypoints).pairs
    selection = PersonSelection(max_persons=2)
    parts = [load_pairs(pairs[k::3], selection) for k in range(3)]
    names = sorted((o.stem, o.person_index) for o in merge_loaded(parts).observations)
    whole = load_folder(images, keypoints, selection)
    assert names == sorted((o.stem, o.person_index) for o in whole.observations)
    # The largest two of each photo.
    assert names == [("0", 0), ("1", 1), ("1", 2), ("2", 0), ("2", 1), ("3", 2), ("3", 3), ("4", 0)]
