"""Folders of plain photos with keypoint files, fitted with few iterations."""

import json

import cv2
import numpy as np

from smplifyx.cli.main import main

#: A standing person in OpenPose's BODY_25 order, pixels of an image of 200 x 300.
STANDING = [
    (100, 40), (100, 65), (78, 65), (70, 100), (68, 132), (122, 65), (130, 100), (132, 132), (100, 140), (88, 140),
    (87, 195), (87, 250), (112, 140), (113, 195), (113, 250), (96, 36), (104, 36), (90, 40), (110, 40), (116, 260),
    (120, 258), (111, 254), (84, 260), (80, 258), (89, 254),
]  # fmt: skip
QUICK = (
    "--optimizer.max_iterations",
    "2",
    "--threads",
    "1",
    "--device",
    "cpu",
    "--no-mesh",
    "--no-render",
    "--no-report",
)


def person(shift=0.0):
    return {"pose_keypoints_2d": [float(number) for x, y in STANDING for number in (x + shift, y, 0.9)]}


class Folders:
    """A folder of photos and one of keypoints."""

    def __init__(self, root):
        self.images, self.keypoints, self.output = root / "images", root / "keypoints", root / "output"
        self.images.mkdir()
        self.keypoints.mkdir()

    def add(self, stem, people):
        # cv2.imwrite crashes at names that are not UTF-8.
        picture = cv2.imencode(".png", np.full((300, 200, 3), 200, np.uint8))[1]
        (self.images / f"{stem}.png").write_bytes(picture.tobytes())
        self.add_keypoints(stem, json.dumps({"version": 1.3, "people": people}))

    def add_keypoints(self, stem, text):
        (self.keypoints / f"{stem}_keypoints.json").write_text(text)

    def argv(self, *options):
        folders = ("--images", self.images, "--keypoints", self.keypoints, "--output", self.output)
        return ["fit", *map(str, folders), *options]

    def fit(self, *options):
        return main(self.argv(*QUICK, *options))

    def results(self):
        found = [path for path in self.output.glob("results/*/*.npz") if not path.name.startswith(".")]
        return sorted(str(path.relative_to(self.output / "results")) for path in found)
