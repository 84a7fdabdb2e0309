"""``smplifyx keypoints``, and the options of fits about keypoints."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image

from smplifyx import errors
from smplifyx.cli import messages
from smplifyx.cli.main import main
from smplifyx.keypoints import read_keypoint_file
from smplifyx.keypoints.layouts import layout_named, layouts
from tests.keypoints.conftest import standing_person


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    images, keypoints = tmp_path / "images", tmp_path / "alphapose"
    images.mkdir()
    keypoints.mkdir()
    canonical = np.zeros((135, 3), np.float32)
    canonical[:25] = standing_person(x=100, y=20, height=200)
    points = layout_named("halpe_26").from_canonical(canonical)
    content = []
    for name in ("a.jpg", "b.jpg"):
        cv2.imwrite(str(images / name), np.full((260, 200, 3), 128, np.uint8))
        content.append({"image_id": name, "keypoints": points.ravel().tolist()})
    (keypoints / "alphapose-results.json").write_text(json.dumps(content))
    return images, keypoints


def arguments(action: str, images: Path | None, keypoints: Path, *more: object) -> list[str]:
    photos = [] if images is None else ["--images", str(images)]
    return ["keypoints", action, *photos, "--keypoints", str(keypoints), *map(str, more)]


@pytest.mark.parametrize("with_photos", [True, False])
def test_convert_to_openpose(folders, tmp_path, capsys, with_photos):
    images, keypoints = folders
    output = tmp_path / "openpose"
    assert main(arguments("convert", images if with_photos else None, keypoints, "--output", output)) == 0
    said = capsys.readouterr().out
    assert "AlphaPose, halpe_26: 2 photos" in said and "2 people of 2 photos" in said
    assert sorted(path.name for path in output.iterdir()) == ["a_keypoints.json", "b_keypoints.json"]
    file = read_keypoint_file(output / "a_keypoints.json")
    assert file.layout == "body_25"
    np.testing.assert_allclose(file.people[0].keypoints[:25], standing_person(), rtol=1e-4)
    entry = json.loads((output / "a_keypoints.json").read_text())["people"][0]
    assert len(entry["pose_keypoints_2d"]) == 75 and len(entry["face_keypoints_2d"]) == 210


@pytest.mark.parametrize("with_photos", [True, False])
def test_convert_keeps_the_numbers_of_people(tmp_path, with_photos):
    """A person who cannot be read leaves a gap; a photo whose people all cannot be read gets no file."""
    images, keypoints, output = (tmp_path / name for name in ("images", "keypoints", "out"))
    for folder in (images, keypoints):
        folder.mkdir()
    readable = {"pose_keypoints_2d": standing_person(x=100, y=20, height=200).ravel().tolist()}
    people = {"a": [{"pose_keypoints_2d": [1.0]}, readable], "b": [{"pose_keypoints_2d": [1.0]}]}
    for name, entries in people.items():
        cv2.imwrite(str(images / f"{name}.jpg"), np.full((260, 200, 3), 128, np.uint8))
        (keypoints / f"{name}_keypoints.json").write_text(json.dumps({"people": entries}))
    assert main(arguments("convert", images if with_photos else None, keypoints, "--output", output)) == 1
    assert [path.name for path in output.iterdir()] == ["a_keypoints.json"]
    first, second = read_keypoint_file(output / "a_keypoints.json").people
    assert not first.keypoints.any() and (second.keypoints[:25, 2] > 0).all()


def test_show_draws_on_the_photos(folders, tmp_path, capsys):
    assert main(arguments("show", *folders, "--output", tmp_path / "drawn")) == 0
    drawn = cv2.imread(str(tmp_path / "drawn" / "b_keypoints.jpg"))
    assert drawn.shape == (260, 200, 3) and np.abs(drawn.astype(int) - 128).max() > 60
    assert "2 people on 2 photos" in capsys.readouterr().out


def test_check_judges(folders, capsys):
    images, keypoints = folders
    assert main(arguments("check", images, keypoints)) == 0
    assert "a, person 0: body 25, left hand 0, right hand 0, face 0\n" in capsys.readouterr().out
    file = keypoints / "alphapose-results.json"
    content = json.loads(file.read_text())
    content[0]["keypoints"][54:56] = content[0]["keypoints"][:2]  # the neck at the nose
    file.write_text(json.dumps(content))
    assert main(arguments("check", images, keypoints)) == 1
    said = capsys.readouterr().out
    assert "body 25" in said and "; point_replaced\n  neck does not lie between" in said
    assert "2 people, 1 with flags; 0 inputs failed" in said


def test_wrong_layouts_are_wrong_calls(folders, capsys):
    assert main(arguments("check", *folders, "--layout", "halpe26")) == 2
    assert "did you mean halpe_26" in capsys.readouterr().err
    assert main(arguments("check", *folders, "--keypoint-scale", "0")) == 2
    assert main(arguments("check", *folders, "--layout", "coco_17")) == 1
    assert "51 (17 points)" in capsys.readouterr().err
    images, keypoints = folders
    call = ["fit", "--images", str(images), "--keypoints", str(keypoints), "--layout", "halpe26"]
    assert main([*call, "--output", str(images.parent / "out")]) == 2
    assert "did you mean halpe_26" in capsys.readouterr().err


def test_a_layout_that_cannot_be_told_names_the_option(tmp_path, capsys):
    points = standing_person()
    points[5:] = 0
    (tmp_path / "a.json").write_text(json.dumps([{"keypoints": points.ravel().tolist()}]))
    assert main(arguments("convert", None, tmp_path, "--output", tmp_path / "out")) == 1
    assert "fit several layouts" in (said := capsys.readouterr().err) and "with --layout NAME" in said


def test_doubts_about_frame_and_size_name_the_option(tmp_path, capsys):
    """Photos with an EXIF turn, in whose stored picture people would stand; then keypoints of half the size."""
    images, keypoints = tmp_path / "images", tmp_path / "keypoints"
    images.mkdir()
    keypoints.mkdir()
    turn = Image.Exif()
    turn[ExifTags.Base.Orientation] = 6
    upright = standing_person(x=95, y=8, height=240)
    lying = np.column_stack([upright[:, 1], 299 - upright[:, 0], upright[:, 2]])
    for exif, body, advice in (
        (turn, lying, "choose --keypoint-frame stored"),
        (Image.Exif(), upright * [0.5, 0.5, 1], "if so, give --keypoint-scale FACTOR"),
    ):
        for name in "abc":
            Image.new("RGB", (300, 300)).save(images / f"{name}.jpg", exif=exif)
            content = {"people": [{"pose_keypoints_2d": body.ravel().tolist()}]}
            (keypoints / f"{name}_keypoints.json").write_text(json.dumps(content))
        assert main(arguments("check", images, keypoints)) == 1
        assert advice in capsys.readouterr().err


def test_all_advice_of_the_library_has_its_option(capsys):
    listed = [text for name, text in vars(errors).items() if name.isupper()]
    assert errors.FIT_VIDEO in listed
    for advice in listed:
        messages.note(f"in doubt: {advice}")
        assert "--" in capsys.readouterr().err and "--" not in advice


def test_layouts_are_listed(capsys):
    assert main(["keypoints", "layouts"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(layouts())


def test_a_focal_length_in_millimetres_is_a_wrong_call(folders, tmp_path, capsys):
    images, keypoints = folders
    call = ["fit", "--images", images, "--keypoints", keypoints, "--output", tmp_path / "out", "--focal-length", "29"]
    assert main([str(one) for one in call]) == 2
    assert "is it in millimetres?" in capsys.readouterr().err


def test_a_fit_names_format_and_layout(folders, tmp_path, capsys):
    images, keypoints = folders
    call = ["fit", "--images", images, "--keypoints", keypoints, "--output", tmp_path / "out", "--no-render"]
    quick = ["--optimizer.max_iterations", "1", "--starts.depth_flips", "0", "--mesh-format", "none"]
    assert main([str(one) for one in call] + quick) == 0
    assert "keypoint files: AlphaPose (halpe_26): 2" in capsys.readouterr().err
