"""Inputs and machines that break runs: each costs itself alone, and nothing that is written is lost."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from smplifyx.cli.main import main
from smplifyx.fitting.fitter import Fitter
from smplifyx.output import read_summary
from smplifyx.result import load_result
from smplifyx.result_fields import is_intact
from tests.photo_folders import QUICK, Folders, person


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems refuse such names")
def test_names_of_any_bytes_are_fitted_once(folders: Folders, capsys: pytest.CaptureFixture[str]) -> None:
    for name in (os.fsdecode(b"b\xe9x"), "line\rbreak", "two\nlines", "=1+1", " spaces ", "'quoted'"):
        folders.add(name, [person()])
    assert folders.fit() == 0
    assert len(folders.results()) == 6
    assert {row.stem for row in read_summary(folders.output / "summary.csv")} == {
        path.parent.name for path in folders.output.glob("results/*/*.npz")
    }
    capsys.readouterr()
    assert folders.fit() == 0
    assert "6 people with existing results are skipped" in capsys.readouterr().err
    assert main(["status", str(folders.output)]) == 0


def test_a_damaged_avif_fails_alone(folders: Folders, capsys: pytest.CaptureFixture[str]) -> None:
    from PIL import Image, features

    if not features.check("avif"):
        pytest.skip("Pillow was built without AVIF")
    folders.add("good", [person()])
    folders.add("bad", [person()])
    path = folders.images / "bad.avif"
    Image.open(folders.images / "bad.png").save(path)
    (folders.images / "bad.png").unlink()
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 16] = bytes(16)
    path.write_bytes(data)
    assert folders.fit() in (0, 1)  # some damage goes unnoticed by the decoder
    assert "good/000.npz" in folders.results()
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.slow
def test_one_of_a_crowd_of_a_thousand_is_fitted(folders: Folders) -> None:
    folders.add("crowd", [person(0.01 * number) for number in range(1000)])
    assert folders.fit("--max-persons", "1") == 0
    assert len(folders.results()) == 1


def test_leftovers_of_killed_runs_are_no_results_and_go(folders: Folders) -> None:
    folders.add("one", [person()])
    assert folders.fit() == 0
    folder = folders.output / "results" / "one"
    names = (".0123456789abcdef0123456789abcdef.npz", ".fedcba9876543210fedcba9876543210.npz", ".mine.npz")
    old, recent, other = (folder / name for name in names)
    for path in (old, recent, other):
        path.write_bytes(b"PK cut off")
    os.utime(old, (1, 1))
    assert main(["evaluate", "photos", str(folders.output)]) == 0
    assert main(["convert-results", str(folders.output), "--to", "smplh", "--output", str(folders.output / "h")]) == 0
    assert folders.fit("--overwrite") == 0
    assert not old.exists() and recent.exists() and other.exists()


def test_a_full_disk_ends_the_run_at_once(
    folders: Folders, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(4):
        folders.add(f"photo{number}", [person()])
    fits = []
    original = Fitter._fit_batch
    monkeypatch.setattr(Fitter, "_fit_batch", lambda self, *given: fits.append(1) or original(self, *given))

    write = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if path.suffix == ".npz":
            raise OSError(28, "No space left on device")
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    assert folders.fit("--batch-size", "1") == 1
    errors = capsys.readouterr().err
    assert "000.npz: No space left on device" in errors and "Traceback" not in errors
    monkeypatch.undo()
    assert folders.fit() == 0 and len(folders.results()) == 4


@pytest.mark.slow
def test_files_over_the_limit_of_the_system_are_named(folders: Folders) -> None:
    folders.add("one", [person()])

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (12 << 10, 12 << 10))

    call = [sys.executable, "-m", "smplifyx", *folders.argv(*QUICK)]
    done = subprocess.run(call, capture_output=True, text=True, preexec_fn=limit)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "000.npz" in done.stderr and "File too large" in done.stderr
    assert folders.results() == [] and not list(folders.output.rglob(".*"))
    assert folders.fit() == 0 and folders.results() == ["one/000.npz"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_runs_with_workers_continue_after_a_signal(folders: Folders, number: signal.Signals) -> None:
    """The signal goes to all processes, as schedulers send it, at the first result."""
    for photo in range(12):
        folders.add(f"photo{photo}", [person()])
    call = [sys.executable, "-m", "smplifyx", *folders.argv(*QUICK, "--workers", "2", "--batch-size", "2")]
    with subprocess.Popen(call, start_new_session=True, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 300
        while not folders.results() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, number)
        _, errors = process.communicate()
    if number == signal.SIGTERM:
        assert process.returncode in (0, 143) and "Traceback" not in errors
        assert len(read_summary(folders.output / "summary.csv")) == len(folders.results())
    assert all(is_intact(path) for path in folders.output.glob("results/*/[0-9]*.npz"))
    assert main(folders.argv(*QUICK, "--workers", "1")) == 0
    assert len(folders.results()) == len(read_summary(folders.output / "summary.csv")) == 12


@pytest.mark.slow
def test_a_signal_to_a_run_with_workers_ends_it_in_order(folders: Folders) -> None:
    """The signal goes to the first process alone; so many photos are left that the run cannot end before it."""
    for photo in range(150):
        folders.add(f"photo{photo:03d}", [person()])
    call = [sys.executable, "-m", "smplifyx", *folders.argv(*QUICK, "--workers", "2", "--batch-size", "2")]
    with subprocess.Popen(call, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 300
        while not folders.results() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGUSR1)
        _, errors = process.communicate()
    assert process.returncode == 75 and "Traceback" not in errors
    n_done = len(folders.results())
    assert 0 < n_done < 150 and f"{n_done} people are finished" in errors.replace("person is", "people are")
    assert len(read_summary(folders.output / "summary.csv")) == n_done
    (log,) = folders.output.glob("runs/*/log.jsonl")
    assert json.loads(log.read_text().splitlines()[-1])["status"] == "stopped"


@pytest.mark.slow
def test_two_runs_at_once_in_one_folder_lose_nothing(folders: Folders) -> None:
    for photo in range(12):
        folders.add(f"photo{photo:02d}", [person()])
    call = [sys.executable, "-m", "smplifyx", *folders.argv(*QUICK, "--workers", "1", "--batch-size", "2")]
    runs = [subprocess.Popen(call, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for run in runs:
        _, errors = run.communicate()
        assert run.returncode == 0, errors
    assert len(folders.results()) == 12
    rows = {row.stem: row for row in read_summary(folders.output / "summary.csv")}
    assert len(rows) == 12 and not list(folders.output.rglob("*.damaged"))
    for path in folders.output.glob("results/*/000.npz"):
        assert is_intact(path) and rows[path.parent.name].gender == load_result(path).gender
    assert main(["status", str(folders.output)]) == 0


def test_results_of_another_photo_of_the_same_name_are_not_replaced(
    folders: Folders, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders.add("one", [person()])
    assert folders.fit() == 0
    (tmp_path / "others").mkdir()
    others = Folders(tmp_path / "others")
    others.add("one", [person(20)])
    cv2.imwrite(str(others.images / "one.png"), np.zeros((300, 200, 3), np.uint8))
    others.output = folders.output
    before = (folders.output / "results" / "one" / "000.npz").read_bytes()
    assert others.fit() == 1
    assert f"another photo of this name, {folders.images / 'one.png'}" in capsys.readouterr().err
    assert (folders.output / "results" / "one" / "000.npz").read_bytes() == before
    assert others.fit("--overwrite") == 0


def test_results_without_the_hashes_of_later_versions_are_kept(
    folders: Folders, capsys: pytest.CaptureFixture[str]
) -> None:
    folders.add("one", [person()])
    assert folders.fit() == 0
    path = folders.output / "results" / "one" / "000.npz"
    with np.load(path) as stored:
        entries = {name: stored[name] for name in stored.files if not name.endswith("_digest")}
    np.savez_compressed(path, **entries)
    (next((folders.output / "runs").iterdir()) / "log.jsonl").unlink()
    folders.add_keypoints("one", json.dumps({"version": 1.3, "people": [person(20)]}))
    assert folders.fit() == 0
    assert "1 person with an existing result is skipped" in capsys.readouterr().err
