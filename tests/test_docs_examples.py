"""The examples in the documentation run as they stand."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import smplifyx
from smplifyx.body.search import MODELS_VARIABLE

DOCS = Path(__file__).resolve().parent.parent / "docs"
DEMO = Path(smplifyx.__file__).parent / "data" / "demo"
EXAMPLE = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def examples() -> list[str]:
    """Examples one after the other: those that import nothing go on from the one before."""
    joined: list[str] = []
    for code in EXAMPLE.findall((DOCS / "api.md").read_text()):
        starts_anew = "from smplifyx" in code or "import smplifyx" in code
        if starts_anew or not joined:
            joined.append(code)
        else:
            joined[-1] += code
    return joined


@pytest.fixture
def folder_with_a_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(MODELS_VARIABLE, raising=False)
    sizes = {
        "global_orient": 3, "body_pose": 63, "jaw_pose": 3, "leye_pose": 3, "reye_pose": 3, "left_hand_pose": 45,
        "right_hand_pose": 45, "betas": 10, "expression": 10, "camera_translation": 3,
    }  # fmt: skip
    result = {name: np.full(size, 0.1, np.float32) for name, size in sizes.items()}
    path = tmp_path / "output" / "results" / "photo" / "000.npz"
    path.parent.mkdir(parents=True)
    np.savez(path, model_type="smplx", gender="female", **result)
    shutil.copy(DEMO / "images" / "walking.jpg", tmp_path / "photo.jpg")
    shutil.copy(DEMO / "keypoints" / "walking_keypoints.json", tmp_path / "photo_keypoints.json")


def test_there_are_examples() -> None:
    assert len(examples()) >= 8


@pytest.mark.parametrize("number", range(len(examples())))
def test_example(number: int, folder_with_a_result: None) -> None:
    exec(compile(examples()[number], f"api.md, example {number}", "exec"), {"__name__": "example"})
