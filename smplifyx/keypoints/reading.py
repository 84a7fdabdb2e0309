"""Read keypoint files of any detector into the canonical layout.

The format follows from the keys of the file, the layout from the names or the number of the points. Three layouts
have 25 points; read in a wrong order, bones cross the whole body, which distinguishes them where enough points are
seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smplifyx.errors import GIVE_LAYOUT, InputError
from smplifyx.keypoints.documents import Document, Entry, Size, to_points
from smplifyx.keypoints.formats import read_document
from smplifyx.keypoints.layouts import AUTO, Layout, layout_named, layouts, layouts_of_length, named_layout
from smplifyx.skeleton import (
    BODY_BONE_LENGTHS,
    BODY_KEYPOINTS,
    CANONICAL_KEYPOINT_NAMES,
    GENDERS,
    HAND_KEYPOINTS,
    N_KEYPOINTS,
    WHOLE_FACE_KEYPOINTS,
)

#: No person is this small; coordinates that all lie within it, in pixels, are fractions of the image.
NORMALISED_LIMIT = 1.5
#: Layouts of the lists that hold one part, by that part.
_PART_LAYOUTS = {
    "left": ("hand_21_left",),
    "right": ("hand_21_right",),
    "face": ("face_70", "face_68", "mediapipe_face_468", "mediapipe_face_478"),
}
#: The layouts of 25 points that a format may have; the first is taken where bones do not tell.
_USUAL_LAYOUTS = {"OpenPose": ("body_25", "body_25b")}
#: Bones that are needed to tell two layouts apart, and the ratio of their mean lengths. On photos the right order
#: gives bones at most 0.6 times as long as a wrong one; fewer bones do not tell, as those of people who are cut off
#: and badly detected may have any length.
_MIN_BONES, _CLEAR_RATIO = 7, 1.3
#: This number of body points in one place, or more, marks points that were not found.
_PLACEHOLDERS = 4
#: Confidence of a point that an annotator marked as hidden.
_HIDDEN = 0.5


_N_BODY_25 = 25
#: Extents of a person, metres: 3D points outside are in other units.
_EXTENT_3D = (0.3, 3.0)


@dataclass(frozen=True)
class PersonKeypoints:
    """One entry of a file's list of people.

    Attributes:
        index: position in the list.
        keypoints: float32 `[135, 3]`, canonical layout; an unseen point is (0, 0, 0).
        gender: from ``gender_gt``, else ``gender_pd``, where the file has one.
        warnings: peculiarities that did not prevent its use.
        flags: short names of those that may have changed the fit.
        points_3d: float32 `[25, 4]` from ``pose_keypoints_3d``, metres in the camera's axes and confidence.
    """

    index: int
    keypoints: NDArray[np.float32]
    gender: str | None = None
    warnings: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    points_3d: NDArray[np.float32] | None = None

    def with_keypoints(self, keypoints: NDArray[np.float32]) -> PersonKeypoints:
        """Replace keypoints; 3D points of those that moved or were dropped lose their confidence."""
        points_3d = self.points_3d
        if points_3d is not None:
            changed = (keypoints != self.keypoints).any(axis=1)[BODY_KEYPOINTS]
            points_3d = np.where(changed[:, None], np.float32(0), points_3d)
        return replace(self, keypoints=keypoints, points_3d=points_3d)


@dataclass(frozen=True)
class KeypointFile:
    """The people of one photo: those that could be read, and an error for each that could not.

    Attributes:
        people: in the order of the file.
        failures: one error for each malformed entry.
        format: name of the file's format.
        layout: name of the layout of the bodies; empty without people.
        size: (width, height) that the coordinates count in, where the file says so.
    """

    people: tuple[PersonKeypoints, ...]
    failures: tuple[InputError, ...] = ()
    format: str = "OpenPose"
    layout: str = ""
    size: Size | None = None


def read_keypoint_file(
    path: str | Path, layout: str = AUTO, *, image: Path | None = None, image_size: Size | None = None
) -> KeypointFile:
    """Read the people of one photo.

    Args:
        path: a file of OpenPose, or of any format that :mod:`smplifyx.keypoints.formats` knows.
        layout: name of the layout of the bodies, or ``auto``.
        image: the photo, for a file about several.
        image_size: (width, height) of the upright photo, for a file with fractions of it.

    Returns:
        The people in the file's order. An entry that is malformed becomes a failure and leaves the others alone.

    Raises:
        InputError: the file cannot be read, several layouts fit, the photo is not in it, or it holds coordinates that
            are fractions of an image of unknown size.
        UsageError: there is no such layout.
    """
    return people_of(read_document(path), layout, image=image, image_size=image_size)


def people_of(
    document: Document, layout: str = AUTO, *, image: Path | None = None, image_size: Size | None = None
) -> KeypointFile:
    """The people of one photo in a document; arguments and errors as for :func:`read_keypoint_file`."""
    entries = document.of_image(image)
    failures: list[InputError] = []
    bodies: list[tuple[Entry, dict[str, _Points]]] = []
    for entry in entries:
        try:
            bodies.append((entry, _lists(document.path, entry, layout)))
        except InputError as error:
            failures.append(error)
    chosen = _body_layout(document, layout, bodies)
    people = [_person(entry, lists, chosen) for entry, lists in bodies]
    sizes = {entry.size for entry in entries}
    size = sizes.pop() if len(sizes) == 1 else None
    people = _in_pixels(document.path, people, entries, size, image_size)
    names = {_layout_of(entry, lists, chosen) for entry, lists in bodies} - {""}
    return KeypointFile(tuple(people), tuple(failures), document.format, ", ".join(sorted(names)), size)


@dataclass
class _Points:
    """Points `[N, 3]` of one list, and remarks on them."""

    array: NDArray[np.float32]
    warnings: list[str]


def _lists(path: Path, entry: Entry, layout: str) -> dict[str, _Points]:
    if entry.failure is not None:
        raise InputError(path, entry.failure, entry.where)
    found = {}
    for part, values in entry.lists.items():
        if part == "scores" or values is None or values == []:
            continue
        key = entry.keys.get(part, part)
        where = f"{entry.where}.{key}"
        known = [layouts()[name] for name in _PART_LAYOUTS[part]] if part in _PART_LAYOUTS else _bodies(entry, layout)
        found[part] = _clean(_rows(path, where, values, entry, part, known), key, part, entry)
    return found


def _bodies(entry: Entry, layout: str) -> list[Layout]:
    """The layouts that a list of a body or a whole person may have."""
    if layout != AUTO:
        return [layout_named(layout)]
    parts = {name for names in _PART_LAYOUTS.values() for name in names}
    return [one for name, one in layouts().items() if name not in parts]


def _rows(path: Path, where: str, values: Any, entry: Entry, part: str, known: Sequence[Layout]) -> _Points:
    """The points `[N, 3]` of a list that is flat or nested, with or without confidences."""
    array, warnings = to_points(path, where, values), []
    counts = {one.n_points for one in known}
    if part == "body" and entry.names:
        counts.add(len(entry.names))
    if array.ndim == 1:
        width = next((width for width in (3, 2) if len(array) % width == 0 and len(array) // width in counts), None)
        if width is None:
            raise InputError(path, _unexpected(len(array), counts, part), where)
        array = array.reshape(-1, width)
    elif len(array) not in counts:
        raise InputError(path, f"has {len(array)} points; expected {_counts(counts, part)}", where)
    if array.shape[1] == 2:
        scores = entry.lists.get("scores") if part == "body" else None
        if scores is None:
            confidence = np.ones(len(array), np.float32)
            warnings.append(f"{where.rsplit('.', 1)[-1]}: has no confidences; every point counts fully")
        else:
            confidence = np.ravel(to_points(path, f"{entry.where}.keypoint_scores", scores))
            if len(confidence) != len(array):
                problem = f"has {len(confidence)} numbers; expected one for each of {len(array)} points"
                raise InputError(path, problem, f"{entry.where}.keypoint_scores")
        array = np.column_stack([array, confidence])
    elif array.shape[1] != 3:
        raise InputError(path, f"has points of {array.shape[1]} numbers; expected x, y and confidence", where)
    return _Points(array.astype(np.float32), warnings)


def _unexpected(n_numbers: int, counts: set[int], part: str) -> str:
    return f"has {n_numbers} numbers; expected {_counts(counts, part, numbers=True)}"


def _counts(counts: set[int], part: str, numbers: bool = False) -> str:
    usual: list[int] = [n for n in ((25, 18, 17) if part == "body" else (70, 68, 21)) if n in counts]
    shown = usual or sorted(counts)
    if numbers:
        text = ", or ".join(f"{3 * n} ({n} points)" for n in shown)
    else:
        text = ", ".join(map(str, shown[:-1])) + (" or " if len(shown) > 1 else "") + str(shown[-1])
    return text + (", or those of another layout that is given" if part == "body" and len(counts) > 3 else "")


def _clean(points: _Points, key: str, part: str, entry: Entry) -> _Points:
    """Set unseen points to zero, by the marks of every detector, and keep confidences between 0 and 1."""
    array, warnings = points.array, points.warnings
    if entry.labelled:
        array[:, 2] = np.select([array[:, 2] >= 2, array[:, 2] >= 1], [1.0, _HIDDEN], 0.0)
    broken = ~np.isfinite(array).all(axis=1)
    if broken.any():
        warnings.append(f"{key}: points with NaN, infinity or null, which count as unseen: {broken.sum()}")
    if (array[~broken, 2] > 2).any():
        warnings.append(f"{key}: confidences reach {array[~broken, 2].max():g}; clipped to 1")
    # Undetected points are 0, 0, 0; converters may leave their confidence in place, and some detectors write -1, -1.
    unseen = broken | (array[:, 2] <= 0) | (array[:, :2] == 0).all(axis=1) | (array[:, :2] == -1).all(axis=1)
    array[unseen] = 0
    array[:, 2] = np.minimum(array[:, 2], 1)
    if part == "body" and len(array) >= 17:
        same = _placeholders(array)
        if same.any():
            array[same] = 0
            warnings.append(f"{key}: {same.sum()} points lie in one place and count as unseen")
    return points


def _placeholders(array: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Points of exactly the same place, of which a body has at most a few."""
    _, group, counts = np.unique(array[:, :2], axis=0, return_inverse=True, return_counts=True)
    return np.asarray((counts >= _PLACEHOLDERS)[np.ravel(group)] & (array[:, 2] > 0))


