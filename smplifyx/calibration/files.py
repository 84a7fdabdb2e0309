"""Camera files of any known format."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from smplifyx.calibration import other_formats
from smplifyx.calibration.own import read_own_file
from smplifyx.errors import InputError
from smplifyx.tracking.view import View

Up = Literal["y", "z", "-y"]
#: First line of the YAML of OpenCV.
_OPENCV_YAML = b"%YAML:1.0"
#: Names of cameras become names of folders.
_FILE_NAME = re.compile(r"[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]*")
_EASYMOCAP = ("intri.yml", "extri.yml")


@dataclass(frozen=True)
class CameraRig:
    """Calibrated cameras that stand in one world.

    Attributes:
        views: the cameras.
        up: the axis of the world that points up; None where the file does not tell.
        ground: height of the floor along this axis, metres; None where it is unknown.
    """

    views: tuple[View, ...]
    up: Up | None = None
    ground: float | None = None

    @property
    def up_vector(self) -> NDArray[np.float64]:
        """The direction up [3] in the world, z where the file does not tell."""
        axis = self.up or "z"
        return np.eye(3)["xyz".index(axis[-1])] * (-1.0 if axis.startswith("-") else 1.0)


def read_cameras(path: str | Path, unit: float = 1.0) -> CameraRig:
    """Read a file of calibrated cameras; the format is recognised.

    Known are our own YAML, EasyMocap's ``intri.yml`` and ``extri.yml`` (either of them, or their folder), TOML of
    Pose2Sim and Anipose, Qualisys' ``.qca.txt``, and the ``camera_parameters.txt`` of MvSMPLfitting.

    Args:
        path: the file.
        unit: metres in a unit of length of the file; Qualisys names its own.

    Raises:
        InputError: the file cannot be read, an entry is missing or wrong, or two cameras have one name.
    """
    path = Path(path)
    rig, has_unit = _read(path)
    names = [view.name for view in rig.views]
    for name in names:
        if not _FILE_NAME.fullmatch(name):
            problem = (
                f"expected a name of letters, digits and signs other than / and \\, no dot first; found {name!r}"
            )
            raise InputError(path, problem, "cameras")
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise InputError(path, f"expected each name once, found {double!r} twice", "cameras")
    if has_unit or unit == 1.0:
        return rig
    views = tuple(replace(view, translation=np.asarray(view.translation) * unit) for view in rig.views)
    return replace(rig, views=views, ground=None if rig.ground is None else rig.ground * unit)


def _read(path: Path) -> tuple[CameraRig, bool]:
    """The cameras, and whether they are in metres for sure."""
    if path.is_dir() or path.name in _EASYMOCAP:
        folder = path if path.is_dir() else path.parent
        return CameraRig(tuple(other_formats.read_easymocap(*(folder / one for one in _EASYMOCAP))), "z"), False
    try:
        with path.open("rb") as stream:
            start = stream.read(64).lstrip(b"\xef\xbb\xbf \r\n\t")
    except FileNotFoundError:
        raise InputError(path, "does not exist; expected a file of cameras") from None
    except OSError as error:
        raise InputError(path, f"cannot be read: {error.strerror}") from error
    if start.startswith(_OPENCV_YAML):
        raise InputError(path, f"has the format of EasyMocap; expected the names {' and '.join(_EASYMOCAP)}")
    if path.suffix.lower() == ".toml":
        return CameraRig(tuple(other_formats.read_toml(path)), "z"), False
    if start.startswith(b"<"):
        return CameraRig(tuple(other_formats.read_qualisys(path)), "z"), True
    if path.suffix.lower() == ".txt":
        return CameraRig(tuple(other_formats.read_camera_parameters(path))), False
    views, others = read_own_file(path)
    return CameraRig(tuple(views), _up(path, others), _ground(path, others)), False


def _up(path: Path, entries: Mapping[str, Any]) -> Up | None:
    up = entries.get("up")
    if up is not None and up not in get_args(Up):
        raise InputError(path, f"expected one of {', '.join(get_args(Up))}, found {up!r}", "up")
    return up


def _ground(path: Path, entries: Mapping[str, Any]) -> float | None:
    value = entries.get("ground")
    if value is None:
        return None
    try:
        height = float(value)
    except (TypeError, ValueError):
        height = math.nan
    if not math.isfinite(height):
        raise InputError(path, f"expected the height of the floor in metres, found {value!r}", "ground")
    if entries.get("up") is None:
        raise InputError(path, "expected up beside it, the axis that points up", "ground")
    return height
