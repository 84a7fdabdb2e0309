"""Fits of photos without keypoint files."""

import shutil

import numpy as np
import pytest

from smplifyx.cli.demo import DEMO_INPUTS
from smplifyx.cli.main import main
from smplifyx.detect import folder
from smplifyx.detect.detector import DetectedPerson
from smplifyx.keypoints import read_keypoint_file
from smplifyx.result import load_result
from smplifyx.skeleton import (
    BODY_KEYPOINTS,
    CONTOUR_KEYPOINTS,
    FACE_KEYPOINTS,
    LEFT_HAND_KEYPOINTS,
    RIGHT_HAND_KEYPOINTS,
)

pytest.importorskip("ai_edge_litert", reason="no wheel of the detector's runtime for this processor")

FAST = [
    "--no-report", "--no-render", "--mesh-format", "none", "--starts.depth_flips", "0", "--collision.enabled",
    "false", "--stages.all.max_iterations", "5",
]  # fmt: skip


@pytest.fixture
def photos(tmp_path):
    path = tmp_path / "photos"
    path.mkdir()
    for name in ("walking.jpg", "sitting.jpg"):
        shutil.copy(DEMO_INPUTS / "images" / name, path)
    return path


def test_people_are_detected_once_and_their_keypoints_kept(photos, tmp_path, capsys):
    call = ["fit", "--images", str(photos), "--output", str(tmp_path / "out"), *FAST]
    assert main(call) == 0
    assert "2 people detected; keypoints are in" in capsys.readouterr().err
    keypoints = tmp_path / "out" / "keypoints" / "walking_keypoints.json"
    result = load_result(tmp_path / "out" / "results" / "walking" / "000.npz")
    assert result.status == "ok" and result.n_keypoints > 30
    before = keypoints.stat().st_mtime_ns
    assert main([*call, "--overwrite"]) == 0
    assert keypoints.stat().st_mtime_ns == before


@pytest.fixture
def known_people(monkeypatch):
    """A detector that finds one person with the demo's keypoints; the networks have tests of their own."""
    (person,) = read_keypoint_file(DEMO_INPUTS / "keypoints" / "walking_keypoints.json").people
    points = person.keypoints
    face = np.concatenate([points[CONTOUR_KEYPOINTS], points[FACE_KEYPOINTS], np.zeros((2, 3))])
    hands = points[LEFT_HAND_KEYPOINTS], points[RIGHT_HAND_KEYPOINTS]
    found = DetectedPerson(1.0, points[BODY_KEYPOINTS], *hands, face, np.zeros((25, 4)))
    monkeypatch.setattr(folder, "Detector", lambda variant: lambda photo: [found])


def test_shards_detect_their_own_photos(photos, known_people, tmp_path):
    call = ["fit", "--images", str(photos), "--output", str(tmp_path / "out"), *FAST, "--num-shards", "2"]
    assert main([*call, "--shard-index", "1"]) == 0
    assert [path.name for path in (tmp_path / "out" / "keypoints").iterdir()] == ["walking_keypoints.json"]
    assert main([*call, "--shard-index", "0"]) == 0
    assert {path.name for path in (tmp_path / "out" / "results").iterdir()} == {"walking", "sitting"}


def test_a_photo_that_cannot_be_read_fails_alone(photos, known_people, tmp_path, capsys):
    (photos / "broken.jpg").write_bytes(b"no photo")
    assert main(["fit", "--images", str(photos), "--output", str(tmp_path / "out"), *FAST]) == 1
    assert "broken.jpg" in capsys.readouterr().err
    assert (tmp_path / "out" / "results" / "walking" / "000.npz").is_file()


def test_without_a_readable_photo_the_inputs_failed(tmp_path, capsys):
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    call = ["fit", "--images", str(tmp_path / "broken.jpg"), "--output", str(tmp_path / "out"), *FAST]
    assert main(call) == 1
    assert "0 people fitted, 1 input failed" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--models", "--priors.vposer", "--lifting.checkpoint", "--gender.labels"])
def test_missing_files_are_found_before_people_are_detected(photos, tmp_path, capsys, option):
    call = ["fit", "--images", str(photos), "--output", str(tmp_path / "out"), *FAST, option, "/nowhere"]
    assert main(call) == 2
    assert f"{option}: /nowhere does not exist" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