def _body_layout(
    document: Document, layout: str, bodies: Sequence[tuple[Entry, dict[str, _Points]]]
) -> Layout | None:
    """The layout of the bodies whose number of points has several; None where there are none.

    Raises:
        InputError: more than one layout fits.
    """
    if layout != AUTO:
        return layout_named(layout)
    doubtful = [lists["body"].array for entry, lists in bodies if "body" in lists and not _from_names(entry)]
    doubtful = [points for points in doubtful if len(layouts_of_length(len(points))) > 1]
    if not doubtful:
        return None
    usual = _USUAL_LAYOUTS.get(document.format, ())
    known = [one for one in layouts_of_length(len(doubtful[0])) if not usual or one.name in usual]
    same = [points for points in doubtful if len(points) == len(doubtful[0])]
    lengths = {one.name: [_bone_lengths(one.to_canonical(points)) for points in same] for one in known}
    usable = [k for k in range(len(same)) if min(len(found[k]) for found in lengths.values()) >= _MIN_BONES]
    means = {name: sum(float(found[k].mean()) for k in usable) for name, found in lengths.items()}
    ordered = sorted(means, key=lambda name: means[name])
    if usable and means[ordered[1]] > _CLEAR_RATIO * means[ordered[0]]:
        return layouts()[ordered[0]]
    if usual:
        return layouts()[usual[0]]
    names = ", ".join(one.name for one in known)
    raise InputError(document.path, f"its {len(same[0])} points fit several layouts ({names}); {GIVE_LAYOUT}")


