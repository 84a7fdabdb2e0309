"""Read OpenPose's JSON files, versions 1.0 to 1.7, into the canonical keypoint layout.

The body layout follows from the length of the list: 25 points are BODY_25, 18 are OpenPose's COCO model, 17 are
the plain COCO order that other detectors write into the same kind of file. The experimental BODY_25B model has 25
points too, in another order, which the file does not say. Read as BODY_25 its bones cross the whole body: a person
with enough visible points is recognised and refused, a person with few points cannot be recognised.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smplifyx.errors import InputError
from smplifyx.keypoints.draw import BODY_BONE_LENGTHS
from smplifyx.keypoints.observation import arrange_keypoints
from smplifyx.skeleton import (
    BODY_KEYPOINT_NAMES,
    BODY_KEYPOINTS,
    CONTOUR_KEYPOINTS,
    FACE_KEYPOINTS,
    GENDERS,
    LEFT_HAND_KEYPOINTS,
    N_KEYPOINTS,
    RIGHT_HAND_KEYPOINTS,
)

COCO_18_NAMES: tuple[str, ...] = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
    "right_eye", "left_eye", "right_ear", "left_ear",
)  # fmt: skip
COCO_17_NAMES: tuple[str, ...] = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder",
    "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip",
    "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
BODY_25B_NAMES: tuple[str, ...] = (
    *COCO_17_NAMES, "upper_neck", "head_top",
    "left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel",
)  # fmt: skip
BODY_LAYOUTS: dict[int, tuple[str, ...]] = {25: BODY_KEYPOINT_NAMES, 18: COCO_18_NAMES, 17: COCO_17_NAMES}

#: No person is this small; coordinates that all lie within it, in pixels, are fractions of the image.
NORMALISED_LIMIT = 1.5


@dataclass(frozen=True)
class PersonKeypoints:
    """One entry of a file's list of people.

    Attributes:
        index: position in the list.
        keypoints: float32 `[135, 3]`, canonical layout; an unseen point is (0, 0, 0).
        gender: from ``gender_gt``, else ``gender_pd``, where the file has one.
        warnings: peculiarities that did not prevent its use.
    """

    index: int
    keypoints: NDArray[np.float32]
    gender: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class OpenPoseFile:
    """The people of one file: those that could be read, and an error for each that could not."""

    people: tuple[PersonKeypoints, ...]
    failures: tuple[InputError, ...] = ()


def read_openpose(path: str | Path) -> OpenPoseFile:
    """Read one JSON file of OpenPose.

    Args:
        path: the file; its list of people may be empty.

    Returns:
        The people in the file's order. An entry that is malformed becomes a failure and leaves the others alone.

    Raises:
        InputError: the file cannot be opened, is no complete JSON, has no list ``people``, or holds coordinates
            that are fractions of the image instead of pixels.
    """
    path = Path(path)
    people, failures = [], []
    for index, entry in enumerate(_people_list(path)):
        try:
            people.append(_read_person(path, index, entry))
        except InputError as error:
            failures.append(error)
    _refuse_normalised(path, people)
    return OpenPoseFile(tuple(people), tuple(failures))


def _people_list(path: Path) -> list[Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror}); expected an OpenPose JSON file") from error
    except UnicodeDecodeError as error:
        raise InputError(path, "is no text file; expected an OpenPose JSON file") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise InputError(path, f"is not complete JSON ({error.msg}, {where}); expected an OpenPose file") from error
    except (RecursionError, ValueError) as error:
        raise InputError(path, "cannot be parsed; expected the JSON that OpenPose writes") from error
    if not isinstance(content, dict):
        raise InputError(path, f"holds {_kind(content)}; expected an object with a list 'people'")
    if "people" not in content:
        raise InputError(path, "is missing; expected the list of people that OpenPose writes", "people")
    if not isinstance(content["people"], list):
        raise InputError(path, f"is {_kind(content['people'])}; expected a list", "people")
    return content["people"]


def _read_person(path: Path, index: int, entry: object) -> PersonKeypoints:
    field = f"people[{index}]"
    if not isinstance(entry, dict):
        raise InputError(path, f"is {_kind(entry)}; expected an object with keypoint lists", field)
    reader = _ListReader(path, field, entry)
    parts = {
        "body": reader.read("pose_keypoints", tuple(BODY_LAYOUTS)),
        "left": reader.read("hand_left_keypoints", (21,)),
        "right": reader.read("hand_right_keypoints", (21,)),
        "face": reader.read("face_keypoints", (70, 68)),
    }
    if not reader.found_any:
        raise InputError(path, "has no keypoint list; expected pose_keypoints_2d with 25, 18 or 17 points", field)
    keypoints = np.zeros((N_KEYPOINTS, 3), np.float32)
    if parts["body"] is not None:
        layout = BODY_LAYOUTS[len(parts["body"])]
        keypoints[BODY_KEYPOINTS] = arrange_keypoints(parts["body"], layout)[BODY_KEYPOINTS]
        if layout == BODY_KEYPOINT_NAMES:
            _refuse_body_25b(path, f"{field}.pose_keypoints_2d", parts["body"])
    if parts["left"] is not None:
        keypoints[LEFT_HAND_KEYPOINTS] = parts["left"]
    if parts["right"] is not None:
        keypoints[RIGHT_HAND_KEYPOINTS] = parts["right"]
    if parts["face"] is not None:
        # The pupils, points 68 and 69, have no counterpart on the body models.
        keypoints[CONTOUR_KEYPOINTS], keypoints[FACE_KEYPOINTS] = parts["face"][:17], parts["face"][17:68]
    gender = _gender_label(entry, reader.warnings)
    return PersonKeypoints(index, keypoints, gender, tuple(reader.warnings))


class _ListReader:
    """Reads the flat lists x, y, c, x, y, c, ... of one person and collects the warnings."""

    def __init__(self, path: Path, field: str, entry: dict[str, Any]) -> None:
        self.path, self.field, self.entry = path, field, entry
        self.found_any = False
        self.warnings: list[str] = []

    def read(self, name: str, n_points: Sequence[int]) -> NDArray[np.float32] | None:
        """The list `name` (``_2d`` since version 1.2) as `[N, 3]`; None where it is absent or empty."""
        key = f"{name}_2d" if f"{name}_2d" in self.entry else name
        self.found_any = self.found_any or key in self.entry
        values = self.entry.get(key)
        if values is None or values == []:
            return None
        field = f"{self.field}.{key}"
        if not isinstance(values, list):
            raise InputError(self.path, f"is {_kind(values)}; expected a list of numbers", field)
        if len(values) not in [3 * n for n in n_points]:
            expected = ", or ".join(f"{3 * n} ({n} points)" for n in n_points)
            raise InputError(self.path, f"has {len(values)} numbers; expected {expected}", field)
        return self._clean(_to_floats(self.path, field, values).reshape(-1, 3), key)

    def _clean(self, points: NDArray[np.float32], key: str) -> NDArray[np.float32]:
        broken = ~np.isfinite(points).all(axis=1)
        if broken.any():
            self.warnings.append(f"{key}: {broken.sum()} points are NaN, infinite or null and count as unseen")
        if (points[~broken, 2] > 2).any():
            self.warnings.append(f"{key}: confidences reach {points[~broken, 2].max():g}; clipped to 1")
        # OpenPose writes an undetected point as 0, 0, 0; converters may leave its confidence in place.
        unseen = broken | (points[:, 2] <= 0) | (points[:, :2] == 0).all(axis=1)
        points[unseen] = 0
        points[:, 2] = np.minimum(points[:, 2], 1)
        return points


def _to_floats(path: Path, field: str, values: list[Any]) -> NDArray[np.float32]:
    for position, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, (int, float, type(None))):
            raise InputError(path, f"is {_kind(value)}; expected a number", f"{field}[{position}]")
    limit = float(np.finfo(np.float32).max)
    return np.array([np.nan if v is None or not abs(v) <= limit else v for v in values], np.float32)


def _refuse_body_25b(path: Path, field: str, points: NDArray[np.float32]) -> None:
    as_default = _bone_lengths(points)
    as_25b = _bone_lengths(arrange_keypoints(points, BODY_25B_NAMES))
    # On photos the right order gives bones at most 0.6 times as long as the wrong one; fewer bones do not tell, as
    # those of people who are cut off and badly detected may have any length.
    if min(len(as_default), len(as_25b)) >= 7 and np.mean(as_default) > 1.3 * np.mean(as_25b):
        raise InputError(path, "looks like the order of BODY_25B; expected OpenPose's default model BODY_25", field)


def _bone_lengths(body: NDArray[np.float32]) -> NDArray[np.float32]:
    bones = np.array([bone for bone in BODY_BONE_LENGTHS if body[list(bone), 2].min() > 0], int).reshape(-1, 2)
    return np.linalg.norm(body[bones[:, 0], :2] - body[bones[:, 1], :2], axis=1)


def _refuse_normalised(path: Path, people: Sequence[PersonKeypoints]) -> None:
    seen = [person.keypoints[person.keypoints[:, 2] > 0, :2] for person in people]
    points = np.concatenate([np.zeros((0, 2), np.float32), *seen])
    if len(points) >= 2 and np.abs(points).max() <= NORMALISED_LIMIT:
        problem = (
            f"coordinates run from {points.min():g} to {points.max():g}; expected pixels of the image: "
            "run OpenPose with --keypoint_scale 0"
        )
        raise InputError(path, problem, "people")


def _gender_label(entry: dict[str, Any], warnings: list[str]) -> str | None:
    for key in ("gender_gt", "gender_pd"):
        value = entry.get(key)
        if value is None or value == "":
            continue
        if isinstance(value, str) and value.lower() in GENDERS:
            return value.lower()
        warnings.append(f"{key} is {str(value)[:40]!r} and is ignored; expected one of {', '.join(GENDERS)}")
    return None


def _kind(value: object) -> str:
    kinds: dict[type, str] = {
        dict: "an object",
        list: "a list",
        str: "text",
        bool: "a truth value",
        type(None): "null",
    }
    return kinds.get(type(value), "a number")
