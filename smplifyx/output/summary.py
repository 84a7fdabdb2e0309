"""The table of a run: one row a person, completed by every later run."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from smplifyx.errors import InputError, reason
from smplifyx.files import write_text
from smplifyx.result import FitResult

try:
    import fcntl
except ImportError:  # Windows: runs that share one output folder are not kept apart there
    fcntl = None  # type: ignore[assignment]

#: The fixed columns, in order. Columns that a run adds come after them.
COLUMNS = (
    "stem", "person", "status", "gender", "loss", "reprojection_error_px", "n_keypoints", "seconds", "flags",
)  # fmt: skip
#: Fixed columns that tables of earlier versions lack; they follow the others.
LATER_COLUMNS = (
    "gender_source", "gender_probability", "gender_reason", "expected_error_mm", "penetration_mm", "colliding_pairs",
)  # fmt: skip
_FLAG_SEPARATOR = ";"
#: Column of runs that fit hands: which hand of the person.
_SIDE = "side"


@dataclass(frozen=True)
class SummaryRow:
    """One person. Unknown numbers, as for a person that failed early, are NaN (counts -1) and blank in the file."""

    stem: str
    person: int
    status: str
    gender: str = ""
    loss: float = math.nan
    reprojection_error_px: float = math.nan
    n_keypoints: int = 0
    seconds: float = math.nan
    flags: tuple[str, ...] = ()
    gender_source: str = ""
    gender_probability: float = math.nan
    gender_reason: str = ""
    expected_error_mm: float = math.nan
    penetration_mm: float = math.nan
    colliding_pairs: int = -1
    extra: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of_result(cls, result: FitResult, stem: str, person: int) -> SummaryRow:
        """The row of a fitted person."""
        return cls(
            stem,
            person,
            result.status,
            result.gender,
            float(result.loss),
            float(result.reprojection_error_px),
            int(result.n_keypoints),
            float(result.seconds),
            tuple(result.flags),
            result.gender_source,
            float(result.gender_probability),
            result.gender_reason,
            float(result.expected_error_mm),
            float(result.penetration_mm),
            int(result.colliding_pairs),
            {_SIDE: result.side} if result.side else {},
        )

    @property
    def key(self) -> tuple[str, int, str]:
        """Stem, person, and the side of a hand that was fitted alone; no two rows of a table share it."""
        return self.stem, self.person, self.extra.get(_SIDE, "")


def update_summary(path: str | Path, rows: Iterable[SummaryRow]) -> list[SummaryRow]:
    """Merge ``rows`` into the table at ``path`` and rewrite it, all or nothing, sorted by stem and person.

    A new row replaces an earlier one of the same stem, person and hand; other earlier rows and extra columns stay.
    Runs on one machine that share the table wait for each other.

    Returns:
        All rows now in the table.

    Raises:
        InputError: the table that is there cannot be read.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path.parent):
        merged = {row.key: row for row in (read_summary(path) if path.exists() else [])}
        merged |= {row.key: row for row in rows}
        ordered = [merged[key] for key in sorted(merged)]
        write_text(path, _format(ordered))
    return ordered


def read_summary(path: str | Path) -> list[SummaryRow]:
    """Read the table; raises InputError for a file that is not such a table."""
    path = Path(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, restkey="", strict=True)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise InputError(path, f"columns are missing: {', '.join(missing)}", "line 1")
            return [_parse(path, reader.line_num, entries) for entries in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(path, f"cannot be read as a table: {reason(error)}") from error


def _parse(path: Path, line: int, entries: dict[str, str]) -> SummaryRow:
    if "" in entries or None in entries.values():
        raise InputError(path, "has more or fewer entries than there are columns", f"line {line}")

    def number(name: str) -> float:
        try:
            return float(entries[name]) if entries.get(name) else math.nan
        except ValueError:
            raise InputError(path, f"expected a number, found {entries[name]!r}", f"line {line}, {name}") from None

    def count(name: str) -> int:
        try:
            return int(entries[name])
        except ValueError:
            raise InputError(path, f"expected a count, found {entries[name]!r}", f"line {line}, {name}") from None

    return SummaryRow(
        entries["stem"],
        count("person"),
        entries["status"],
        entries["gender"],
        number("loss"),
        number("reprojection_error_px"),
        count("n_keypoints"),
        number("seconds"),
        tuple(flag for flag in entries["flags"].split(_FLAG_SEPARATOR) if flag),
        entries.get("gender_source", ""),
        number("gender_probability"),
        entries.get("gender_reason", ""),
        number("expected_error_mm"),
        number("penetration_mm"),
        count("colliding_pairs") if entries.get("colliding_pairs") else -1,
        {name: value for name, value in entries.items() if name not in (*COLUMNS, *LATER_COLUMNS) and value},
    )


def _format(rows: list[SummaryRow]) -> str:
    extra_names = sorted({name for row in rows for name in row.extra})
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*COLUMNS, *LATER_COLUMNS, *extra_names])
    for row in rows:
        writer.writerow(
            [
                row.stem,
                row.person,
                row.status,
                row.gender,
                _number_text(row.loss, ".7g"),
                _number_text(row.reprojection_error_px, ".2f"),
                row.n_keypoints,
                _number_text(row.seconds, ".2f"),
                _FLAG_SEPARATOR.join(row.flags),
                row.gender_source,
                _number_text(row.gender_probability, ".4f"),
                row.gender_reason,
                _number_text(row.expected_error_mm, ".0f"),
                _number_text(row.penetration_mm, ".1f"),
                "" if row.colliding_pairs < 0 else row.colliding_pairs,
                *(row.extra.get(name, "") for name in extra_names),
            ]
        )
    return stream.getvalue()


def _number_text(value: float, style: str) -> str:
    return "" if math.isnan(value) else format(value, style)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder while the table is read and rewritten; it is itself the lock, so no file stays behind."""
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
