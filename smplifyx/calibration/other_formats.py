"""Camera files of other programs: EasyMocap, Pose2Sim and Anipose, Qualisys, MvSMPLfitting."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np

from smplifyx.calibration.values import camera_of_matrix, numbers, rotation_matrix, view_of
from smplifyx.camera import distortion_coefficients
from smplifyx.errors import InputError, reason
from smplifyx.files import silent_stderr
from smplifyx.tracking.view import View

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: Qualisys writes lengths on the sensor in 64ths of a pixel and positions in millimetres.
_QUALISYS_UNITS_PER_PIXEL = 64.0
_METRES_PER_MILLIMETRE = 1e-3
#: Qualisys cameras look along -z with y up; OpenCV's look along +z with y down.
_OPENGL_TO_OPENCV = np.diag([1.0, -1.0, -1.0])


def read_easymocap(intrinsics: Path, extrinsics: Path) -> list[View]:
    """Read ``intri.yml`` and ``extri.yml`` of EasyMocap: matrices of OpenCV's FileStorage by camera name.

    Raises:
        InputError: a file cannot be read, or lacks a matrix.
    """
    try:
        return _easymocap_views(intrinsics, extrinsics)
    except (cv2.error, SystemError, OverflowError, UnicodeDecodeError) as error:
        raise InputError(
            intrinsics, f"or {extrinsics.name} is no calibration of EasyMocap: {reason(error)}"
        ) from error


def _easymocap_views(intrinsics: Path, extrinsics: Path) -> list[View]:
    inner, outer = _storage(intrinsics), _storage(extrinsics)
    node = inner.getNode("names")
    names = [node.at(k).string() for k in range(node.size())] if node.isSeq() else []
    if not names:
        raise InputError(intrinsics, "expected a list of camera names", "names")

    def matrix(path: Path, file: cv2.FileStorage, *keys: str) -> Any:
        for key in keys:
            found = file.getNode(key)
            if not found.empty() and found.isMap():
                return found.mat()
        raise InputError(path, "expected a matrix of OpenCV, found none", " or ".join(keys))

    views = []
    for name in names:
        sides = [inner.getNode(f"{letter}_{name}") for letter in "WH"]
        width, height = (0 if side.empty() else round(max(0.0, side.real())) for side in sides)
        inner_matrix = numbers(intrinsics, f"K_{name}", matrix(intrinsics, inner, f"K_{name}"), 3, 3)
        distortion = distortion_coefficients(
            intrinsics, f"dist_{name}", matrix(intrinsics, inner, f"dist_{name}", f"D_{name}")
        )
        rotation = matrix(extrinsics, outer, f"Rot_{name}", f"R_{name}")
        translation = numbers(extrinsics, f"T_{name}", matrix(extrinsics, outer, f"T_{name}"), 3)
        camera = camera_of_matrix(
            intrinsics, f"K_{name}", inner_matrix, (width, height) if width and height else None
        )
        turn = rotation_matrix(extrinsics, f"R_{name}", rotation)
        views.append(view_of(extrinsics, name, camera, turn, translation, distortion))
    return views


def _storage(path: Path) -> cv2.FileStorage:
    if not path.is_file():
        raise InputError(path, "does not exist; EasyMocap has intri.yml and extri.yml side by side")
    try:
        with silent_stderr():
            storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_READ)
            is_open = storage.isOpened()
    except (cv2.error, SystemError) as error:
        raise InputError(path, f"is no YAML of OpenCV: {reason(error)}") from error
    if not is_open:
        raise InputError(path, "cannot be read as YAML of OpenCV")
    return storage


def read_toml(path: Path) -> list[View]:
    """Read a calibration of Pose2Sim or Anipose: tables with name, size, matrix, distortions, rotation, translation.

    Raises:
        InputError: the file is no TOML, or an entry is missing or wrong.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(path, f"cannot be read: {reason(error)}") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(path, f"is no TOML: {reason(error)}") from error
    cameras = {key: entry for key, entry in content.items() if isinstance(entry, dict) and "matrix" in entry}
    if not cameras:
        raise InputError(path, "expected tables of cameras with matrix, rotation and translation")
    return [_toml_view(path, key, entry) for key, entry in cameras.items()]


