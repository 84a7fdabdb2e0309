"""Detection over a folder: several processes, signals, and what is left for the next call."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from smplifyx.cli.demo import DEMO_INPUTS
from smplifyx.cli.main import main
from smplifyx.detect.folder import is_complete
from smplifyx.pipeline import worker_count
from tests.imported import heavy_modules_of

pytest.importorskip("ai_edge_litert", reason="no wheel of the detector's runtime for this processor")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(16):
        shutil.copy(DEMO_INPUTS / "images" / "walking.jpg", folder / f"photo{number:02d}.jpg")
    return folder


def files_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("*_keypoints.json"))


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGUSR1, 75)])
def test_a_signal_ends_several_processes_in_order(
    photos: Path, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    """The signal comes at the first file; each process has a few photos ahead, fewer than there are."""
    found = tmp_path / "keypoints"
    call = [sys.executable, "-m", "smplifyx", "detect", "--images", str(photos), "--keypoints", str(found)]
    with subprocess.Popen([*call, "--workers", "2"], stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 300
        while not files_of(found) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(number)
        _, errors = process.communicate()
    assert process.returncode == status and "Traceback" not in errors
    written = files_of(found)
    assert 0 < len(written) < 16 and f"{len(written)} of 16 photos are finished" in errors
    assert not list(found.glob(".*"))
    assert all(is_complete(path, photos / f"{path.name.removesuffix('_keypoints.json')}.jpg") for path in written)


@pytest.mark.slow
def test_all_free_cores_find_the_same_people(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(worker_count, "_free_cores", lambda: 2)
    monkeypatch.setattr(worker_count, "_LEAST_PHOTOS", 1)
    for path in sorted(photos.iterdir())[4:]:
        path.unlink()
    (photos / "broken.jpg").write_bytes(b"no photo")
    found = {}
    for workers in ("auto", "1"):
        folder = tmp_path / f"keypoints_{workers}"
        call = ["detect", "--images", str(photos), "--keypoints", str(folder), "--workers", workers]
        assert main(call) == 1
        printed = capsys.readouterr()
        assert "4 people in 4 photos" in printed.out and "failed: " in printed.err and "broken.jpg" in printed.err
        found[workers] = [json.loads(path.read_text()) for path in files_of(folder)]
        assert main(call) == 1 and "4 with existing keypoints skipped" in capsys.readouterr().out
    assert found["auto"] == found["1"] and len(found["1"]) == 4


def test_torch_is_not_imported(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "empty.jpg"), np.full((96, 96, 3), 128, np.uint8))
    call = ["detect", "--images", str(tmp_path), "--keypoints", str(tmp_path), "--network", "full"]
    assert heavy_modules_of(call) == {"ai_edge_litert", "cv2", "numpy"}
    assert (tmp_path / "empty_keypoints.json").is_file()
