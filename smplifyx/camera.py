"""The pinhole camera, calibration files, and the rule that decides which camera took a photo.

Camera frame: OpenCV's (x right, y down, z forward); the centre of the top left pixel is (0, 0).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import yaml

from smplifyx.errors import InputError, reason
from smplifyx.lens import undistorted_keypoints

if TYPE_CHECKING:
    from torch import Tensor

    from smplifyx.config import CameraConfig
    from smplifyx.keypoints.observation import Observation

#: Points nearer than this (metres) are projected as if they were this far: keeps the division finite.
MINIMUM_DEPTH = 0.05
#: From the camera frame to y up and z towards the viewer, by a turn of 180 degrees about x.
TURN_ABOUT_X = np.array([1.0, -1.0, -1.0])
#: Diagonal of the 36 x 24 mm film frame.
FILM_DIAGONAL_MM = math.hypot(36.0, 24.0)
#: A focal length of less than this share of the longer image side is a mistake: it would be 9 mm on film.
SHORTEST_FOCAL_LENGTH = 0.25
#: Entry of a calibration file that holds for every photo without one of its own.
DEFAULT_ENTRY = "default"

CameraSource = Literal["given", "calibration", "exif", "fallback"]


@dataclass(frozen=True, init=False)
class Camera:
    """A pinhole camera: that of the photo without distortion.

    Attributes:
        focal_length: (fx, fy), pixels.
        principal_point: (cx, cy), pixels; None stands for the image centre.
        source: where the numbers come from: ``given``, ``calibration``, ``exif`` or ``fallback``.
        image_size: (width, height), pixels; None until the camera is assigned to an image.
        distortion: coefficients in OpenCV's order of the photo as it was taken, whose keypoints and picture
            :mod:`smplifyx.calibration` undistorts; empty for a photo without distortion.
    """

    focal_length: tuple[float, float]
    principal_point: tuple[float, float] | None = None
    source: CameraSource = "given"
    image_size: tuple[int, int] | None = None
    distortion: tuple[float, ...] = ()

    def __init__(
        self,
        focal_length: float | Sequence[float] | np.ndarray,
        principal_point: Sequence[float] | np.ndarray | None = None,
        source: str = "given",
        image_size: Sequence[int] | np.ndarray | None = None,
        distortion: Sequence[float] = (),
    ) -> None:
        """Check the numbers; one focal length holds for both axes.

        Raises:
            InputError: a number is not finite, a focal length or size is not positive, or the source is unknown.
        """
        focal: Any = (focal_length, focal_length) if np.ndim(focal_length) == 0 else focal_length
        if source not in get_args(CameraSource):
            expected = ", ".join(get_args(CameraSource))
            raise InputError(None, f"expected one of {expected}, found {source!r}", "camera.source")
        size = None if image_size is None else _pair(image_size, "camera.image_size", positive=True)
        point = None if principal_point is None else _pair(principal_point, "camera.principal_point")
        object.__setattr__(self, "focal_length", _pair(focal, "camera.focal_length", positive=True))
        object.__setattr__(self, "principal_point", point)
        object.__setattr__(self, "source", source)
        object.__setattr__(self, "image_size", None if size is None else (int(size[0]), int(size[1])))
        object.__setattr__(self, "distortion", tuple(map(float, distortion)))

    @property
    def center(self) -> tuple[float, float]:
        """The principal point (cx, cy), pixels; raises ``ValueError`` while neither it nor the image is known."""
        if self.principal_point is not None:
            return self.principal_point
        if self.image_size is None:
            raise ValueError("the camera has neither principal_point nor image_size; use Camera.for_image")
        return self.image_size[0] / 2.0, self.image_size[1] / 2.0

    @property
    def size(self) -> tuple[int, int]:
        """The image size (width, height), pixels; raises ``ValueError`` while it is unknown."""
        if self.image_size is None:
            raise ValueError("the camera has no image_size; use Camera.for_image")
        return self.image_size

    def for_image(self, image_size: tuple[int, int]) -> Camera:
        """Assign the camera to an image of (width, height) pixels; without a principal point the centre is used.

        Raises:
            InputError: the camera belongs to an image of another size.
        """
        if self.image_size is not None and self.image_size != tuple(image_size):
            problem = f"expected a camera for an image of {tuple(image_size)} pixels, found one for {self.image_size}"
            raise InputError(None, problem, "camera.image_size")
        center = (image_size[0] / 2.0, image_size[1] / 2.0) if self.principal_point is None else self.principal_point
        return Camera(self.focal_length, center, self.source, image_size, self.distortion)

    def resized(self, image_size: tuple[int, int]) -> Camera:
        """Return the same camera for the image resized to (width, height) pixels."""
        sx, sy = image_size[0] / self.size[0], image_size[1] / self.size[1]
        (fx, fy), (cx, cy) = self.focal_length, self.center
        return Camera((fx * sx, fy * sy), ((cx + 0.5) * sx - 0.5, (cy + 0.5) * sy - 0.5), self.source, image_size)

    def capped(self, longest_side: int) -> Camera:
        """Return the same camera for the image shrunk until its longer side is at most ``longest_side`` pixels."""
        width, height = self.size
        scale = min(1.0, longest_side / max(width, height))
        return self.resized((max(1, round(width * scale)), max(1, round(height * scale))))

    def cropped(self, left: int, top: int, size: tuple[int, int]) -> Camera:
        """Return the same camera for a part of the image, from a pixel on, of (width, height) pixels."""
        cx, cy = self.center
        return Camera(self.focal_length, (cx - left, cy - top), self.source, size)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Project points `[N, 3]` of the camera frame to pixels `[N, 2]`."""
        return points[:, :2] / points[:, 2:] * np.array(self.focal_length) + np.array(self.center)


