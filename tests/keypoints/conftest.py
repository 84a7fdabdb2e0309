from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from smplifyx.keypoints import Loaded, PersonSelection, load_pairs, merge_loaded, pair_folder, unpaired

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "real"


@pytest.fixture(scope="session")
def real() -> Path:
    """The shared sample data: photos and OpenPose files from many sources."""
    if not SAMPLES.is_dir():
        pytest.skip("the shared sample data (../shared/real) are not here")
    return SAMPLES


def standing_person(x: float = 100.0, y: float = 20.0, height: float = 200.0) -> np.ndarray:
    """BODY_25 keypoints `[25, 3]` of somebody who faces the camera, arms hanging down."""
    sides = {"shoulder": (0.1, 0.18), "elbow": (0.13, 0.35), "wrist": (0.14, 0.5), "hip": (0.06, 0.48)}
    sides |= {"knee": (0.06, 0.72), "ankle": (0.06, 0.95), "eye": (0.02, 0.05), "ear": (0.04, 0.06)}
    sides |= {"big_toe": (0.08, 0.99), "small_toe": (0.1, 0.98), "heel": (0.06, 0.98)}
    middle = {"nose": (0.0, 0.07), "neck": (0.0, 0.18), "mid_hip": (0.0, 0.48)}
    from smplifyx.skeleton import BODY_KEYPOINT_NAMES

    points = []
    for name in BODY_KEYPOINT_NAMES:
        side, _, part = name.partition("_")
        # The person's left is on the right of the picture.
        dx, dy = middle[name] if name in middle else sides[part]
        points.append((x + height * (-dx if side == "right" else dx), y + height * dy, 0.9))
    return np.array(points)


@pytest.fixture
def write_people(tmp_path: Path) -> Callable[..., Path]:
    """Write a keypoint file; every argument is a person: an array of body points or a dict as in the file."""

    def write(*people: Any, name: str = "a_keypoints.json", **top: Any) -> Path:
        entries = [
            {"pose_keypoints_2d": np.asarray(person).ravel().tolist()} if isinstance(person, np.ndarray) else person
            for person in people
        ]
        path = tmp_path / "keypoints" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"version": 1.3, "people": entries, **top}))
        return path

    return write


@pytest.fixture
def write_image(tmp_path: Path) -> Callable[..., Path]:
    """Write a photo of the given size, grey."""

    def write(name: str = "a.png", width: int = 200, height: int = 260) -> Path:
        path = tmp_path / "images" / name
        path.parent.mkdir(exist_ok=True)
        encoded, data = cv2.imencode(path.suffix.lower(), np.full((height, width, 3), 128, np.uint8))
        assert encoded
        path.write_bytes(data.tobytes())
        return path

    return write


def load_folder(images: Path, keypoints: Path, selection: PersonSelection | None = None) -> Loaded:
    """All that two folders hold, the files without a partner included."""
    pairing = pair_folder(images, keypoints)
    return merge_loaded([load_pairs(pairing.pairs, selection), unpaired(pairing, keypoints)])