def _toml_view(path: Path, key: str, entry: dict[str, Any]) -> View:
    if entry.get("fisheye", False):
        raise InputError(path, "expected a lens of OpenCV's pinhole model, found a fisheye lens", f"{key}.fisheye")
    missing = [one for one in ("rotation", "translation") if one not in entry]
    if missing:
        raise InputError(path, f"expected {missing[0]}, found none", key)
    size = None
    if "size" in entry:
        width, height = numbers(path, f"{key}.size", entry["size"], 2)
        size = int(width), int(height)
    camera = camera_of_matrix(path, f"{key}.matrix", numbers(path, f"{key}.matrix", entry["matrix"], 3, 3), size)
    return view_of(
        path,
        str(entry.get("name", key)),
        camera,
        rotation_matrix(path, f"{key}.rotation", entry["rotation"]),
        numbers(path, f"{key}.translation", entry["translation"], 3),
        distortion_coefficients(path, f"{key}.distortions", entry.get("distortions")),
    )


def read_qualisys(path: Path) -> list[View]:
    """Read a Qualisys calibration (``*.qca.txt``, XML).

    The rows of its ``transform`` matrix are the camera's axes in the world; ``x y z`` is the camera's position.

    Raises:
        InputError: the file is not such a calibration, or a number is missing.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise InputError(path, f"expected a Qualisys calibration in XML ({reason(error)})") from error
    elements = root.findall("cameras/camera")
    if not elements:
        raise InputError(path, "expected at least one camera", "calibration/cameras")
    return [_qualisys_view(path, element) for element in elements]


def _qualisys_view(path: Path, element: ElementTree.Element) -> View:
    name = element.get("serial", "?")

    def number(child: str, attribute: str) -> float:
        node = element.find(child)
        try:
            return float("" if node is None else node.get(attribute, ""))
        except ValueError:
            raise InputError(path, "expected a number", f"camera {name}/{child}/{attribute}") from None

    def pixels(attribute: str) -> float:
        return number("intrinsic", attribute) / _QUALISYS_UNITS_PER_PIXEL

    left, top = number("fov_video", "left"), number("fov_video", "top")
    width, height = number("fov_video", "right") - left + 1, number("fov_video", "bottom") - top + 1
    matrix = np.array(
        [
            [pixels("focalLengthU"), pixels("skew"), pixels("centerPointU") - left],
            [0.0, pixels("focalLengthV"), pixels("centerPointV") - top],
            [0.0, 0.0, 1.0],
        ]
    )
    axes = np.array([[number("transform", f"r{row}{column}") for column in "123"] for row in "123"])
    position = np.array([number("transform", axis) for axis in "xyz"]) * _METRES_PER_MILLIMETRE
    rotation = _OPENGL_TO_OPENCV @ axes
    # The format spells it "tangental".
    names = (
        "radialDistortion1", "radialDistortion2", "tangentalDistortion1", "tangentalDistortion2", "radialDistortion3",
    )  # fmt: skip
    distortion = distortion_coefficients(path, f"camera {name}", [number("intrinsic", one) for one in names])
    camera = camera_of_matrix(path, f"camera {name}/intrinsic", matrix, (int(width), int(height)))
    return view_of(path, name, camera, rotation, -rotation @ position, distortion)


def read_camera_parameters(path: Path) -> list[View]:
    """Read the plain-text list of MvSMPLfitting: number, 3 x 3 intrinsics, k1 k2, 3 x 4 world-to-camera matrix.

    The file names neither the size of the photos nor its unit of length.

    Raises:
        InputError: the numbers do not come in blocks of 24.
    """
    try:
        values = np.array(path.read_text(encoding="utf-8").split(), dtype=np.float64)
    except (OSError, ValueError) as error:
        raise InputError(path, f"expected camera parameters as plain numbers ({reason(error)})") from error
    block = 1 + 9 + 2 + 12
    if not len(values) or len(values) % block:
        raise InputError(path, f"expected {block} numbers for each camera, found {len(values)} in all")
    views = []
    for row in values.reshape(-1, block):
        name, placement = f"Camera{int(row[0]):02d}", row[12:].reshape(3, 4)
        camera = camera_of_matrix(path, f"{name} intrinsics", row[1:10].reshape(3, 3))
        distortion = distortion_coefficients(path, f"{name} distortion", [*row[10:12], 0.0, 0.0])
        views.append(view_of(path, name, camera, placement[:, :3], placement[:, 3], distortion))
    return views
