"""Labels of the user, and the rules that turn the classifiers' outputs into a decision."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from smplifyx.errors import InputError, reason
from smplifyx.skeleton import GENDERS

#: The outputs of the classifiers, in order.
CLASSES: tuple[str, ...] = ("male", "female")
_ALL_OTHERS = -1
#: Threshold of Pavlakos et al. 2019, section 3.6.
PAPER_THRESHOLD = 0.9
Part = Literal["face", "body"]
Source = Literal["given", "face", "body", "fallback"]


@dataclass(frozen=True)
class GenderLabels:
    """Labels by photo and person.

    Attributes:
        by_person: (photo's name without its suffix, number of the person in the keypoint file) -> gender; the
            number -1 stands for all other people in the photo.
    """

    by_person: dict[tuple[str, int], str]

    def of(self, stem: str, person: int) -> str | None:
        """Return the label of a person, or None."""
        return self.by_person.get((stem, person), self.by_person.get((stem, _ALL_OTHERS)))


def read_labels(path: Path) -> GenderLabels:
    """Read a CSV table with the columns ``image``, ``person`` and ``label``; others are ignored.

    ``image`` is a file name or path; folder and suffix are ignored. ``person`` counts from 0 and may be blank
    for all people in the photo; ``label`` is male, female or neutral.

    Raises:
        InputError: the file cannot be read, or an entry is wrong or contradicts another.
    """
    labels: dict[tuple[str, int], str] = {}
    for where, row in read_table(path, ("image", "person", "label")):
        person = person_number(path, where, row["person"]) if row["person"] else _ALL_OTHERS
        label = row["label"].lower()
        if label not in GENDERS:
            raise InputError(path, f"is {label!r}; expected one of {', '.join(GENDERS)}", f"{where}, label")
        key = (Path(row["image"]).stem, person)
        if labels.setdefault(key, label) != label:
            raise InputError(path, f"contradicts an earlier line about {row['image']}", where)
    return GenderLabels(labels)


def read_table(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the rows of a CSV table, each with its line for messages; entries are stripped.

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
    """Parse the number of a person in a keypoint file; raise InputError unless it is a whole number from 0."""
    if not text.isdecimal():
        raise InputError(path, f"is {text!r}; expected a whole number from 0", f"{where}, person")
    return int(text)


@dataclass(frozen=True)
class GenderDecision:
    """Gender of the body model of a person, and the reason.

    Attributes:
        gender: ``male``, ``female`` or ``neutral``.
        source: ``given`` by the user; ``face`` or ``body``, the classifier that decided; or ``fallback``, if neither
            was sure or they contradict each other.
        probability: of the more probable class, by the classifier that decided, else by the first one that saw the
            person; NaN if none did.
        reason: of a fallback; else empty.
    """

    gender: str
    source: Source
    probability: float = math.nan
    reason: str = ""

    @property
    def reason_without_figures(self) -> str:
        """The reason, for counts."""
        return "; ".join(dict.fromkeys(part.split(":")[0] for part in self.reason.split("; ")))


@dataclass(frozen=True)
class DecisionRule:
    """Conditions of a verdict.

    Attributes:
        threshold: lowest probability for a verdict; below it the person is neutral.
        distance_limit: largest feature distance for a verdict; None: not checked.
        out_of_distribution_limit: largest probability of being out of distribution; None: not checked.
    """

    threshold: float = PAPER_THRESHOLD
    distance_limit: float | None = None
    out_of_distribution_limit: float | None = None

    def decide(
        self,
        probabilities: tuple[float, float],
        distance: float = 0.0,
        out_of_distribution: float = 0.0,
        part: Part = "body",
    ) -> GenderDecision:
        """Decide about one person.

        Args:
            probabilities: of male and female.
            distance: of the features from those of the training pictures.
            out_of_distribution: probability of being out of distribution.
            part: the part that the classifier saw.
        """
        more_probable = int(probabilities[1] > probabilities[0])
        probability = probabilities[more_probable]
        if not math.isfinite(probability + distance + out_of_distribution):
            return fallback(f"{part}: the classifier's output is not finite")
        if self.distance_limit is not None and distance > self.distance_limit:
            reason = f"{part} out of distribution: distance {distance:.2f}, limit {self.distance_limit:.2f}"
            return GenderDecision("neutral", "fallback", probability, reason)
        limit = self.out_of_distribution_limit
        if limit is not None and out_of_distribution > limit:
            reason = f"{part} out of distribution: probability {out_of_distribution:.4f}, limit {limit:.4f}"
            return GenderDecision("neutral", "fallback", probability, reason)
        if probability < self.threshold:
            reason = f"{part} uncertain: probability {probability:.3f}, threshold {self.threshold:.3f}"
            return GenderDecision("neutral", "fallback", probability, reason)
        return GenderDecision(CLASSES[more_probable], part, probability)


def given(gender: str) -> GenderDecision:
    """Return the decision for a person with a label of the user."""
    return GenderDecision(gender, "given")


def fallback(reason: str) -> GenderDecision:
    """Return the decision for a person who cannot be classified."""
    return GenderDecision("neutral", "fallback", reason=reason)


def joint(decisions: Sequence[GenderDecision]) -> GenderDecision:
    """Return the joint decision of several classifiers about one person.

    The first verdict counts, unless another classifier contradicts it. Without a verdict, or with contradictory ones,
    the person is neutral, with all reasons.

    Args:
        decisions: at least one, in the order in which they count.
    """
    verdicts = [one for one in decisions if one.source != "fallback"]
    if len({one.gender for one in verdicts}) == 1:
        return verdicts[0]
    if verdicts:
        reasons = [f"contradictory: {' and '.join(f'{one.gender} by {one.source}' for one in verdicts)}"]
    else:
        reasons = [*dict.fromkeys(one.reason for one in decisions)]
    seen = [one for one in decisions if math.isfinite(one.probability)]
    return GenderDecision("neutral", "fallback", (seen or decisions)[0].probability, "; ".join(reasons))
