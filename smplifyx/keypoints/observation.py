"""The keypoints of one person in one image: `Observation`."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smplifyx.camera import Camera
from smplifyx.errors import InputError
from smplifyx.keypoints.layouts import DERIVED_WEIGHT
from smplifyx.skeleton import CANONICAL_KEYPOINT_NAMES, GENDERS, N_KEYPOINTS, SIDES

#: Suffix of the names of keypoint files, before their ending.
KEYPOINT_SUFFIX = "_keypoints"
#: Confidences above 1 by no more than this are rounding.
_ROUNDING = 1e-3


@dataclass(frozen=True)
class Observation:
    """The keypoints of one person in one image, checked when made; no files are needed.

    Attributes:
        keypoints: float32 `[135, 3]`, x and y in pixels of the upright image and a confidence from 0 to 1, in the
            order of :data:`smplifyx.skeleton.CANONICAL_KEYPOINT_NAMES`; an unseen point has confidence 0 and is
            stored as (0, 0, 0).
        image_size: width and height of the upright image, in pixels.
        camera: the camera of the image; None lets :func:`smplifyx.camera.resolve_cameras` decide.
        image_path: the image file, if there is one.
        keypoint_path: the file that the keypoints were read from, if there is one.
        person_index: position in the file's list of people; names the output files.
        gender: ``male``, ``female`` or ``neutral`` where it is known.
        stem: names the output folders; taken from the image or keypoint file by default.
        side: ``left`` or ``right`` where only that hand of the person is meant.
        warnings: peculiarities of the input that did not prevent its use.
        flags: short names of those that may have changed the fit; they become flags of the result.
        points_3d: `[25, 4]` the body's points from a detector that predicts depth: metres in the camera's axes
            (x right, y down, z forward) from any origin, and confidence; None without.

    Raises:
        InputError: a value has the wrong shape or range, or is not finite; the message names the field.
    """

    keypoints: NDArray[np.float32]
    image_size: tuple[int, int]
    camera: Camera | None = None
    image_path: Path | None = None
    keypoint_path: Path | None = None
    person_index: int = 0
    gender: str | None = None
    stem: str = ""
    side: str | None = None
    warnings: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    points_3d: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        image_path = None if self.image_path is None else Path(self.image_path)
        keypoint_path = None if self.keypoint_path is None else Path(self.keypoint_path)
        path = keypoint_path or image_path
        size = _image_size(path, self.image_size)
        camera = self.camera
        if camera is not None and not isinstance(camera, Camera):
            raise InputError(path, f"expected a smplifyx.Camera, found {type(camera).__name__}", "camera")
        if self.person_index < 0:
            raise InputError(path, f"expected 0 or more, found {self.person_index}", "person_index")
        _check_choice(path, "gender", self.gender, GENDERS)
        _check_choice(path, "side", self.side, SIDES)
        if self.points_3d is not None:
            points = np.asarray(self.points_3d, np.float32)
            if points.shape != (25, 4) or not np.isfinite(points).all():
                raise InputError(path, f"expected finite [25, 4], found {list(points.shape)}", "points_3d")
            object.__setattr__(self, "points_3d", points)
        object.__setattr__(self, "keypoints", _keypoints(path, self.keypoints))
        object.__setattr__(self, "image_size", size)
        object.__setattr__(self, "camera", None if camera is None else camera.for_image(size))
        object.__setattr__(self, "image_path", image_path)
        object.__setattr__(self, "keypoint_path", keypoint_path)
        object.__setattr__(self, "stem", self.stem or _stem(image_path, keypoint_path))

    @classmethod
    def from_points(
        cls,
        points: ArrayLike,
        names: Sequence[str],
        image_size: tuple[int, int],
        camera: Camera | None = None,
        *,
        image_path: str | Path | None = None,
        keypoint_path: str | Path | None = None,
        person_index: int = 0,
        gender: str | None = None,
        stem: str = "",
    ) -> Observation:
        """Make an observation from any subset of the keypoints, in any order.

        Points that are not named, and points with NaN coordinates, are unseen. Where ``names`` lacks ``neck`` or
        ``mid_hip``, these are derived as midpoints of the visible shoulders and hips.

        Args:
            points: `[N, 2]` pixels or `[N, 3]` pixels and confidence; without confidences every point counts fully.
            names: the N names, from :data:`smplifyx.skeleton.CANONICAL_KEYPOINT_NAMES`.
            image_size: (width, height) of the upright image, pixels.
            camera: the camera of the image; None lets the camera rules decide.
            image_path: the image file, needed only to draw on it.
            keypoint_path: the file that the points come from.
            person_index: position in the file's list of people.
            gender: ``male``, ``female`` or ``neutral`` where it is known.
            stem: names the output folders.

        Raises:
            InputError: a name is unknown (the message names the nearest known one) or given twice, or the points
                do not match the names.
        """
        path = keypoint_path or image_path
        names = list(names)
        check_keypoint_names(names, path)
        array = _as_floats(path, "points", points)
        if array.ndim != 2 or array.shape[1] not in (2, 3) or len(array) != len(names):
            found = " x ".join(map(str, array.shape))
            problem = f"expected {len(names)} x 2 or x 3 numbers, one row a name, found {found}"
            raise InputError(path, problem, "points")
        if array.shape[1] == 2:
            array = np.column_stack([array, np.ones(len(array), np.float32)])
        lost = np.logical_or(*np.isnan(array[:, :2]).T)
        if len(array) and lost.all():
            raise InputError(path, "expected at least one visible point, found NaN in all rows", "points")
        array = np.where(lost[:, None], np.float32(0.0), array)
        return cls(
            keypoints=arrange_keypoints(array, names),
            image_size=image_size,
            camera=camera,
            image_path=None if image_path is None else Path(image_path),
            keypoint_path=None if keypoint_path is None else Path(keypoint_path),
            person_index=person_index,
            gender=gender,
            stem=stem,
        )

    @property
    def image_file(self) -> Path:
        """The image file; raises :class:`InputError` for an observation without one."""
        if self.image_path is None:
            raise InputError(None, f"expected an image file for {self.name}, found none", "image_path")
        return self.image_path

    @property
    def name(self) -> str:
        """Name of the person for messages."""
        return f"{self.stem}, person {self.person_index}" + (f", {self.side} hand" if self.side else "")


def check_keypoint_names(names: Sequence[str], path: str | Path | None = None, field: str = "names") -> None:
    """Check that names of keypoints are known and unique.

    Args:
        names: names to check.
        path: the file they come from, for the message.
        field: the part of the input, for the message.

    Raises:
        InputError: a name is unknown, with the nearest known one, or given twice.
    """
    for position, name in enumerate(names):
        if name not in _KNOWN_NAMES:
            nearest = difflib.get_close_matches(str(name), CANONICAL_KEYPOINT_NAMES, 1, cutoff=0.0)
            problem = f"expected the name of a keypoint, found {name!r}; the nearest is {nearest[0]!r}"
            raise InputError(path, problem, f"{field}[{position}]")
    if len(set(names)) < len(names):
        twice = next(name for name in names if list(names).count(name) > 1)
        raise InputError(path, f"expected each name once, found {twice!r} twice", field)


def arrange_keypoints(points: NDArray[np.float32], names: Sequence[str]) -> NDArray[np.float32]:
    """Bring named points into the canonical layout.

    Where the names lack the neck or the middle of the hips, these are the midpoints of the shoulders and of the hips
    if both are seen, with a share of the lower of the two confidences.

    Args:
        points: `[N, 3]`.
        names: the N names; points of unknown name are dropped.

    Returns:
        `[135, 3]`; points without a name are unseen.
    """
    keypoints = np.zeros((N_KEYPOINTS, 3), np.float32)
    for name, point in zip(names, points, strict=True):
        if name in _KNOWN_NAMES:
            keypoints[_KNOWN_NAMES[name]] = point
    for middle, sides in (("neck", "shoulder"), ("mid_hip", "hip")):
        if middle not in names:
            pair = keypoints[[_KNOWN_NAMES[f"{side}_{sides}"] for side in SIDES]]
            if pair[:, 2].min() > 0:
                keypoints[_KNOWN_NAMES[middle]] = (*pair[:, :2].mean(axis=0), DERIVED_WEIGHT * pair[:, 2].min())
    return keypoints


def keypoint_box(keypoints: NDArray[np.float32], min_confidence: float = 0.0) -> NDArray[np.float32] | None:
    """Return the smallest box around the visible points.

    Args:
        keypoints: `[K, 3]`, x, y, confidence.
        min_confidence: points at or below it do not count.

    Returns:
        `[4]`: left, top, right, bottom in pixels, or None where nothing is visible.
    """
    visible = keypoints[keypoints[:, 2] > min_confidence, :2]
    if len(visible) == 0:
        return None
    return np.concatenate([visible.min(axis=0), visible.max(axis=0)])


def box_diagonal(keypoints: NDArray[np.float32], min_confidence: float = 0.0) -> float:
    """Diagonal in pixels of the box around the visible points of `[K, 3]`; 0 where nothing is visible."""
    box = keypoint_box(keypoints, min_confidence)
    return 0.0 if box is None else float(np.hypot(box[2] - box[0], box[3] - box[1]))


_KNOWN_NAMES = {name: index for index, name in enumerate(CANONICAL_KEYPOINT_NAMES)}


def _as_floats(path: str | Path | None, field: str, values: ArrayLike) -> NDArray[np.float32]:
    try:
        return np.array(values, np.float32)
    except (TypeError, ValueError):
        raise InputError(path, f"expected an array of numbers, found {type(values).__name__}", field) from None


def _keypoints(path: Path | None, values: ArrayLike) -> NDArray[np.float32]:
    """Check keypoints `[135, 3]` and set unseen points to zero."""
    keypoints = _as_floats(path, "keypoints", values)
    if keypoints.shape != (N_KEYPOINTS, 3):
        found = " x ".join(map(str, keypoints.shape)) or "one number"
        hint = "; Observation.from_points takes other sets of points by their names"
        raise InputError(path, f"expected {N_KEYPOINTS} x 3 numbers, found {found}{hint}", "keypoints")
    unseen = keypoints[:, 2] == 0
    broken = ~np.isfinite(keypoints).all(axis=1) & ~unseen
    if broken.any():
        found = f"found NaN or infinity in {broken.sum()} of {N_KEYPOINTS} rows"
        raise InputError(path, f"expected finite numbers, and confidence 0 for unseen points, {found}", "keypoints")
    low, high = float(keypoints[:, 2].min()), float(keypoints[:, 2].max())
    if low < 0 or high > 1 + _ROUNDING:
        raise InputError(path, f"expected confidences from 0 to 1, found {low:g} to {high:g}", "keypoints")
    keypoints[unseen] = 0
    return keypoints


def _image_size(path: Path | None, values: Sequence[int]) -> tuple[int, int]:
    try:
        width, height = (int(value) for value in values)
    except (TypeError, ValueError):
        raise InputError(path, f"expected (width, height), found {values!r}", "image_size") from None
    if min(width, height) < 1:
        raise InputError(path, f"expected a positive width and height, found {width} x {height}", "image_size")
    return width, height


def _check_choice(path: Path | None, field: str, value: str | None, choices: Sequence[str]) -> None:
    if value is not None and value not in choices:
        raise InputError(path, f"expected one of {', '.join(choices)}, found {value!r}", field)


def _stem(image_path: Path | None, keypoint_path: Path | None) -> str:
    if image_path is not None:
        return image_path.stem
    return "person" if keypoint_path is None else keypoint_path.stem.removesuffix(KEYPOINT_SUFFIX)
