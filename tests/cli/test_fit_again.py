"""``smplifyx fit`` into an output folder that has results: what is skipped, fitted again, restored."""

import itertools
import json
import os
import shutil
import signal
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from smplifyx.cli.main import main
from smplifyx.fitting.fitter import Fitter
from smplifyx.output import read_summary
from smplifyx.result import load_result
from tests.photo_folders import person


def test_people_with_results_are_skipped_unless_overwritten(folders, capsys):
    folders.add("one", [person()])
    assert folders.fit() == 0
    path = folders.output / "results" / "one" / "000.npz"
    first = path.stat().st_mtime_ns
    assert folders.fit() == 0
    assert path.stat().st_mtime_ns == first
    assert "1 person with an existing result is skipped" in capsys.readouterr().err
    assert folders.fit("--overwrite") == 0
    assert path.stat().st_mtime_ns > first


def test_written_configuration_runs_again(folders, tmp_path):
    folders.add("one", [person()])
    assert folders.fit("--stages.1.shape", "77") == 0
    written = yaml.safe_load((folders.output / "config.yaml").read_text())
    assert written["stages"][0]["shape"] == 77.0
    assert Path(written["run"]["images"]).is_absolute()
    first = load_result(folders.output / "results" / "one" / "000.npz")
    again = tmp_path / "again"
    assert main(["fit", "--config", str(folders.output / "config.yaml"), "--output", str(again)]) == 0
    second = load_result(again / "results" / "one" / "000.npz")
    assert second.loss == first.loss
    np.testing.assert_array_equal(second.body_pose, first.body_pose)


def test_other_settings_of_people_fitted_earlier_are_reported(folders, capsys):
    folders.add("one", [person()])
    assert folders.fit() == 0
    written = (folders.output / "config.yaml").read_text()
    assert folders.fit("--num-shards", "2", "--shard-index", "0", "--no-render") == 0
    assert "other settings" not in capsys.readouterr().err
    for _ in range(2):
        assert folders.fit("--objective.rho", "50") == 0
        assert "1 person was fitted with other settings (--overwrite fits again)" in capsys.readouterr().err
    assert (folders.output / "config.yaml").read_text() == written
    assert folders.fit("--objective.rho", "50", "--overwrite") == 0
    assert "other settings" not in capsys.readouterr().err
    assert "rho: 50" in (folders.output / "config.yaml").read_text()
    assert folders.fit("--objective.rho", "50") == 0
    assert "1 person with an existing result is skipped" in capsys.readouterr().err


def changed_keypoints(folders):
    folders.add_keypoints("one", json.dumps({"version": 1.3, "people": [person(20)]}))


def changed_photo(folders):
    cv2.imwrite(str(folders.images / "one.png"), np.full((300, 200, 3), 90, np.uint8))


@pytest.mark.parametrize("change", [changed_keypoints, changed_photo])
def test_people_whose_input_has_changed_are_fitted_again(folders, capsys, change):
    folders.add("one", [person()])
    folders.add("two", [person()])
    assert folders.fit() == 0
    other = folders.output / "results" / "two" / "000.npz"
    before = other.stat().st_mtime_ns
    change(folders)
    capsys.readouterr()
    assert folders.fit() == 0
    printed = capsys.readouterr()
    assert "keypoints or photo had changed: 1 person fitted again" in printed.err
    assert "1 person fitted" in printed.out and other.stat().st_mtime_ns == before


def test_files_of_people_who_are_gone_are_put_aside(folders, capsys):
    folders.add("one", [person(-30), person(30)])
    draws = ("--output.mesh_format", "ply", "--output.render", "true")
    assert folders.fit(*draws) == 0
    assert folders.results() == ["one/000.npz", "one/001.npz"]
    folders.add("one", [person(-30)])
    assert main(["status", str(folders.output)]) == 1
    assert "not in the photo any more: 1\n  one, person 1\n" in capsys.readouterr().out
    assert folders.fit(*draws) == 0
    assert "files of 1 person who is not in the keypoint files any more" in capsys.readouterr().err
    assert folders.results() == ["one/000.npz"]
    assert [row.person for row in read_summary(folders.output / "summary.csv")] == [0]
    files = {str(path.relative_to(folders.output)) for path in folders.output.rglob("*") if path.is_file()}
    aside = {name for name in files if name.startswith("outdated")}
    assert not {name for name in files - aside if "001" in name or name == "images/one/overlay.jpg"}
    assert aside >= {f"outdated/{kind}/one/001.{end}" for kind, end in (("results", "npz"), ("meshes", "ply"))}
    assert aside >= {"outdated/images/one/001/side_view.jpg", "outdated/images/one/overlay.jpg"}
    assert main(["status", str(folders.output)]) == 0


def test_people_who_are_left_out_by_choice_keep_their_files(folders):
    folders.add("one", [person(-30), person(30)])
    assert folders.fit() == folders.fit("--max-persons", "1") == 0
    assert folders.results() == ["one/000.npz", "one/001.npz"]


