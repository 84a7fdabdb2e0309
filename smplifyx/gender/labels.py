"""Labels that the user gives in a table: image, person, label."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from smplifyx.body.model_data import GENDERS
from smplifyx.errors import InputError, reason

_EVERYBODY = -1


@dataclass(frozen=True)
class GenderLabels:
    """Labels by photo and person.

    Attributes:
        by_person: (photo's name without its ending, number of the person in the keypoint file) -> gender; the number
            -1 stands for everybody else in the photo.
    """

    by_person: dict[tuple[str, int], str]

    def of(self, stem: str, person: int) -> str | None:
        """The label of a person; None without one."""
        return self.by_person.get((stem, person), self.by_person.get((stem, _EVERYBODY)))


def read_labels(path: Path) -> GenderLabels:
    """Read a CSV table with the columns ``image``, ``person`` and ``label``; others are ignored.

    ``image`` is a file name or path, its folder and ending do not matter; ``person`` counts from 0 and may be blank
    for everybody in the photo; ``label`` is male, female or neutral.

    Raises:
        InputError: the file cannot be read, or an entry is wrong or contradicts another.
    """
    labels: dict[tuple[str, int], str] = {}
    for where, row in read_table(path, ("image", "person", "label")):
        person = person_number(path, where, row["person"]) if row["person"] else _EVERYBODY
        label = row["label"].lower()
        if label not in GENDERS:
            raise InputError(path, f"is {label!r}; expected one of {', '.join(GENDERS)}", f"{where}, label")
        key = (Path(row["image"]).stem, person)
        if labels.setdefault(key, label) != label:
            raise InputError(path, f"contradicts an earlier line about {row['image']}", where)
    return GenderLabels(labels)


def read_table(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]]]:
    """The lines of a CSV table, each with a text that says where it stands; entries are stripped of blanks.

    Raises:
        InputError: the file cannot be read, a column is missing, or a line has fewer entries.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, strict=True)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                problem = f"columns are missing: {', '.join(missing)}; expected {', '.join(columns)}"
                raise InputError(path, problem, "line 1")
            for row in reader:
                where = f"line {reader.line_num}"
                if None in row.values():
                    raise InputError(path, "has fewer entries than there are columns", where)
                yield where, {name: value.strip() for name, value in row.items() if isinstance(value, str)}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(path, f"cannot be read as a table (CSV in UTF-8): {reason(error)}") from error


def person_number(path: Path, where: str, text: str) -> int:
    """The number of a person in a keypoint file; raises InputError unless it is a whole number from 0."""
    if not text.isdecimal():
        raise InputError(path, f"is {text!r}; expected a whole number from 0", f"{where}, person")
    return int(text)