def _bone_lengths(body: NDArray[np.float32]) -> NDArray[np.float32]:
    bones = np.array([bone for bone in BODY_BONE_LENGTHS if body[list(bone), 2].min() > 0], int).reshape(-1, 2)
    return np.linalg.norm(body[bones[:, 0], :2] - body[bones[:, 1], :2], axis=1)


def _from_names(entry: Entry) -> Layout | None:
    """The layout of the names in the file, where enough of them are known."""
    if entry.names is None:
        return None
    named = named_layout(entry.names)
    known = sum(name in CANONICAL_KEYPOINT_NAMES[BODY_KEYPOINTS] for name in named.points)
    return named if known >= 8 else None


def _body_of(entry: Entry, points: NDArray[np.float32], chosen: Layout | None) -> Layout:
    named = _from_names(entry)
    if named is not None and named.n_points == len(points):
        return named
    if chosen is not None and chosen.n_points == len(points):
        return chosen
    return layouts_of_length(len(points))[0]


def _layout_of(entry: Entry, lists: Mapping[str, _Points], chosen: Layout | None) -> str:
    return _body_of(entry, lists["body"].array, chosen).name if "body" in lists else ""


def _person(entry: Entry, lists: Mapping[str, _Points], chosen: Layout | None) -> PersonKeypoints:
    keypoints = np.zeros((N_KEYPOINTS, 3), np.float32)
    warnings = [warning for points in lists.values() for warning in points.warnings]
    if "body" in lists:
        keypoints = _body_of(entry, lists["body"].array, chosen).to_canonical(lists["body"].array)
    for part, rows in {**HAND_KEYPOINTS, "face": WHOLE_FACE_KEYPOINTS}.items():
        if part in lists:
            points = lists[part].array
            layout = next(layouts()[name] for name in _PART_LAYOUTS[part] if layouts()[name].n_points == len(points))
            keypoints[rows] = layout.to_canonical(points)[rows]
    gender = _gender_label(entry.gender, warnings)
    points_3d = _points_3d(entry.gender, warnings)
    return PersonKeypoints(entry.index, keypoints, gender, tuple(warnings), points_3d=points_3d)


