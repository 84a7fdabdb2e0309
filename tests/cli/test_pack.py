"""``fit --pack``, ``pack`` and ``unpack``: every command reads packed results as it reads files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import smplifyx
from smplifyx.cli.main import main
from smplifyx.evaluation.photos import judge_folder
from smplifyx.output import OutputLayout, read_summary
from smplifyx.packs import PACKS, Packs, exists, pack_files
from tests.photo_folders import QUICK, Folders, person

#: With pictures, unlike QUICK.
_OPTIONS = (*(one for one in QUICK if not one.startswith("--no-")), "--mesh-format", "glb", "--workers", "1")


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    folders = Folders(tmp_path_factory.mktemp("packed"))
    folders.add("one.person", [person()])
    folders.add("two", [person(), person(60)])
    assert main(folders.argv(*_OPTIONS, "--pack")) == 0
    return folders


@pytest.fixture
def folders(packed: Folders, tmp_path: Path) -> Folders:
    """A copy of the packed folder that a test may change; the inputs are shared."""
    copied = Folders(tmp_path)
    for name in ("images", "keypoints", "output"):
        shutil.copytree(packed.output.parent / name, tmp_path / name, dirs_exist_ok=True)
    return copied


def n_samples(folders: Folders) -> int:
    return sum(path.with_suffix(".jsonl").read_text().count("\n") for path in pack_files(folders.output))


def plain_files(folders: Folders) -> set[str]:
    kinds = (folders.output / kind for kind in ("results", "meshes", "images"))
    return {str(path.relative_to(folders.output)) for kind in kinds for path in kind.rglob("*") if path.is_file()}


def test_all_files_of_people_are_packed(packed: Folders) -> None:
    assert not plain_files(packed) and n_samples(packed) == 4
    (sample,) = Packs.of_folder(packed.output).of_photo("one.person")
    assert [ending for ending, *_ in sample.members] == ["glb", "overlay.jpg", "side_view.jpg", "npz"]
    assert exists(packed.output / "images" / "two" / "overlay.jpg")
    assert [(row.stem, row.person) for row in read_summary(packed.output / "summary.csv")] == [
        ("one.person", 0), ("two", 0), ("two", 1),
    ]  # fmt: skip


def test_commands_read_packed_results(packed: Folders, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = str(packed.output)
    assert main(["status", output]) == 0
    assert "photos:  2 of 2 are done\npeople:  3 have results" in capsys.readouterr().out
    assert main(["export", output, "--format", "bvh", "--output", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.person_000.bvh", "two_000.bvh", "two_001.bvh"]
    assert main(["measure", output, "--no-uncertainty"]) == 0
    assert main(["evaluate", "photos", output, "--sheets", str(tmp_path / "sheets")]) == 0
    assert "not" not in capsys.readouterr().err and (tmp_path / "sheets" / "sheet_000.png").is_file()
    assert [one.name for one in judge_folder(output, pytest.fail)] == ["one.person/000", "two/000", "two/001"]
    assert smplifyx.load_result(packed.output / "results" / "two" / "001.npz").n_keypoints > 10


def test_a_further_run_fits_what_lacks_or_has_changed(folders: Folders, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(folders.argv(*_OPTIONS)) == 0  # packed without being told to
    assert n_samples(folders) == 4 and "3 people with existing results are skipped" in capsys.readouterr().err
    folders.add_keypoints("two", json.dumps({"version": 1.3, "people": [person(5)]}))
    folders.add("three", [person()])
    assert main(folders.argv(*_OPTIONS)) == 0
    assert "2 people fitted" in capsys.readouterr().out and not plain_files(folders)
    packs = Packs.of_folder(folders.output)
    assert packs.names("two") == ["000"] and packs.names("three") == ["000"]
    assert not exists(folders.output / "images" / "two" / "overlay.jpg")
    assert (folders.output / "outdated" / "results" / "two" / "001.npz").is_file()
    assert main(["status", str(folders.output)]) == 0


@pytest.mark.slow
def test_the_summary_is_made_from_packed_results(folders: Folders) -> None:
    before = read_summary(folders.output / "summary.csv")
    (folders.output / "summary.csv").unlink()
    assert main(["status", str(folders.output)]) == 0
    assert [row.key for row in read_summary(folders.output / "summary.csv")] == [row.key for row in before]


@pytest.mark.slow
def test_missing_files_are_made_without_a_fit(folders: Folders, capsys: pytest.CaptureFixture[str]) -> None:
    options = [one if one != "glb" else "ply" for one in _OPTIONS]
    assert main(folders.argv(*options, "--save-pkl")) == 0
    assert "0 people fitted" in capsys.readouterr().out
    (sample,) = Packs.of_folder(folders.output).of_photo("one.person")
    endings = {ending for ending, *_ in sample.members}
    assert endings == {"glb", "overlay.jpg", "pkl", "ply", "side_view.jpg", "npz"}


@pytest.mark.slow
def test_a_torn_archive_is_mended_and_completed(folders: Folders, capsys: pytest.CaptureFixture[str]) -> None:
    (path,) = pack_files(folders.output)
    last = max(sample.end for sample in Packs.of_folder(folders.output).samples())
    with path.open("r+b") as stream:
        stream.truncate(last - 700)
    assert main(["status", str(folders.output)]) == 1
    assert main(folders.argv(*_OPTIONS)) == 0
    assert "is complete again" in capsys.readouterr().err
    assert main(["status", str(folders.output)]) == 0


def test_unpacked_and_packed_again_nothing_is_lost(folders: Folders) -> None:
    output = folders.output
    names = [path for *_, path in OutputLayout(output).results()]
    before = {path: smplifyx.load_result(path).joints for path in names}
    packed = {sample.key: Packs.of_folder(output).members(sample.key) for sample in Packs.of_folder(output).samples()}
    assert main(["unpack", str(output)]) == 0
    assert not pack_files(output) and len(plain_files(folders)) == sum(map(len, packed.values()))
    assert main(["status", str(output)]) == 0
    assert main(["pack", str(output)]) == 0
    assert not plain_files(folders) and not (output / "results" / "two").exists()
    again = Packs.of_folder(output)
    assert {sample.key: again.members(sample.key) for sample in again.samples()} == packed
    for path, joints in before.items():
        np.testing.assert_array_equal(smplifyx.load_result(path).joints, joints)
    assert main(["status", str(output)]) == 0


@pytest.mark.slow
def test_packing_again_leaves_out_what_was_replaced(folders: Folders) -> None:
    assert main(folders.argv(*_OPTIONS, "--overwrite")) == 0
    assert len(pack_files(folders.output)) == 2 and n_samples(folders) == 8
    assert main(["pack", str(folders.output)]) == 0
    assert len(pack_files(folders.output)) == 1 and n_samples(folders) == 4
    assert (folders.output / PACKS).is_dir()
