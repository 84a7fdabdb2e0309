"""``smplifyx status``: every state of a person is told apart, and the command that it prints finishes the rest."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from pathlib import Path

import pytest

from smplifyx.cli.main import main
from smplifyx.output import read_summary
from smplifyx.pipeline.status import as_ranges, read_status
from tests.imported import heavy_modules_of
from tests.photo_folders import Folders, person

_PEOPLE = ("done", "other", "missing", "damaged", "changed", "unmeshed")


@pytest.fixture
def mixed(tmp_path: Path) -> Folders:
    """An output folder with a person in each state."""
    folders = Folders(tmp_path)
    options = ("--output.mesh_format", "ply", "--num-shards", "2")
    folders.add("other", [person()])
    assert folders.fit("--objective.rho", "50") == 0
    for stem in _PEOPLE:
        folders.add(stem, [person()])
    folders.add("broken", [])
    folders.add_keypoints("broken", "{")
    assert max(folders.fit(*options, "--shard-index", str(index)) for index in (0, 1)) == 1
    results = folders.output / "results"
    shutil.rmtree(results / "missing")
    (results / "damaged" / "000.npz").write_bytes(b"PK")
    folders.add_keypoints("changed", json.dumps({"version": 1.3, "people": [person(20)]}))
    (folders.output / "meshes" / "unmeshed" / "000.ply").unlink()
    folders.add("later", [person()])
    (folders.output / "summary.csv").unlink()
    return folders


def test_every_state_is_told_apart(mixed: Folders) -> None:
    status = read_status(mixed.output)
    assert (status.n_photos, status.n_done, status.n_runs, status.n_without_end) == (8, 2, 3, 0)
    assert status.n_other_settings == 1
    assert [Path(one.name).name for one in status.failed] == ["broken_keypoints.json"]
    assert status.missing == ["later", "missing"]
    assert status.damaged == ["damaged, person 0"]
    assert status.changed == ["changed, person 0"]
    assert status.incomplete == ["unmeshed, person 0"]
    assert status.n_shards == 2 and status.open_shards == {0, 1}
    assert heavy_modules_of(["status", str(mixed.output)]) == {"cv2", "numpy"}


def test_the_printed_command_finishes_the_rest(mixed: Folders, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(mixed.output)]) == 1
    printed = capsys.readouterr().out
    assert printed.startswith("runs:    3; 0 of them going on, 0 killed\n")
    assert "photos:  2 of 8 are done" in printed and "damaged: 1\n  damaged, person 0\n" in printed
    assert [row.stem for row in read_summary(mixed.output / "summary.csv")] == [
        "changed",
        "done",
        "other",
        "unmeshed",
    ]
    assert "with --array=0-1:" in printed and "--num-shards 2 --shard auto" in printed
    mixed.add("broken", [])
    (command,) = (
        line for line in printed.splitlines() if line.strip().startswith("smplifyx") and "shard" not in line
    )
    assert main(shlex.split(command)[1:]) == 0
    assert main(["status", str(mixed.output)]) == 0
    assert "photos:  8 of 8 are done" in capsys.readouterr().out


def test_an_input_that_would_fail_again_leaves_nothing_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "with space").mkdir()
    folders = Folders(tmp_path / "with space")
    folders.add("broken", [])
    folders.add_keypoints("broken", "{")
    assert folders.fit() == 1
    assert main(["status", str(folders.output)]) == 0
    assert "failed: 1\n" in capsys.readouterr().out
    folders.add("broken", [])
    later = (folders.images / "broken.png").stat().st_mtime + 10
    os.utime(folders.keypoints / "broken_keypoints.json", (later, later))
    assert main(["status", str(folders.output)]) == 1
    command = capsys.readouterr().out.splitlines()[-1]
    assert main(shlex.split(command)[1:]) == 0


def test_settings_of_another_version_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = Folders(tmp_path)
    folders.add("one", [person()])
    assert folders.fit() == 0
    (recorded,) = folders.output.glob("runs/*/config.yaml")
    text = recorded.read_text()
    recorded.write_text(text.replace("objective:", "removed: {section: 1}\nobjective:"))
    folders.add("two", [person()])
    assert main(["status", str(folders.output)]) == 1
    printed = capsys.readouterr()
    assert "does not have are left out: removed" in printed.err
    assert main(shlex.split(printed.out.splitlines()[-1])[1:]) == 0
    assert main(["status", str(folders.output)]) == 0


def test_a_folder_without_a_run_is_a_wrong_call(tmp_path: Path) -> None:
    assert main(["status", str(tmp_path)]) == 2
    assert main(["status", str(tmp_path / "none")]) == 2


def test_ranges_of_a_job_array() -> None:
    assert as_ranges({0, 1, 2, 5, 8, 7}) == "0-2,5,7-8"
    assert as_ranges({4}) == "4"
