from __future__ import annotations

from pathlib import Path

import pytest

from smplifyx.errors import FIT_VIDEO, UsageError
from smplifyx.keypoints import load_pairs, unpaired
from smplifyx.keypoints.folder import image_files, pair_folder


def make(root: Path, images: list[str], keypoints: list[str]) -> tuple[Path, Path]:
    for folder, names in (("images", images), ("keypoints", keypoints)):
        (root / folder).mkdir()
        for name in names:
            (root / folder / name).touch()
    return root / "images", root / "keypoints"


def test_natural_order_upper_case_and_both_name_styles(tmp_path: Path) -> None:
    folders = make(
        tmp_path,
        ["a10.jpg", "a2.JPG", "A1.jpeg", "b.c.png", "readme.txt", ".a3.jpg"],
        ["a10_keypoints.json", "a2_keypoints.JSON", "A1.json", "b.c_keypoints.json"],
    )
    pairing = pair_folder(*folders)
    assert [pair.stem for pair in pairing.pairs] == ["A1", "a2", "a10", "b.c"]
    assert [pair.keypoints.name for pair in pairing.pairs][:2] == ["A1.json", "a2_keypoints.JSON"]
    assert pairing.images_without_keypoints == pairing.keypoints_without_image == pairing.ambiguous == ()


def test_what_is_left_over_is_named(tmp_path: Path) -> None:
    images, keypoints = make(
        tmp_path, ["a.jpg", "b.jpg"], ["b_keypoints.json", "c10_keypoints.json", "c9_keypoints.json"]
    )
    pairing = pair_folder(images, keypoints)
    assert [path.name for path in pairing.images_without_keypoints] == ["a.jpg"]
    assert [path.name for path in pairing.keypoints_without_image] == ["c9_keypoints.json", "c10_keypoints.json"]


def test_two_files_of_one_name(tmp_path: Path) -> None:
    images, keypoints = make(tmp_path, ["a.png", "a.jpg"], ["a.json", "a_keypoints.json"])
    pairing = pair_folder(images, keypoints)
    (pair,) = pairing.pairs
    assert (pair.image.name, pair.keypoints.name) == ("a.jpg", "a_keypoints.json")
    assert [(path.name, used.name) for path, used in pairing.ambiguous] == [
        ("a.png", "a.jpg"),
        ("a.json", "a_keypoints.json"),
    ]


def test_one_photo_is_enough(tmp_path: Path) -> None:
    images, keypoints = make(tmp_path, ["a.jpg", "b.jpg"], ["a_keypoints.json", "other.json"])
    (pair,) = pair_folder(images / "a.jpg", keypoints).pairs
    assert pair.keypoints.name == "a_keypoints.json"
    assert pair_folder(images / "a.jpg", keypoints).keypoints_without_image == ()
    (pair,) = pair_folder(images / "a.jpg", keypoints / "other.json").pairs
    assert pair.stem == "a" and pair.keypoints.name == "other.json"


def test_missing_and_empty_folders(tmp_path: Path) -> None:
    images, keypoints = make(tmp_path, [], ["a.json"])
    with pytest.raises(UsageError, match="no image in"):
        pair_folder(images, keypoints)
    with pytest.raises(UsageError, match=r"absent does not exist; expected a folder of photos"):
        pair_folder(tmp_path / "absent", keypoints)
    (images / "a.jpg").touch()
    with pytest.raises(UsageError, match=r"absent does not exist; expected a folder of keypoints"):
        pair_folder(images, tmp_path / "absent")


def test_names_of_other_detectors_pair(tmp_path: Path) -> None:
    folders = make(
        tmp_path,
        ["a.jpg", "b.png", "c.jpg", "d.e.jpg"],
        ["a.jpg.predictions.json", "results_b.json", "c.json", "d.e_keypoints.json"],
    )
    pairing = pair_folder(*folders)
    assert [(pair.stem, pair.keypoints.name[:3]) for pair in pairing.pairs] == [
        ("a", "a.j"),
        ("b", "res"),
        ("c", "c.j"),
        ("d.e", "d.e"),
    ]
    assert pairing.images_without_keypoints == pairing.keypoints_without_image == ()


def test_text_counts_where_there_is_no_json(tmp_path: Path) -> None:
    images, keypoints = make(tmp_path, ["a.jpg", "b.jpg"], ["a.txt", "b.txt"])
    assert [pair.keypoints.name for pair in pair_folder(images, keypoints).pairs] == ["a.txt", "b.txt"]
    (keypoints / "a.json").touch()
    pairing = pair_folder(images, keypoints)
    assert [pair.keypoints.name for pair in pairing.pairs] == ["a.json"] and pairing.ambiguous == ()


