"""The whole detector on the demo's photos, whose keypoints are known."""

import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

import smplifyx.detect.runtime as runtime
from smplifyx.cli.main import main
from smplifyx.detect.folder import detect_folder
from smplifyx.errors import InputError, UsageError
from smplifyx.keypoints import read_keypoint_file
from smplifyx.keypoints.folder import image_files, keypoint_path

pytest.importorskip("ai_edge_litert", reason="no wheel of the runtime for this processor")

DEMO = Path(runtime.__file__).parents[1] / "data" / "demo"


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keypoints")
    statistics = detect_folder(image_files(DEMO / "images"), folder)
    assert not statistics.failures
    return folder


def test_every_person_of_the_demo_is_found_where_they_are(found):
    """Within 5 % of the person's size on average; the demo's own keypoints carry a detector's noise."""
    for path in sorted((DEMO / "keypoints").glob("*.json")):
        true = [person.keypoints for person in read_keypoint_file(path).people]
        detected = [person.keypoints for person in read_keypoint_file(found / path.name).people]
        assert len(detected) == len(true)
        for person in true:
            size = np.ptp(person[:25, :2][person[:25, 2] > 0], axis=0).max()
            errors = []
            for other in detected:
                both = (person[:25, 2] > 0.3) & (other[:25, 2] > 0.3)
                errors.append(np.linalg.norm(person[:25][both, :2] - other[:25][both, :2], axis=1).mean() / size)
            assert min(errors) < 0.05


def test_hands_and_faces_are_found(found):
    people = [person for path in found.glob("*.json") for person in read_keypoint_file(path).people]
    seen = np.array([[(person.keypoints[part, 2] > 0).any() for part in (range(25, 67), range(67, 135))]
                     for person in people])  # fmt: skip
    assert seen.mean() > 0.5


def test_depth_is_written_in_metres_and_belongs_to_the_picture(found):
    """Offsets from the hips in metres follow those in pixels."""
    people = [person for path in found.glob("*.json") for person in json.loads(path.read_text())["people"]]
    assert len(people) == 5
    for person in people:
        flat = np.reshape(person["pose_keypoints_2d"], (25, 3))
        deep = np.reshape(person["pose_keypoints_3d"], (25, 4))
        good = (flat[:, 2] > 0.5) & (deep[:, 3] > 0.5)
        across = flat[good, :2] - flat[8, :2]
        assert np.corrcoef(across.ravel(), deep[good, :2].ravel())[0, 1] > 0.95
        assert np.abs(deep[good, :3]).max() < 1.5


def test_photos_that_have_keypoints_are_skipped_and_damaged_files_are_made_anew(tmp_path, found):
    keypoints = tmp_path / "keypoints"
    shutil.copytree(found, keypoints)
    images = image_files(DEMO / "images")
    damaged = keypoint_path(images[0], keypoints)
    damaged.write_text('{"people": [')
    before = keypoint_path(images[1], keypoints).stat().st_mtime_ns
    statistics = detect_folder(images, keypoints)
    assert (statistics.n_photos, statistics.n_skipped) == (1, len(images) - 1)
    assert json.loads(damaged.read_text())["people"]
    assert keypoint_path(images[1], keypoints).stat().st_mtime_ns == before


def test_a_photo_that_cannot_be_read_is_named_and_the_others_go_on(tmp_path, capsys):
    images = tmp_path / "images"
    images.mkdir()
    (images / "broken.jpg").write_bytes(b"no photo")
    shutil.copy(image_files(DEMO / "images")[0], images)
    assert main(["detect", "--images", str(images), "--keypoints", str(tmp_path / "out")]) == 1
    assert "broken.jpg" in capsys.readouterr().err
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_the_first_of_two_photos_of_one_name_is_used(tmp_path, found, capsys):
    """The keypoint file would otherwise be that of the other one."""
    images, keypoints = tmp_path / "images", tmp_path / "keypoints"
    images.mkdir()
    first = image_files(DEMO / "images")[0]
    shutil.copy(first, images)
    (images / f"{first.stem}.png").write_bytes(b"another photo")
    shutil.copytree(found, keypoints)
    assert main(["detect", "--images", str(images), "--keypoints", str(keypoints)]) == 1
    assert f"{first.stem}.png: has the same name as {first.name}" in capsys.readouterr().err


def test_a_signal_ends_the_detection_after_a_photo_and_the_same_command_continues(tmp_path, monkeypatch, capsys):
    """The message and the exit status are those of a fit."""
    import smplifyx.detect.folder as folder

    def terminate_once(photo):
        if not sent:
            sent.append(photo)
            os.kill(os.getpid(), signal.SIGTERM)
        return []

    sent: list[np.ndarray] = []
    monkeypatch.setattr(folder, "Detector", lambda variant: terminate_once)
    arguments = ["detect", "--images", str(DEMO / "images"), "--keypoints", str(tmp_path)]
    n_photos = len(image_files(DEMO / "images"))
    assert main(arguments) == 143
    assert f"of {n_photos} photos are finished in {tmp_path}; the same command continues" in capsys.readouterr().err
    assert len(list(tmp_path.iterdir())) == 1
    assert main(arguments) == 0
    assert len(list(tmp_path.iterdir())) == n_photos


def test_an_empty_picture_shows_no_person():
    from smplifyx.detect import Detector

    assert Detector()(np.full((240, 320, 3), 127, np.uint8)) == []


def test_a_damaged_network_is_named(tmp_path, monkeypatch):
    (tmp_path / "hand_recrop.tflite").write_bytes(b"damaged")
    monkeypatch.setattr(runtime, "NETWORKS", tmp_path)
    with pytest.raises(InputError, match="sha256"):
        runtime.Network("hand_recrop")
    with pytest.raises(InputError, match="expected a network"):
        runtime.Network("face_landmark")


def test_without_the_runtime_the_error_names_what_to_do(monkeypatch):
    def refuse(name):
        raise ImportError("no such package")

    monkeypatch.setattr(runtime.importlib, "import_module", refuse)
    with pytest.raises(UsageError, match="pip install ai-edge-litert"):
        runtime.Network("hand_recrop")
