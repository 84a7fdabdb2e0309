"""Labels that the user gives in a table: image, person, label."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from smplifyx.errors import InputError, reason
from smplifyx.gender.network import CLASSES
from smplifyx.skeleton import GENDERS

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


#: Threshold of Pavlakos et al. 2019, section 3.6.
PAPER_THRESHOLD = 0.9

Source = Literal["given", "classified", "fallback"]


@dataclass(frozen=True)
class GenderDecision:
    """Which body model a person is fitted with, and why.

    Attributes:
        gender: ``male``, ``female`` or ``neutral``.
        source: ``given`` by the user; ``classified``; or ``fallback``, where nobody could say.
        probability: of the likelier of the two, from the classifier; NaN where it was not asked.
        reason: why it is neutral, where nobody asked for that; else empty.
    """

    gender: str
    source: Source
    probability: float = math.nan
    reason: str = ""


@dataclass(frozen=True)
class DecisionRule:
    """When a classifier's answer counts.

    Attributes:
        threshold: least probability for a verdict; below it the person is neutral.
        foreign_limit: largest foreignness for a verdict; None without such a check.
        foreign_probability_limit: likewise, of the probability of being foreign.
    """

    threshold: float = PAPER_THRESHOLD
    foreign_limit: float | None = None
    foreign_probability_limit: float | None = None

    def decide(
        self, probabilities: tuple[float, float], foreignness: float = 0.0, foreign_probability: float = 0.0
    ) -> GenderDecision:
        """The decision for one person.

        Args:
            probabilities: of male and female.
            foreignness: distance of the person's picture to the training pictures.
            foreign_probability: of the picture being foreign, in the classifier's own opinion.
        """
        likelier = int(probabilities[1] > probabilities[0])
        probability = probabilities[likelier]
        if not math.isfinite(probability + foreignness + foreign_probability):
            return fallback("the classifier gave no number")
        if self.foreign_limit is not None and foreignness > self.foreign_limit:
            reason = f"unlike the classifier's training pictures: {foreignness:.2f}, limit {self.foreign_limit:.2f}"
            return GenderDecision("neutral", "fallback", probability, reason)
        limit = self.foreign_probability_limit
        if limit is not None and foreign_probability > limit:
            reason = f"foreign to the classifier: probability {foreign_probability:.4f}, limit {limit:.4f}"
            return GenderDecision("neutral", "fallback", probability, reason)
        if probability < self.threshold:
            reason = f"not sure enough: {probability:.3f}, threshold {self.threshold:.3f}"
            return GenderDecision("neutral", "classified", probability, reason)
        return GenderDecision(CLASSES[likelier], "classified", probability)


def given(gender: str) -> GenderDecision:
    """The decision for a person whose gender the user names."""
    return GenderDecision(gender, "given")


def fallback(reason: str) -> GenderDecision:
    """The decision for a person about whom nothing can be said."""
    return GenderDecision("neutral", "fallback", reason=reason)