def test_names_pair_whatever_their_case_and_unicode_form(tmp_path: Path) -> None:
    composed, parted = "Jos\u00e9", "Jose\u0301"
    images, keypoints = make(
        tmp_path, [f"{parted}.jpg", "IMG_0007.JPG", "X.jpg", "x.png"], [f"{composed}_keypoints.json", "img_0007.json"]
    )
    pairing = pair_folder(images, keypoints)
    assert {pair.stem: pair.keypoints.name for pair in pairing.pairs} == {
        parted: f"{composed}_keypoints.json",
        "IMG_0007": "img_0007.json",
    }
    # Two photos that differ in case alone are two photos.
    (keypoints / "x.json").touch()
    assert [pair.image.name for pair in pair_folder(images, keypoints).pairs if pair.stem in "xX"] == ["x.png"]


def test_drawings_beside_their_photos_are_left_out(tmp_path: Path) -> None:
    names = ["a.jpg", "a_rendered.png", "b_rendered.png"]
    images, keypoints = make(tmp_path, names, ["a_keypoints.json", "b_rendered.json"])
    pairing = pair_folder(images, keypoints)
    assert [pair.image.name for pair in pairing.pairs] == ["a.jpg", "b_rendered.png"]
    assert pairing.images_without_keypoints == ()
    assert [path.name for path in image_files(images / "a_rendered.png")] == ["a_rendered.png"]


def test_links_to_nothing_and_other_endings_are_named(tmp_path: Path) -> None:
    images, keypoints = make(
        tmp_path,
        ["a.jpg", "raw.dng", "c.tga", "d.mpo", "notes.md"],
        [f"{s}.json" for s in ("a", "b", "raw", "c", "d")],
    )
    (images / "b.jpg").symlink_to("gone.jpg")
    pairing = pair_folder(images, keypoints)
    assert [pair.stem for pair in pairing.pairs] == ["a", "b", "c", "d"]
    assert [path.name for path in pairing.unknown_images] == ["raw.dng"] and pairing.keypoints_without_image == ()
    failures = [str(one) for one in unpaired(pairing, keypoints).failures]
    assert len(failures) == 1 and "raw.dng" in failures[0] and "convert it to JPEG" in failures[0]
    assert "is a link to gone.jpg, which does not exist" in str(load_pairs(pairing.pairs[1:2]).failures[0])


def test_spare_keypoint_files_are_named(tmp_path: Path) -> None:
    images, keypoints = make(tmp_path, ["frame_0001.jpg"], [f"clip_00000{k}_keypoints.json" for k in range(5)])
    (failure,) = unpaired(pair_folder(images, keypoints), keypoints).failures
    assert "expected " in failure.problem
    assert "clip_000000_keypoints.json, clip_000001_keypoints.json" in failure.problem and "..." in failure.problem


def test_subfolders_and_videos_are_named(tmp_path: Path) -> None:
    images, keypoints = make(tmp_path, [], ["a.json"])
    (images / "clip.mp4").touch()
    with pytest.raises(UsageError, match=r"clip\.mp4 is a video"):
        pair_folder(images, keypoints)
    with pytest.raises(UsageError, match=rf"is a video; expected photos: {FIT_VIDEO}, or .*: ffmpeg -i clip\.mp4"):
        pair_folder(images / "clip.mp4", keypoints)
    for name in ("seq1", "seq2", "empty"):
        (images / name).mkdir()
    (images / "seq1" / "0001.jpg").touch()
    (images / "seq2" / "0001.jpg").touch()
    with pytest.raises(
        UsageError, match=r"its subfolders hold photos \(seq1, seq2\).*such as .*seq1, or fit frames as clips"
    ):
        pair_folder(images, keypoints)


@pytest.mark.parametrize(("names", "found"), [((), "nothing"), (("a.jpg", "b.jpg"), r"a\.jpg and 1 more")])
def test_a_folder_without_keypoint_files_is_an_error_of_the_call(tmp_path, names, found):
    for folder, files in (("images", ("a.jpg",)), ("keypoints", names)):
        (tmp_path / folder).mkdir()
        for name in files:
            (tmp_path / folder / name).touch()
    with pytest.raises(UsageError, match=rf"no keypoint file in .*keypoints; expected .*, found {found}$"):
        pair_folder(tmp_path / "images", tmp_path / "keypoints")
