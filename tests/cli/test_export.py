"""``smplifyx export`` on an output folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import trimesh
from PIL import Image

from smplifyx.cli.main import SOME_FAILED, SUCCESS, WRONG_CALL, main
from tests.export.gltf_reader import Gltf
from tests.export.people import fitted


@pytest.fixture
def run(tmp_path: Path) -> Path:
    root = tmp_path / "run"
    for seed, name in enumerate(("frame_2/000", "frame_2/001", "frame_10/000")):
        fitted(seed=seed).save(root / "results" / f"{name}.npz")
    return root


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_every_format_of_a_photo(run: Path, capsys) -> None:
    formats = ["glb", "obj", "ply", "bvh", "trc", "amass", "pickle"]
    assert main(["export", str(run), "--format", *formats, "--photo", "frame_10"]) == SUCCESS
    suffixes = ("bvh", "npz", "obj", "pkl", "ply", "trc")
    assert names(run / "exports") == ["frame_10.glb", *(f"frame_10_000.{suffix}" for suffix in suffixes)]
    printed = capsys.readouterr()
    assert "person_0: mean 0.0" in printed.out and "7 files written" in printed.err
    mesh = trimesh.load(run / "exports" / "frame_10_000.obj", process=False)
    person = fitted(seed=2)
    np.testing.assert_allclose(mesh.triangles, (person.vertices * (1, -1, -1))[person.faces], atol=1e-5)


def test_photos_are_frames_of_an_animation(run: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    assert main(["export", str(run), "--format", "glb", "bvh", "obj", "--fps", "12", "--output", str(out)]) == SUCCESS
    moving = ["animation.glb", "animation_000.bvh", "animation_001.bvh"]
    assert names(out) == [*moving, "frame_10_000.obj", "frame_2_000.obj", "frame_2_001.obj"]
    assert "Frames: 2" in (out / "animation_000.bvh").read_text()
    printed = capsys.readouterr().out
    assert "person_0 in 2 frames" in printed and "the photos of the run are unknown" in printed


def add_photos(run: Path, folder: Path, *stems: str) -> None:
    folder.mkdir()
    for stem in stems:
        Image.new("RGB", (8, 8)).save(folder / f"{stem}.png")
    (run / "config.yaml").write_text(f"run: {{images: {folder}}}\n")


def add_log(run: Path, *stems: str) -> None:
    log = run / "runs" / "first" / "log.jsonl"
    log.parent.mkdir(parents=True)
    figures = {"people": [], "photo": None, "keypoints": None, "camera": None, "settings": {}}
    lines = [{"event": "photo", "stem": stem} | figures for stem in stems]
    lines.append({"event": "failure", "stem": "frame_0", "name": "frame_0.png", "reason": "is damaged"})
    log.write_text("".join(json.dumps({"time": "2026-01-01T00:00:00Z"} | line) + "\n" for line in lines))


@pytest.mark.parametrize("source", ["folder", "log"])
def test_photos_without_people_are_frames(run: Path, tmp_path: Path, source: str, capsys) -> None:
    """Results of frame_2 and frame_10 are the second and the fourth frame of five."""
    stems = ("frame_2", "frame_3", "frame_10", "frame_11")
    if source == "folder":
        add_photos(run, tmp_path / "photos", "frame_0", *stems)
    else:
        add_photos(run, tmp_path / "photos", "frame_7")  # exchanged since
        add_log(run, *stems)
    assert main(["export", str(run), "--format", "glb", "bvh", "trc", "amass", "--fps", "10"]) == SUCCESS
    out = run / "exports"
    assert "5 frames, 3 of photos without results" in capsys.readouterr().out
    read = Gltf((out / "animation.glb").read_bytes())
    times = [read.array(one["input"]).tolist() for one in read.tree["animations"][0]["samplers"]]
    np.testing.assert_allclose(max(times, key=len), [0.1, 0.3], atol=1e-6)
    assert np.load(out / "animation_000.npz")["frames"].tolist() == [1, 3]
    rows = [line.split("\t") for line in (out / "animation_000.trc").read_text().splitlines()[6:]]
    assert [(row[0], float(row[1]), row[2] != "") for row in rows] == [
        ("1", 0.0, False), ("2", 0.1, True), ("3", 0.2, False), ("4", 0.3, True)
    ]  # fmt: skip
    assert "Frames: 4" in (out / "animation_000.bvh").read_text()


def test_chosen_photos_alone_are_numbered(run: Path, tmp_path: Path) -> None:
    add_photos(run, tmp_path / "photos", "other", "frame_2", "frame_10")
    assert main(["export", str(run), "--format", "amass", "--fps", "10", "--photo", "frame_*"]) == SUCCESS
    assert np.load(run / "exports" / "animation_000.npz")["frames"].tolist() == [0, 1]


def test_one_person_and_no_rig(run: Path) -> None:
    assert main(["export", str(run), "--format", "glb", "--no-rig", "--person", "1"]) == SUCCESS
    assert names(run / "exports") == ["frame_2.glb"]


def test_a_damaged_result_is_named_and_the_others_are_written(run: Path, capsys) -> None:
    (run / "results" / "frame_2" / "000.npz").write_bytes(b"damaged")
    assert main(["export", str(run), "--format", "glb"]) == SOME_FAILED
    assert names(run / "exports") == ["frame_10.glb", "frame_2.glb"]
    assert "frame_2/000.npz" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--photo", "walking"], "no results of walking"),
        (["--person", "7"], "no person 7"),
        (["--fps", "0"], "expected a positive number"),
        (["--fps", "30", "--no-rig"], "exclude each other"),
    ],
)
def test_wrong_calls(run: Path, options: list[str], message: str, capsys) -> None:
    assert main(["export", str(run), "--format", "glb", *options]) == WRONG_CALL
    assert message in capsys.readouterr().err


def test_a_person_who_changes_the_body_is_named(run: Path, capsys) -> None:
    fitted(seed=2, gender="male").save(run / "results" / "frame_10" / "000.npz")
    assert main(["export", str(run), "--format", "bvh", "--fps", "12"]) == SOME_FAILED
    assert names(run / "exports") == ["animation_001.bvh"]
    assert "person_0: expected one body model in all frames" in capsys.readouterr().err
