"""Our own file of cameras: YAML or JSON, numbers as OpenCV has them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smplifyx.calibration.values import camera_of_matrix, numbers, rotation_matrix, view_of
from smplifyx.camera import Camera, distortion_coefficients, read_plain_yaml
from smplifyx.errors import InputError
from smplifyx.tracking.view import View

_KEYS = (
    "name", "image_size", "K", "focal_length", "principal_point", "distortion", "R", "T",
)  # fmt: skip


def read_own_file(path: Path) -> tuple[list[View], Mapping[str, Any]]:
    """The views of a file, and its other entries (``up``, ``ground``) as texts.

    Raises:
        InputError: the file cannot be read, or an entry is missing or wrong.
    """
    content = read_plain_yaml(path)
    cameras = content.get("cameras") if isinstance(content, Mapping) else None
    if isinstance(cameras, Mapping):
        cameras = [
            {"name": name, **entry} if isinstance(entry, Mapping) else entry for name, entry in cameras.items()
        ]
    if not isinstance(cameras, list) or not cameras:
        raise InputError(path, "expected a list of cameras", "cameras")
    assert isinstance(content, Mapping)
    return [_view(path, number, entry) for number, entry in enumerate(cameras)], content


def _view(path: Path, number: int, entry: object) -> View:
    field = f"cameras[{number}]"
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
        raise InputError(path, f"expected a mapping with name and others of {', '.join(_KEYS)}", field)
    unknown = [key for key in entry if key not in _KEYS]
    if unknown:
        raise InputError(path, f"unknown key {unknown[0]}; expected some of {', '.join(_KEYS)}", field)
    for key in ("R", "T"):
        if key not in entry:
            raise InputError(path, f"expected {key}, from the world to the camera, found none", f"{field}.{key}")
    return view_of(
        path,
        entry["name"],
        _camera(path, field, entry),
        rotation_matrix(path, f"{field}.R", entry["R"]),
        numbers(path, f"{field}.T", entry["T"], 3),
        distortion_coefficients(path, f"{field}.distortion", entry.get("distortion")),
    )


def _camera(path: Path, field: str, entry: Mapping[str, Any]) -> Camera:
    size = None
    if "image_size" in entry:
        width, height = numbers(path, f"{field}.image_size", entry["image_size"], 2)
        size = int(width), int(height)
    if "K" in entry:
        return camera_of_matrix(path, f"{field}.K", numbers(path, f"{field}.K", entry["K"], 3, 3), size)
    if "focal_length" not in entry:
        raise InputError(path, "expected K, or focal_length and principal_point, pixels", field)
    focal = entry["focal_length"]
    pair = numbers(path, f"{field}.focal_length", focal if isinstance(focal, list) else [focal, focal], 2)
    point = entry.get("principal_point")
    center = None if point is None else numbers(path, f"{field}.principal_point", point, 2)
    try:
        return Camera(pair, center, "calibration", size)
    except InputError as error:
        raise InputError(path, error.problem, field) from None