def test_inputs_with_another_time_alone_have_not_changed(folders, capsys):
    folders.add("one", [person()])
    assert folders.fit() == 0
    for path in (folders.images / "one.png", folders.keypoints / "one_keypoints.json"):
        os.utime(path, (1, 1))
    assert folders.fit() == 0
    printed = capsys.readouterr()
    assert "0 people fitted" in printed.out and "changed" not in printed.err


@pytest.mark.parametrize("damage", [b"", b"text", b"PK\x03\x04 cut off"])
def test_damaged_results_are_fitted_again(folders, capsys, damage):
    folders.add("one", [person()])
    assert folders.fit() == 0
    path = folders.output / "results" / "one" / "000.npz"
    first = load_result(path)
    path.write_bytes(damage)
    assert folders.fit() == 0
    assert "1 person fitted" in capsys.readouterr().out.splitlines()[-1]
    np.testing.assert_array_equal(load_result(path).joints, first.joints)


def test_missing_meshes_and_pictures_are_made_from_the_stored_result(folders, monkeypatch, capsys):
    folders.add("one", [person()])
    folders.add("two", [person(-30), person(30)])
    options = ("--optimizer.max_iterations", "2", "--device", "cpu", "--mesh-format", "ply")
    assert main(folders.argv(*options)) == 0
    names = (
        "meshes/one/000.ply",
        "images/one/000/overlay.jpg",
        "images/two/001/side_view.jpg",
        "images/two/overlay.jpg",
    )
    files = [folders.output / name for name in names]
    contents = [path.read_bytes() for path in files]
    for path in files[:2]:
        path.unlink()
    for path in files[2:]:
        path.write_bytes(b"")

    def fit(*arguments):
        raise AssertionError("fitted again")

    monkeypatch.setattr(Fitter, "_fit_batch", fit)
    capsys.readouterr()
    assert main(folders.argv(*options)) == 0
    assert "missing meshes and pictures of 2 people were made from the results" in capsys.readouterr().err
    assert [path.read_bytes() for path in files] == contents
    assert main(folders.argv(*options, "--save-pkl")) == 0
    assert (folders.output / "results" / "two" / "001.pkl").stat().st_size > 0


def test_finished_photos_are_skipped_without_reading_them(folders, monkeypatch, capsys):
    folders.add("one", [person()])
    folders.add("none", [])
    assert folders.fit() == 0

    def read(*arguments):
        raise AssertionError("read")

    monkeypatch.setattr("smplifyx.pipeline.reading.read_header", read)
    assert folders.fit() == 0
    assert "1 person with an existing result is skipped" in capsys.readouterr().err


def test_lost_logs_cost_reading_and_no_fit(folders, capsys):
    folders.add("one", [person()])
    assert folders.fit() == 0
    shutil.rmtree(folders.output / "runs")
    assert folders.fit() == 0
    printed = capsys.readouterr()
    assert "0 people fitted" in printed.out and "1 person with an existing result is skipped" in printed.err


def test_missing_rows_of_the_table_are_restored_from_results(folders, capsys):
    for stem in ("a", "b", "c"):
        folders.add(stem, [person()])
    assert folders.fit() == 0
    table = folders.output / "summary.csv"
    complete = table.read_text().splitlines(keepends=True)
    table.write_text(
        "\ufeff" + "".join(complete[:2]), encoding="utf-8"
    )  # as a killed run, then a spreadsheet, leave it
    assert folders.fit() == 0
    printed = capsys.readouterr()
    assert "0 people fitted" in printed.out and "2 missing rows are restored from results" in printed.err
    assert [row.stem for row in read_summary(table)] == ["a", "b", "c"]
    table.unlink()
    assert folders.fit() == 0
    assert len(read_summary(table)) == 3


def test_a_damaged_table_is_rebuilt(folders, capsys):
    folders.add("one", [person()])
    assert folders.fit() == 0
    table = folders.output / "summary.csv"
    table.write_text("nothing of ours\n")
    assert folders.fit() == 0
    printed = capsys.readouterr()
    assert "0 people fitted" in printed.out and "1 row is restored from results" in printed.err
    assert [row.stem for row in read_summary(table)] == ["one"]
    assert (folders.output / "summary.csv.damaged").read_text() == "nothing of ours\n"


def test_an_overwriting_run_that_was_stopped_goes_on(folders, monkeypatch, capsys):
    for stem in ("a", "b", "c"):
        folders.add(stem, [person()])
    assert folders.fit() == 0
    original, n_fits = Fitter._fit_batch, itertools.count()

    def fit(self, *arguments):
        if next(n_fits) == 2:
            os.kill(os.getpid(), signal.SIGUSR1)
        return original(self, *arguments)

    monkeypatch.setattr(Fitter, "_fit_batch", fit)
    assert folders.fit("--overwrite", "--batch-size", "1") == 75
    monkeypatch.undo()
    capsys.readouterr()
    assert folders.fit("--overwrite") == 0
    printed = capsys.readouterr()
    assert "1 person fitted" in printed.out and "--overwrite goes on after 2 photos" in printed.err
    assert folders.fit("--overwrite") == 0
    assert "3 people fitted" in capsys.readouterr().out