def _points_3d(entry: Mapping[str, Any], warnings: list[str]) -> NDArray[np.float32] | None:
    """The 3D points of BODY_25 in a person of OpenPose's files; None without usable ones."""
    values = entry.get("pose_keypoints_3d")
    if not isinstance(values, list) or not values:
        return None
    usable = len(values) == 4 * _N_BODY_25 and all(isinstance(v, (int, float)) for v in values)
    points = np.array(values if usable else [np.nan], np.float32)
    if not np.isfinite(points).all():
        warnings.append(f"pose_keypoints_3d is ignored; expected {4 * _N_BODY_25} finite numbers")
        return None
    points = points.reshape(_N_BODY_25, 4)
    if not (points[:, 3] > 0).any():
        return None
    extent = float(np.ptp(points[points[:, 3] > 0, :3], axis=0).max())
    if not _EXTENT_3D[0] < extent < _EXTENT_3D[1]:
        warnings.append(f"pose_keypoints_3d is ignored: it extends over {extent:g}; expected the metres of a person")
        return None
    return points


def _in_pixels(
    path: Path,
    people: Sequence[PersonKeypoints],
    entries: Sequence[Entry],
    size: Size | None,
    image_size: Size | None,
) -> list[PersonKeypoints]:
    """Multiply fractions of the image by its size.

    Raises:
        InputError: the size is unknown.
    """
    seen = [person.keypoints[person.keypoints[:, 2] > 0, :2] for person in people]
    points = np.concatenate([np.zeros((0, 2), np.float32), *seen])
    marked = any(entry.fractions for entry in entries)
    if len(points) < 2 or not (marked or np.abs(points).max() <= NORMALISED_LIMIT):
        return list(people)
    factor = size or (image_size if marked else None)
    if factor is None:
        found = f"coordinates run from {points.min():g} to {points.max():g}"
        advice = "expected the size of the photo too" if marked else "run OpenPose with --keypoint_scale 0"
        raise InputError(path, f"{found}; expected pixels of the image: {advice}", "people")
    scale = np.array([*factor, 1.0], np.float32)
    return [replace(person, keypoints=person.keypoints * scale) for person in people]


def _gender_label(entry: Mapping[str, Any], warnings: list[str]) -> str | None:
    for key in ("gender_gt", "gender_pd"):
        value = entry.get(key)
        if value is None or value == "":
            continue
        if isinstance(value, str) and value.lower() in GENDERS:
            return value.lower()
        warnings.append(f"{key} is {str(value)[:40]!r} and is ignored; expected one of {', '.join(GENDERS)}")
    return None