def project(points: Tensor, focal_length: Tensor, principal_point: Tensor) -> Tensor:
    """Project batches of points: ``f X / Z + c``.

    Args:
        points: [B, N, 3] in the camera frame, metres.
        focal_length: [B, 2] pixels.
        principal_point: [B, 2] pixels.

    Returns:
        [B, N, 2] pixels. A point at or behind the camera is treated as lying ``MINIMUM_DEPTH`` before it.
    """
    depth = points[..., 2:3].clamp_min(MINIMUM_DEPTH)
    return points[..., :2] / depth * focal_length[:, None] + principal_point[:, None]


def resolve_cameras(
    observations: Sequence[Observation], settings: CameraConfig, calibration: Mapping[str, Camera] | None = None
) -> list[Observation]:
    """Return the observations with their cameras filled in.

    A camera that is given or calibrated stays. With one that is taken from the calibration and has a distortion, the
    keypoints are undistorted. Otherwise the first of these decides: the photo's entry in the
    calibration, its ``default`` entry, ``settings.focal_length``, the camera that EXIF data gave, and
    ``settings.fallback_focal_factor`` times the longer image side.

    Args:
        observations: people of any number of photos.
        settings: the camera section of the configuration.
        calibration: cameras by image stem; None to read ``settings.calibration``.

    Raises:
        InputError: the calibration file cannot be used, or a focal length is too short to be in pixels.
    """
    if calibration is None:
        calibration = {} if settings.calibration is None else read_calibration(Path(settings.calibration))
    cameras = [_resolve(one, settings, calibration) for one in observations]
    for one, camera in zip(observations, cameras, strict=True):
        _refuse_millimetres(one, camera, settings)
    return [
        one if camera is one.camera else _with_camera(one, camera)
        for one, camera in zip(observations, cameras, strict=True)
    ]


def _with_camera(one: Observation, camera: Camera) -> Observation:
    """The observation with a camera, in the photo without distortion."""
    if not camera.distortion:
        return replace(one, camera=camera)
    return replace(one, camera=camera, keypoints=undistorted_keypoints(one.keypoints, camera, camera.distortion))


def _resolve(observation: Observation, settings: CameraConfig, calibration: Mapping[str, Camera]) -> Camera:
    camera = observation.camera
    if camera is not None and camera.source in ("given", "calibration"):
        return camera
    calibrated = calibration.get(observation.stem) or calibration.get(DEFAULT_ENTRY)
    if calibrated is not None:
        return calibrated.for_image(observation.image_size)
    if settings.focal_length is not None:
        return Camera(settings.focal_length).for_image(observation.image_size)
    if camera is not None and camera.source == "exif":
        return camera
    focal_length = settings.fallback_focal_factor * max(observation.image_size)
    return Camera(focal_length, source="fallback").for_image(observation.image_size)


