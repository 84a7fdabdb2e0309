"""Calibrated cameras and the files they come in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from smplifyx.errors import InputError, reason

FloatArray = NDArray[np.float64]

#: Qualisys writes lengths on the sensor in 64ths of a pixel and positions in millimetres.
_QUALISYS_UNITS_PER_PIXEL = 64.0
_METRES_PER_MILLIMETRE = 1e-3
#: Qualisys cameras look along -z with y up; OpenCV's look along +z with y down.
_OPENGL_TO_OPENCV = np.diag([1.0, -1.0, -1.0])


@dataclass(frozen=True)
class CalibratedCamera:
    """A camera with ``X_camera = rotation @ X_world + translation`` in OpenCV's convention.

    Attributes:
        name: the camera's name in its file.
        intrinsics: [3, 3] pixels.
        rotation: [3, 3] world to camera.
        translation: [3] metres.
        distortion: [5] k1, k2, p1, p2, k3.
        image_size: (width, height) pixels.
    """

    name: str
    intrinsics: FloatArray
    rotation: FloatArray
    translation: FloatArray
    distortion: FloatArray
    image_size: tuple[int, int]

    def to_camera(self, points: ArrayLike) -> FloatArray:
        """World points [..., 3] in this camera's frame."""
        return np.asarray(points, dtype=np.float64) @ self.rotation.T + self.translation

    def project(self, points: ArrayLike) -> FloatArray:
        """World points [N, 3] to distorted pixels [N, 2]."""
        world = np.asarray(points, dtype=np.float64).reshape(-1, 1, 3)
        if not len(world):  # OpenCV returns None for no points
            return np.zeros((0, 2))
        rotation_vector = cv2.Rodrigues(self.rotation)[0]
        pixels, _ = cv2.projectPoints(world, rotation_vector, self.translation, self.intrinsics, self.distortion)
        return np.asarray(pixels, dtype=np.float64).reshape(-1, 2)

    def normalise(self, pixels: ArrayLike) -> FloatArray:
        """Distorted pixels [N, 2] to undistorted ray slopes (x / z, y / z) [N, 2]."""
        points = np.asarray(pixels, dtype=np.float64).reshape(-1, 1, 2)
        slopes = cv2.undistortPoints(points, self.intrinsics, self.distortion)
        return np.asarray(slopes, dtype=np.float64).reshape(-1, 2)

    def undistort(self, pixels: ArrayLike) -> FloatArray:
        """Distorted pixels [N, 2] to those of the pinhole camera with the same intrinsics."""
        return self.normalise(pixels) @ self.intrinsics[:2, :2].T + self.intrinsics[:2, 2]


def read_qualisys_cameras(path: str | Path) -> list[CalibratedCamera]:
    """Reads a Qualisys calibration (``*.qca.txt``, XML).

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
    return [_qualisys_camera(Path(path), element) for element in elements]


def _qualisys_camera(path: Path, element: ElementTree.Element) -> CalibratedCamera:
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
    intrinsics = np.array(
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
    coefficients = (
        "radialDistortion1", "radialDistortion2", "tangentalDistortion1", "tangentalDistortion2", "radialDistortion3",
    )  # fmt: skip
    distortion = np.array([number("intrinsic", coefficient) for coefficient in coefficients])
    return CalibratedCamera(name, intrinsics, rotation, -rotation @ position, distortion, (int(width), int(height)))


def read_camera_parameters(
    path: str | Path, image_size: tuple[int, int], metres_per_unit: float = 1.0
) -> list[CalibratedCamera]:
    """Reads the plain-text list of MvSMPLfitting: number, 3 x 3 intrinsics, k1 k2, 3 x 4 world-to-camera matrix.

    Args:
        path: the text file.
        image_size: (width, height), which the file does not hold.
        metres_per_unit: the file's length unit, which the file does not name.

    Raises:
        InputError: the numbers do not come in blocks of 24.
    """
    try:
        numbers = np.array(Path(path).read_text().split(), dtype=np.float64)
    except (OSError, ValueError) as error:
        raise InputError(path, f"expected camera parameters as plain numbers ({reason(error)})") from error
    block = 1 + 9 + 2 + 12
    if not len(numbers) or len(numbers) % block:
        raise InputError(path, f"expected {block} numbers for each camera, found {len(numbers)} in all")
    cameras = []
    for values in numbers.reshape(-1, block):
        extrinsics = values[12:].reshape(3, 4)
        cameras.append(
            CalibratedCamera(
                name=f"Camera{int(values[0]):02d}",
                intrinsics=values[1:10].reshape(3, 3),
                rotation=extrinsics[:, :3],
                translation=extrinsics[:, 3] * metres_per_unit,
                distortion=np.array([*values[10:12], 0.0, 0.0, 0.0]),
                image_size=image_size,
            )
        )
    return cameras
