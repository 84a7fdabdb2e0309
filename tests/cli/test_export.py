"""``smplifyx export`` on an output folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh

from smplifyx.cli.main import SOME_FAILED, SUCCESS, WRONG_CALL, main
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
    np.testing.assert_allclose(mesh.vertices, fitted(seed=2).vertices * (1, -1, -1), atol=1e-5)


def test_photos_are_frames_of_an_animation(run: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    assert main(["export", str(run), "--format", "glb", "bvh", "obj", "--fps", "12", "--output", str(out)]) == SUCCESS
    moving = ["animation.glb", "animation_000.bvh", "animation_001.bvh"]
    assert names(out) == [*moving, "frame_10_000.obj", "frame_2_000.obj", "frame_2_001.obj"]
    assert "Frames: 2" in (out / "animation_000.bvh").read_text()
    assert "person_0 in 2 frames" in capsys.readouterr().out


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
