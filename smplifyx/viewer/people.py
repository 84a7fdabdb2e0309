"""People of photos whose parameters may be changed and who are posed anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from smplifyx.camera import Camera
from smplifyx.errors import InputError
from smplifyx.export.motion import PersonKey
from smplifyx.keypoints import read_image
from smplifyx.result import FitResult, load_result

#: Longer side of the photo in the scene, pixels.
LONGEST_SIDE = 1280


@dataclass(frozen=True)
class ShownPerson:
    """A fitted person.

    Attributes:
        key: number and side.
        result: the fit; changes of the user are results of their own.
        models: the only folder to take the body model from; None for the usual places.
    """

    key: PersonKey
    result: FitResult
    models: Path | None = None

    @property
    def faces(self) -> NDArray[np.int64]:
        """Triangles [F, 3]."""
        return np.asarray(self.result.body(self.models).data.faces)

    def vertices(self, result: FitResult) -> NDArray[np.float32]:
        """Vertices [V, 3] of this body with the parameters of a result, in the camera frame, metres."""
        with torch.no_grad():
            posed = self.result.body(self.models)(**result.parameters)
        return np.asarray(posed.vertices[0].numpy(), np.float32)


def with_angles(result: FitResult, joint: str, degrees: tuple[float, float, float]) -> FitResult:
    """The result with one joint turned: angles about the x, y and z axis of its parent, in that order."""
    number = result.joint_names.index(joint)
    groups = result.skeleton.pose_groups.items()
    group, first = next((name, one.start) for name, one in groups if one.start <= number < one.stop)
    pose = getattr(result, group).reshape(-1, 3).copy()
    pose[number - first] = Rotation.from_euler("xyz", degrees, degrees=True).as_rotvec()
    changed: dict[str, NDArray[np.float32]] = {group: pose.ravel()}
    return replace(result, **changed)  # type: ignore[arg-type]


def angles(result: FitResult, joint: str) -> tuple[float, float, float]:
    """The inverse of :func:`with_angles`, degrees."""
    vector = result.full_pose[result.joint_names.index(joint)]
    x, y, z = Rotation.from_rotvec(vector).as_euler("xyz", degrees=True).tolist()
    return x, y, z


def with_coefficient(result: FitResult, name: str, number: int, value: float) -> FitResult:
    """The result with another coefficient of ``betas`` or ``expression``."""
    coefficients = getattr(result, name).copy()
    coefficients[number] = value
    changed: dict[str, NDArray[np.float32]] = {name: coefficients}
    return replace(result, **changed)  # type: ignore[arg-type]


def read_people(
    files: Mapping[PersonKey, Path], models: Path | None = None
) -> tuple[list[ShownPerson], list[InputError]]:
    """The people of a photo, and the reasons why others cannot be shown."""
    people, problems = [], []
    for key, path in files.items():
        try:
            result = load_result(path)
            result.body(models)
        except InputError as error:
            problems.append(InputError(path, error.problem, error.field))
        else:
            people.append(ShownPerson(key, result, models))
    return people, problems


@dataclass(frozen=True)
class Backdrop:
    """A photo as a camera sees it whose axis goes through the middle, since frustums have no principal point.

    Attributes:
        picture: RGB uint8 [H, W, 3]: the photo, extended by grey on two sides.
        fov: vertical angle of view, radians.
    """

    picture: NDArray[np.uint8]
    fov: float

    @property
    def aspect(self) -> float:
        """Width by height."""
        return self.picture.shape[1] / self.picture.shape[0]


@lru_cache(maxsize=32)
def _photo(path: str, size: tuple[int, int]) -> NDArray[np.uint8] | None:
    """The photo at a size, RGB; None where it is not there any more."""
    try:
        picture = read_image(path, min(1.0, max(size) / LONGEST_SIDE))
    except InputError:
        return None
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA)[:, :, ::-1], np.uint8)


def backdrop(result: FitResult) -> Backdrop:
    """The photo of a result; grey where it is not there any more."""
    shown: Camera = result.camera.capped(LONGEST_SIDE)
    (width, height), (_, fy) = shown.size, shown.focal_length
    cx, cy = shown.center[0] + 0.5, shown.center[1] + 0.5
    half = max(cx, width - cx), max(cy, height - cy)
    wide, high = (int(np.ceil(2.0 * side)) for side in half)
    picture = np.full((high, wide, 3), 128, np.uint8)
    photo = _photo(result.image_path, (int(width), int(height)))
    left, top = round(half[0] - cx), round(half[1] - cy)
    if photo is not None:
        picture[top : top + height, left : left + width] = photo[: high - top, : wide - left]
    return Backdrop(picture, 2.0 * float(np.arctan(high / (2.0 * fy))))
