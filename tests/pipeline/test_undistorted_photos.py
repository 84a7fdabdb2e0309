"""Photos of a calibrated lens with distortion: keypoints and picture are those of the undistorted photo."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from smplifyx import load_result
from smplifyx.camera import Camera
from smplifyx.lens import undistorted_keypoints, undistorted_picture
from tests.photo_folders import STANDING, Folders, person

DISTORTION = [-0.25, 0.05, 0.0, 0.0]


def test_keypoints_and_overlay_are_undistorted(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    folders.add("a", [person()])
    picture = np.full((300, 200, 3), 200, np.uint8)
    cv2.rectangle(picture, (2, 2), (197, 297), (0, 0, 255), 2)
    cv2.imwrite(str(folders.images / "a.png"), picture)
    calibration = tmp_path / "cameras.json"
    entry = {"focal_length": 300, "principal_point": [100, 150], "distortion": DISTORTION}
    calibration.write_text(json.dumps({"default": entry}))
    options = ("--calibration", str(calibration), "--output.side_view", "false", "--output.picture_format", "png")
    command = [one for one in folders.argv(*options) if one != "--no-render"]
    from smplifyx.cli.main import main

    assert main([*command, "--optimizer.max_iterations", "2", "--device", "cpu", "--no-mesh", "--workers", "1"]) == 0
    camera = Camera(300.0, (100.0, 150.0), image_size=(200, 300))
    stored = load_result(folders.output / "results" / "a" / "000.npz").keypoints_2d[:25]
    taken = np.array([(x, y, 0.9) for x, y in STANDING], np.float32)
    np.testing.assert_allclose(stored, undistorted_keypoints(taken, camera, DISTORTION), atol=1e-3)
    drawn = cv2.imread(str(folders.output / "images" / "a" / "000" / "overlay.png"))
    expected = undistorted_picture(picture, camera, DISTORTION)
    assert drawn is not None
    assert (np.abs(drawn[:10].astype(int) - expected[:10]) <= 1).all()
