"""Which camera took a photo: calibration file, given focal length, EXIF, or a stated fallback, in that order."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import yaml

from smplifyx.camera import Intrinsics
from smplifyx.config import CameraConfig
from smplifyx.errors import InputError, reason
from smplifyx.keypoints.observation import Observation

#: Key of a calibration that holds for every photo without one of its own.
_ALL = "default"


def read_calibration(path: Path) -> dict[str, Intrinsics]:
    """Reads a YAML (or JSON) file of intrinsics by image stem.

    Each entry maps a stem, or ``default``, to ``focal_length`` (one number or [fx, fy], pixels) and
    ``principal_point`` ([cx, cy], pixels).

    Raises:
        InputError: the file cannot be read, or an entry is incomplete.
    """
    try:
        # Every scalar stays text: YAML would read a stem such as 00057 as an octal number.
        content = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)
    except FileNotFoundError:
        raise InputError(path, "the file does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(path, f"cannot be read: {reason(error)}") from error
    except yaml.YAMLError as error:
        raise InputError(path, f"not a readable YAML file: {_one_line(error)}") from error
    if not isinstance(content, Mapping):
        raise InputError(path, f"expected a mapping from image stem (or {_ALL!r}) to intrinsics")
    return {stem: _read_entry(path, stem, entry) for stem, entry in content.items()}


def _one_line(error: yaml.YAMLError) -> str:
    """What is wrong, and in which line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"{error.problem or error.context}, line {error.problem_mark.line + 1}"
    return str(error).splitlines()[0]


def _read_entry(path: Path, stem: str, entry: object) -> Intrinsics:
    if not isinstance(entry, Mapping):
        raise InputError(path, "expected focal_length and principal_point", stem)
    focal = entry.get("focal_length")
    pair = focal if isinstance(focal, list) else [focal, focal]
    return Intrinsics(
        _read_pair(path, f"{stem}.focal_length", pair, positive=True),
        _read_pair(path, f"{stem}.principal_point", entry.get("principal_point"), positive=False),
        "calibration",
    )


def _read_pair(path: Path, field: str, value: object, positive: bool) -> tuple[float, float]:
    expected = "two positive numbers" if positive else "two numbers"
    numbers = [_number(one) for one in value] if isinstance(value, list) else []
    if len(numbers) != 2 or not all(math.isfinite(one) and (one > 0 or not positive) for one in numbers):
        raise InputError(path, f"expected {expected} in pixels, found {value!r}", field)
    return numbers[0], numbers[1]


def _number(value: object) -> float:
    """The number that a scalar's text says; NaN for anything else."""
    try:
        return float(value) if isinstance(value, str) else math.nan
    except ValueError:
        return math.nan


def resolve_intrinsics(
    observation: Observation, config: CameraConfig, calibration: Mapping[str, Intrinsics]
) -> Intrinsics:
    """The camera of one observation; without a calibration the principal point is the image centre."""
    known = calibration.get(observation.stem) or calibration.get(_ALL)
    if known is not None:
        return known
    width, height = observation.image_size
    focal, source = config.fallback_focal_factor * max(width, height), "fallback"
    if config.focal_length is not None:
        focal, source = config.focal_length, "given"
    elif observation.exif_focal_length is not None:
        focal, source = observation.exif_focal_length, "exif"
    return Intrinsics((focal, focal), (width / 2.0, height / 2.0), source)
