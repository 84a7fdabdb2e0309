"""Text and JSON of keypoint files, and their people as written, before the order of the points is known."""

from __future__ import annotations

import codecs
import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smplifyx.errors import InputError

#: First bytes of a file that Git LFS has not fetched.
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def read_text(path: Path) -> str:
    """Text of a file in UTF-8, or in UTF-16 or UTF-32 with a byte order mark.

    Raises:
        InputError: the file cannot be read, or is no text.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(path, missing(path, "a keypoint file")) from error
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror}); expected a keypoint file") from error
    if data.startswith(LFS_POINTER):
        raise InputError(path, "is a pointer of Git LFS; expected the file itself: run git lfs pull")
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS.items() if data.startswith(mark)), None)
    if encoding is None:
        # A JSON file begins with ASCII: a zero beside it means UTF-16 without a mark.
        zeros = data[:2].find(b"\0")
        encoding = {0: "utf-16-be", 1: "utf-16-le"}.get(zeros, "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(path, "is no text file; expected keypoints as JSON or text") from error


def read_json(path: Path) -> Any:
    """Content of a JSON file.

    Raises:
        InputError: the file cannot be read, or is no complete JSON.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise InputError(path, f"is not complete JSON ({error.msg}, {where}); expected a keypoint file") from error
    except (RecursionError, ValueError) as error:
        raise InputError(path, "cannot be parsed; expected the JSON that a keypoint detector writes") from error


def missing(path: Path, expected: str) -> str:
    """Problem of a path that does not exist: nothing there, or a link to nothing."""
    if path.is_symlink():
        return f"is a link to {path.readlink()}, which does not exist; expected {expected}"
    return f"does not exist; expected {expected}"


def to_points(path: Path, field: str, values: Any) -> NDArray[np.float32]:
    """Numbers as an array: ``x, y, c, ...`` flat `[N]`, or one list a point `[N, 2 or more]`.

    null, and numbers beyond single precision, become NaN.

    Raises:
        InputError: the value is no list of numbers, or its points differ in length.
    """
    if isinstance(values, dict) and isinstance(values.get("__ndarray__"), list):  # json_tricks
        values = values["__ndarray__"]
    if not isinstance(values, list):
        raise InputError(path, f"is {kind(values)}; expected a list of numbers", field)
    if not values or not any(isinstance(value, (list, tuple)) for value in values):
        return _floats(path, field, values)
    while len(values) == 1 and values[0] and all(isinstance(value, list) for value in values[0]):
        values = values[0]  # one level more, as around one person
    lengths = {len(value) if isinstance(value, list) else 0 for value in values if value is not None}
    if len(lengths) != 1 or not 2 <= (length := lengths.pop()) <= 5:
        raise InputError(path, "holds points of different lengths; expected x, y and confidence of each", field)
    flat = [number for value in values for number in ([None] * length if value is None else value)]
    return _floats(path, field, flat).reshape(-1, length)


def _floats(path: Path, field: str, values: list[Any]) -> NDArray[np.float32]:
    for position, value in enumerate(values):
        if isinstance(value, bool) or not isinstance(value, (int, float, type(None))):
            raise InputError(path, f"is {kind(value)}; expected a number", f"{field}[{position}]")
    limit = float(np.finfo(np.float32).max)
    return np.array([np.nan if v is None or not abs(v) <= limit else v for v in values], np.float32)


def kind(value: object) -> str:
    """A JSON value in words."""
    kinds: dict[type, str] = {
        dict: "an object",
        list: "a list",
        str: "text",
        bool: "a truth value",
        type(None): "null",
    }
    return kinds.get(type(value), "a number")


Size = tuple[int, int]


@dataclass(frozen=True)
class Entry:
    """One person as written in a file.

    Attributes:
        index: position among the people of the photo.
        where: place in the file, for messages.
        lists: the lists of points by part: ``body`` (or the whole person), ``left``, ``right``, ``face``.
        image: the photo that the file names, a frame number or an id; None where the file is about one photo.
        size: (width, height) of the photo that the coordinates count in, where the file says so.
        fractions: coordinates are fractions of width and height.
        names: names of the body's points, where the file gives them.
        labelled: confidences are the labels 0 (absent), 1 (hidden), 2 (visible).
        gender: the object with gender labels.
        keys: name of each list in the file, for messages.
        failure: why the entry cannot be read.
    """

    index: int
    where: str
    lists: Mapping[str, Any] = field(default_factory=dict)
    image: str | int | None = None
    size: Size | None = None
    fractions: bool = False
    names: tuple[str, ...] | None = None
    labelled: bool = False
    gender: Mapping[str, Any] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    failure: str | None = None


@dataclass(frozen=True)
class Document:
    """The people of a file, in its order.

    Attributes:
        path: the file.
        format: name of the format, for messages.
        entries: the people.
    """

    path: Path
    format: str
    entries: tuple[Entry, ...]

    def __post_init__(self) -> None:
        odd = next((one for one in self.entries if not isinstance(one.image, (str, int, type(None)))), None)
        if odd is not None:
            raise InputError(self.path, "names its photo by neither text nor a whole number", odd.where)

    @functools.cached_property
    def by_image(self) -> Mapping[str | int | None, tuple[Entry, ...]]:
        """The people of each photo that the file names; None is the photo of entries that name none."""
        groups: dict[str | int | None, list[Entry]] = {}
        for entry in self.entries:
            groups.setdefault(entry.image, []).append(entry)
        return {
            image: tuple(replace(entry, index=index) for index, entry in enumerate(group))
            if image is not None
            else tuple(group)
            for image, group in groups.items()
        }

    @functools.cached_property
    def _key_of_stem(self) -> Mapping[str, str]:
        """The photos by their stems: the file may hold paths, or other endings."""
        keys = [key for key in self.by_image if isinstance(key, str)]
        return {Path(key.replace("\\", "/")).stem: key for key in keys}

    def key_of(self, image: Path) -> str | int | None:
        """The name, stem or number of a photo in the file; None where the file does not name it."""
        digits = re.search(r"[0-9]*$", image.stem)
        number = digits[0] if digits else ""
        for key in (image.name, image.stem, *((int(number), number) if number else ())):
            if key in self.by_image:
                return key
        return self._key_of_stem.get(image.stem)

    def of_image(self, image: Path | None) -> tuple[Entry, ...]:
        """The people of a photo, numbered from 0; none where a file about several photos does not name it.

        Raises:
            InputError: the file is about several photos, and none is asked for.
        """
        named = [key for key in self.by_image if key is not None]
        if not named:
            return self.entries
        if image is None and len(named) == 1:
            return self.by_image[named[0]]
        if image is None:
            known = ", ".join(map(str, named[:3]))
            problem = f"is about {len(named)} photos or frames ({known}, ...); expected the photo that is meant"
            raise InputError(self.path, problem)
        key = self.key_of(image)
        if key is None and len(named) == 1 and self.path.stem.startswith(image.stem):
            key = named[0]  # a file of the photo's own, whatever name it was found under
        return () if key is None else self.by_image[key]
