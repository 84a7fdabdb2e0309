from __future__ import annotations

from pathlib import Path

import pytest

from smplifyx.errors import UsageError
from smplifyx.keypoints.folder import pair_folder


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
    with pytest.raises(UsageError, match=r"--images .*absent"):
        pair_folder(tmp_path / "absent", keypoints)
    (images / "a.jpg").touch()
    with pytest.raises(UsageError, match=r"--keypoints .*absent"):
        pair_folder(images, tmp_path / "absent")
