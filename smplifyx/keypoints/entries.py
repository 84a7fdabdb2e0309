"""People of keypoint files as they are written, before the order of their points is known."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from smplifyx.errors import InputError

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