def _refuse_millimetres(observation: Observation, camera: Camera, settings: CameraConfig) -> None:
    """Refuse a focal length that no lens has; those of EXIF data are checked where they are read."""
    longer, focal_length = max(observation.image_size), min(camera.focal_length)
    if camera.source not in ("given", "calibration") or focal_length >= SHORTEST_FOCAL_LENGTH * longer:
        return
    path = settings.calibration if camera.source == "calibration" else None
    film = focal_length / FILM_DIAGONAL_MM * math.hypot(*observation.image_size)
    problem = (
        f"expected pixels, found {focal_length:g} for {observation.stem}, a photo of {observation.image_size[0]} x "
        f"{observation.image_size[1]} pixels: is it in millimetres? {focal_length:g} mm on 35 mm film are {film:.0f} "
        "pixels of this photo"
    )
    raise InputError(path, problem, "camera.focal_length")


#: libyaml is ten times as fast.
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def read_calibration(path: str | Path) -> dict[str, Camera]:
    """Read a YAML (or JSON) file of cameras by image stem.

    Each entry maps a stem, or ``default``, to ``focal_length`` (one number or [fx, fy], pixels),
    ``principal_point`` ([cx, cy], pixels) and, where the lens distorts, ``distortion`` (coefficients in OpenCV's
    order).

    Raises:
        InputError: the file cannot be read, or an entry is incomplete.
    """
    path = Path(path)
    content = read_plain_yaml(path)
    if not isinstance(content, Mapping):
        raise InputError(path, f"expected a mapping from image stem (or {DEFAULT_ENTRY!r}) to a camera")
    return {stem: _read_entry(path, stem, entry) for stem, entry in content.items()}


def read_plain_yaml(path: Path) -> object:
    """Content of a YAML or JSON file with every scalar as text: YAML would read a stem such as 00057 as octal.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _LOADER)
    except FileNotFoundError:
        raise InputError(path, "the file does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(path, f"cannot be read: {reason(error)}") from error
    except yaml.YAMLError as error:
        raise InputError(path, f"not a readable YAML file: {_one_line(error)}") from error
    except RecursionError:
        raise InputError(path, "not a readable YAML file: it is nested too deeply") from None


#: Numbers of coefficients of OpenCV's distortion models.
DISTORTION_COUNTS = (0, 4, 5, 8, 12, 14)


def distortion_coefficients(path: Path, field: str, values: object) -> tuple[float, ...]:
    """Coefficients of a lens from a file, in OpenCV's order; none of them if all are zero or there are none.

    Raises:
        InputError: they are no such numbers.
    """
    expected = ", ".join(map(str, DISTORTION_COUNTS))
    try:
        array = np.array([] if values is None else values, np.float64).reshape(-1)
    except (TypeError, ValueError):
        raise InputError(path, f"expected {expected} numbers, found {values!r:.80}", field) from None
    if len(array) not in DISTORTION_COUNTS or not np.isfinite(array).all():
        raise InputError(path, f"expected {expected} finite numbers, found {values!r:.80}", field)
    return tuple(map(float, array)) if array.any() else ()


def _pair(values: Sequence[float] | np.ndarray, field: str, positive: bool = False) -> tuple[float, float]:
    expected = "two positive numbers" if positive else "two numbers"
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) != 2 or not all(math.isfinite(one) and (one > 0 or not positive) for one in numbers):
        raise InputError(None, f"expected {expected} in pixels, found {values!r}", field)
    return numbers[0], numbers[1]


def _one_line(error: yaml.YAMLError) -> str:
    """Name the fault and its line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"{error.problem or error.context}, line {error.problem_mark.line + 1}"
    return str(error).splitlines()[0]


def _read_entry(path: Path, stem: str, entry: object) -> Camera:
    if not isinstance(entry, Mapping):
        raise InputError(path, "expected focal_length and principal_point", stem)
    focal = entry.get("focal_length")
    pair = focal if isinstance(focal, list) else [focal, focal]
    return Camera(
        _read_pair(path, f"{stem}.focal_length", pair, positive=True),
        _read_pair(path, f"{stem}.principal_point", entry.get("principal_point")),
        "calibration",
        distortion=distortion_coefficients(path, f"{stem}.distortion", entry.get("distortion")),
    )


def _read_pair(path: Path, field: str, value: object, positive: bool = False) -> tuple[float, float]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise InputError(path, f"expected two numbers in pixels, found {value!r}", field)
    try:
        return _pair(value, field, positive)
    except InputError as error:
        raise InputError(path, error.problem, field) from None
