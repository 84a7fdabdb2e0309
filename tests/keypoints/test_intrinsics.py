"""Calibration files: stems are text, numbers are numbers, and every error fits on one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from smplifyx.config import CameraConfig
from smplifyx.errors import InputError
from smplifyx.keypoints import Observation
from smplifyx.keypoints.calibration import read_calibration, resolve_intrinsics

_ENTRY = {"focal_length": [1400.5, 1e3], "principal_point": [640, 360]}


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "cameras.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def _observation(stem: str) -> Observation:
    keypoints = np.zeros((135, 3), np.float32)
    return Observation(Path(f"{stem}.jpg"), Path(f"{stem}_keypoints.json"), stem, 0, keypoints, (1280, 720))


@pytest.mark.parametrize("stem", ["00057", "012", "1e3", "1_000", "0x10", "yes", "null", "2024-01-02", "12:30"])
def test_stems_stay_as_they_are_written(tmp_path: Path, stem: str) -> None:
    path = _file(tmp_path, f"{stem}:\n  focal_length: 1200\n  principal_point: [640, 360.5]\n")
    camera = resolve_intrinsics(_observation(stem), CameraConfig(), read_calibration(path))
    assert camera.source == "calibration"
    assert (camera.focal_length, camera.principal_point) == ((1200.0, 1200.0), (640.0, 360.5))


def test_json_is_read_too_and_default_serves_the_others(tmp_path: Path) -> None:
    path = _file(tmp_path, json.dumps({"default": _ENTRY, "a": {**_ENTRY, "focal_length": 2000}}))
    calibration = read_calibration(path)
    assert resolve_intrinsics(_observation("a"), CameraConfig(), calibration).focal_length == (2000.0, 2000.0)
    assert resolve_intrinsics(_observation("b"), CameraConfig(), calibration).focal_length == (1400.5, 1000.0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("focal_length", "true"),
        ("focal_length", "long"),
        ("focal_length", "-1200"),
        ("focal_length", ".nan"),
        ("focal_length", "[1200, yes]"),
        ("focal_length", "[1200]"),
        ("focal_length", "{fx: 1200, fy: 1200}"),
        ("principal_point", "[640, inf]"),
        ("principal_point", "[false, 360]"),
        ("principal_point", "640"),
    ],
)
def test_what_is_no_number_is_refused(tmp_path: Path, field: str, value: str) -> None:
    entry = {"focal_length": "1200", "principal_point": "[640, 360]", field: value}
    path = _file(tmp_path, "img:\n" + "".join(f"  {key}: {text}\n" for key, text in entry.items()))
    with pytest.raises(InputError, match="numbers in pixels, found") as error:
        read_calibration(path)
    assert error.value.path == path and error.value.field == f"img.{field}"


def test_a_missing_entry_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        read_calibration(_file(tmp_path, "img:\n  focal_length: 1200\n"))
    assert error.value.field == "img.principal_point"


@pytest.mark.parametrize(
    ("text", "line"), [("a:\n  focal_length: [1, 2\nb: 3\n", 3), ("a: 1\n\tb: 2\n", 2), ("a: *b\n", 1), ("[1]: 2", 1)]
)
def test_broken_yaml_gives_one_line_with_its_number(tmp_path: Path, text: str, line: int) -> None:
    with pytest.raises(InputError, match=f"line {line}") as error:
        read_calibration(_file(tmp_path, text))
    assert "\n" not in str(error.value)


def test_not_a_mapping_not_text_and_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a mapping"):
        read_calibration(_file(tmp_path, "- 1\n"))
    with pytest.raises(InputError, match="does not exist"):
        read_calibration(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"a: \x00\xff\xfe")
    with pytest.raises(InputError) as error:
        read_calibration(tmp_path / "binary.yaml")
    assert "\n" not in str(error.value)
