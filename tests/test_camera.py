"""The camera, the rule that chooses it, and calibration files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from smplifyx.camera import Camera, read_calibration, resolve_cameras
from smplifyx.config import CameraConfig
from smplifyx.errors import InputError
from smplifyx.keypoints import Observation

_ENTRY = {"focal_length": [1400.5, 1e3], "principal_point": [640, 360]}


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "cameras.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def _observation(stem: str, camera: Camera | None = None) -> Observation:
    return Observation(np.zeros((135, 3)), (1280, 720), camera, stem=stem)


def _resolved(stem: str, calibration: dict[str, Camera], camera: Camera | None = None, **settings: float) -> Camera:
    (observation,) = resolve_cameras([_observation(stem, camera)], CameraConfig(**settings), calibration)
    assert observation.camera is not None
    return observation.camera


@pytest.mark.parametrize("stem", ["00057", "012", "1e3", "1_000", "0x10", "yes", "null", "2024-01-02", "12:30"])
def test_stems_stay_as_they_are_written(tmp_path: Path, stem: str) -> None:
    path = _file(tmp_path, f"{stem}:\n  focal_length: 1200\n  principal_point: [640, 360.5]\n")
    camera = _resolved(stem, read_calibration(path))
    assert camera.source == "calibration"
    assert (camera.focal_length, camera.principal_point) == ((1200.0, 1200.0), (640.0, 360.5))


def test_json_is_read_too_and_default_serves_the_others(tmp_path: Path) -> None:
    path = _file(tmp_path, json.dumps({"default": _ENTRY, "a": {**_ENTRY, "focal_length": 2000}}))
    calibration = read_calibration(path)
    assert _resolved("a", calibration).focal_length == (2000.0, 2000.0)
    assert _resolved("b", calibration).focal_length == (1400.5, 1000.0)


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


def test_the_first_known_source_decides():
    calibration = {"a": Camera(2000.0, (600.0, 300.0), "calibration")}
    exif, given = Camera(1500.0, source="exif"), Camera((900.0, 950.0), (1.0, 2.0))
    fallback = _resolved("b", {})
    assert (fallback.focal_length, fallback.center, fallback.source) == ((1536.0, 1536.0), (640.0, 360.0), "fallback")
    assert _resolved("b", {}, exif) == exif.for_image((1280, 720))
    chosen = _resolved("b", calibration, exif, focal_length=1000.0)
    assert (chosen.focal_length, chosen.source) == ((1000.0, 1000.0), "given")
    assert _resolved("a", calibration, exif, focal_length=1000.0) == calibration["a"].for_image((1280, 720))
    assert _resolved("a", calibration, given, focal_length=1000.0) == given.for_image((1280, 720))


def test_cameras_are_resolved_once(tmp_path: Path) -> None:
    path = _file(tmp_path, json.dumps({"default": _ENTRY}))
    once = resolve_cameras([_observation("a")], CameraConfig(calibration=str(path)))
    assert once[0].camera == Camera(_ENTRY["focal_length"], _ENTRY["principal_point"], "calibration", (1280, 720))
    assert resolve_cameras(once, CameraConfig(focal_length=5.0))[0].camera == once[0].camera


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"focal_length": -1.0}, "camera.focal_length"),
        ({"focal_length": (1000.0, float("nan"))}, "camera.focal_length"),
        ({"focal_length": (1000.0,) * 3}, "camera.focal_length"),
        ({"focal_length": 1.0, "principal_point": 3.0}, "camera.principal_point"),
        ({"focal_length": 1.0, "source": "guess"}, "camera.source"),
        ({"focal_length": 1.0, "image_size": (0, 10)}, "camera.image_size"),
    ],
)
def test_impossible_cameras_are_refused(arguments: dict, field: str) -> None:
    with pytest.raises(InputError, match=r"expected .* found") as error:
        Camera(**arguments)
    assert error.value.field == field


def test_a_camera_belongs_to_one_image_size():
    camera = Camera(np.float32(700.0)).for_image((640, 480))
    assert camera == Camera((700.0, 700.0), (320.0, 240.0), "given", (640, 480))
    assert camera.for_image((640, 480)) == camera
    with pytest.raises(InputError, match="640"):
        camera.for_image((800, 600))
    with pytest.raises(ValueError, match="for_image"):
        _ = Camera(700.0).center


def test_resizing_keeps_what_the_camera_sees():
    camera = Camera((700.0, 650.0), (300.0, 250.0), image_size=(640, 480))
    points = np.array([[0.1, -0.2, 2.0], [-0.4, 0.3, 3.0]])
    small = camera.resized((320, 240))
    np.testing.assert_allclose(small.project(points) + 0.5, (camera.project(points) + 0.5) / 2)
    assert camera.capped(1000) == camera and camera.capped(320) == small


def test_a_part_of_an_image_is_seen_by_the_same_camera():
    camera = Camera((500.0, 510.0), (320.0, 200.0), "given", (640, 480))
    part = camera.cropped(100, 50, (200, 300))
    assert part.size == (200, 300) and part.source == "given"
    points = np.random.default_rng(0).uniform(1.0, 2.0, (5, 3))
    np.testing.assert_allclose(part.project(points), camera.project(points) - [100, 50])


def test_millimetres_are_no_pixels(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"pixels, found 29 .* 1280 x 720 .*millimetres\?.* 984 pixels") as error:
        _resolved("a", {}, focal_length=29.0)
    assert error.value.field == "camera.focal_length" and error.value.path is None
    path = _file(tmp_path, json.dumps({"default": {"focal_length": 29, "principal_point": [640, 360]}}))
    with pytest.raises(InputError, match="millimetres") as error:
        resolve_cameras([_observation("a")], CameraConfig(calibration=str(path)))
    assert str(path) in str(error.value)
    with pytest.raises(InputError, match="millimetres"):
        _resolved("a", {}, Camera(29.0))
    assert _resolved("a", {}, focal_length=330.0).focal_length == (330.0, 330.0), "9 mm on film"
