"""Simple photos with gender labels: blue men and red women."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np

from smplifyx.skeleton import BODY_KEYPOINTS
from tests.gender.conftest import standing


def make_photos(folder: Path, n_photos: int, people_per_photo: int = 2) -> Path:
    """Writes photos, keypoint files and the manifest; returns the manifest."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(n_photos):
        image = rng.integers(60, 120, (400, 300 * people_per_photo, 3), dtype=np.uint8)
        people = []
        for person in range(people_per_photo):
            label = ("male", "female")[int(rng.integers(2))]
            color = (220, 40, 30) if label == "male" else (30, 40, 220)
            x, y, height = 150 + 300 * person, 60, 280
            cv2.rectangle(image, (x - 70, y), (x + 70, y + height), color, -1)
            keypoints = standing(x, y, height)[BODY_KEYPOINTS]
            people.append({"pose_keypoints_2d": keypoints.ravel().tolist()})
            rows.append((f"images/{number}.jpg", f"keypoints/{number}.json", person, label))
        (folder / "images").mkdir(exist_ok=True)
        (folder / "keypoints").mkdir(exist_ok=True)
        cv2.imwrite(str(folder / f"images/{number}.jpg"), image)
        (folder / f"keypoints/{number}.json").write_text(json.dumps({"version": 1.3, "people": people}))
    with (folder / "manifest.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("image", "keypoint_file", "person", "label"), *rows])
    return folder / "manifest.csv"


def make_out_of_distribution(folder: Path, n_photos: int) -> Path:
    """Writes photos of another kind, dark and striped, some of them frames in a subfolder; returns the folder."""
    rng = np.random.default_rng(1)
    rows, columns = np.mgrid[:400, :500]
    names = [f"{number:02d}.png" for number in range(n_photos)] + [f"video/{number}.png" for number in range(4)]
    (folder / "video").mkdir(parents=True)
    for name in names:
        angle, period = rng.uniform(0, np.pi), rng.uniform(3, 8)
        waves = np.sin((rows * np.sin(angle) + columns * np.cos(angle)) / period)
        cv2.imwrite(str(folder / name), (40 + 35 * waves[..., None] + rng.uniform(0, 20, 3)).astype(np.uint8))
    (folder / "._00.png").write_bytes(b"no photo")
    return folder
