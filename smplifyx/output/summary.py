"""The table of a run, ``summary.csv``: rows are appended, and the last row of a person counts.

The columns are ``stem`` and ``person`` and those fields of a result that :data:`smplifyx.result.RESULT_FIELDS` gives
a column format.
"""

from __future__ import annotations

import csv
import io
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from smplifyx.errors import InputError, reason
from smplifyx.files import write_all, write_text
from smplifyx.locks import locked_folder
from smplifyx.output.layout import OutputLayout
from smplifyx.result import RESULT_FIELDS, FitResult, load_result
from smplifyx.result_fields import format_figure, parse_figure
from smplifyx.result_figures import FitFigures
from smplifyx.words import count

_FIGURES = {one.name: one for one in RESULT_FIELDS if one.csv is not None}
_PERSON_COLUMNS = ("stem", "person")
#: The columns of a new table, in order.
COLUMNS: tuple[str, ...] = (*_PERSON_COLUMNS, *_FIGURES)

#: Status of a row that takes a person out of the table: the photo has no such person any more.
OUTDATED = "outdated"

Key = tuple[str, int, str]


@dataclass
class SummaryRow(FitFigures):
    """One row: a person and the figures of the fit.

    Attributes:
        stem: name of the image without its ending.
        person: number of the person in the keypoint file.
        extra: values of columns that are not ours, by name.
    """

    stem: str
    person: int
    extra: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of_result(cls, result: FitResult, stem: str, person: int) -> SummaryRow:
        """Return the row of a fitted person."""
        return cls(stem, person, **{name: getattr(result, name) for name in _FIGURES})

    @property
    def key(self) -> Key:
        """Stem, person, and the side of a hand that was fitted alone: one row of these counts."""
        return self.stem, self.person, self.side


def append_summary(path: str | Path, rows: Iterable[SummaryRow]) -> None:
    """Append rows to the table, in one write; a new table gets a header.

    Runs on one machine that share the table wait for each other. The time does not depend on the length of the
    table. A last line that a killed run left incomplete is removed. A table without one of our columns is rewritten.

    Raises:
        InputError: the file is not such a table.
    """
    path = Path(path)
    rows = list(rows)
    with locked_folder(path.parent):
        _add(path, rows)


def read_summary(path: str | Path) -> list[SummaryRow]:
    """Read the table: one row a person, the last one written, sorted by stem and person.

    An incomplete last line, as a killed run leaves it, is ignored.

    Raises:
        InputError: the file is not such a table.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(path, f"cannot be read as a table: {reason(error)}") from error
    return _rows_of(path, data)


def compact_summary(path: str | Path) -> None:
    """Rewrite the table as :func:`read_summary` returns it: sorted, one row a person.

    Raises:
        InputError: the file is not such a table.
    """
    path = Path(path)
    with locked_folder(path.parent):
        if path.exists():
            _rewrite(path, read_summary(path))


def complete_summary(layout: OutputLayout) -> tuple[list[SummaryRow], str | None]:
    """Read the table of an output folder and add rows of results that it lacks, also when all of it is lost.

    A damaged table is kept beside the new one under the ending ``.damaged``. Result files that cannot be read get no
    row.

    Returns:
        The rows, and a note on restored ones; None if there are none.

    Raises:
        OSError: the table cannot be read or written; it is left as it is.
    """
    rows, damage, lacking = _state(layout)
    if damage is None and not lacking:
        return rows, None
    path = layout.summary_path
    with locked_folder(path.parent):
        rows, damage, lacking = _state(layout)  # another run may have mended it meanwhile
        if damage is not None:
            os.replace(path, _unused(path.with_name(f"{path.name}.damaged")))
        if lacking:
            _add(path, lacking)
    if damage is not None:
        return _latest(lacking), f"{damage}; {count(len(lacking), 'row is', 'rows are')} restored from results"
    restored = count(len(lacking), "missing row is", "missing rows are")
    note = f"{path}: {restored} restored from results" if lacking else None
    return _latest([*rows, *lacking]), note


def _state(layout: OutputLayout) -> tuple[list[SummaryRow], str | None, list[SummaryRow]]:
    """Rows of the table of an output folder, its damage, and the rows that it lacks; raises OSError."""
    path = layout.summary_path
    rows: list[SummaryRow] = []
    damage = None
    with suppress(FileNotFoundError):
        data = path.read_bytes()
        try:
            rows = _rows_of(path, data)
        except InputError as error:
            damage = str(error)
    return rows, damage, list(_rows_of_results(layout, {row.key for row in rows}))


def _unused(path: Path) -> Path:
    """The path, with a number behind it if there is such a file."""
    names = (path.with_name(f"{path.name}{number or ''}") for number in itertools.count())
    return next(name for name in names if not name.exists())


def _rows_of_results(layout: OutputLayout, known: set[Key]) -> Iterator[SummaryRow]:
    """Rows of the result files of people who are not known."""
    for stem, person, side, path in layout.results():
        if (stem, person, side) in known:
            continue
        try:
            yield SummaryRow.of_result(load_result(path), stem, person)
        except InputError:
            continue


def _rows_of(path: Path, data: bytes) -> list[SummaryRow]:
    """The rows of a table; raises InputError."""
    try:
        text = data.decode("utf-8-sig", "surrogateescape")
        reader = csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1], newline=""), restkey="", strict=True)
        missing = [name for name in (*_PERSON_COLUMNS, "status") if name not in (reader.fieldnames or ())]
        if missing:
            raise InputError(path, f"columns are missing: {', '.join(missing)}", "line 1")
        rows = [_parse(path, reader.line_num, entries) for entries in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(path, f"cannot be read as a table: {reason(error)}") from error
    return _latest(rows)


def _add(path: Path, rows: Sequence[SummaryRow]) -> None:
    """Add rows to a table that is locked."""
    _remove_incomplete_line(path)
    columns = _read_header(path)
    if columns is None:
        write_text(path, _format(COLUMNS, rows, with_header=True))
    elif set(COLUMNS) <= set(columns):
        _append(path, _format(columns, rows))
    else:
        _rewrite(path, [*read_summary(path), *rows])


def _latest(rows: Iterable[SummaryRow]) -> list[SummaryRow]:
    latest = {row.key: row for row in rows}
    return [latest[key] for key in sorted(latest) if latest[key].status != OUTDATED]


def _parse(path: Path, line: int, entries: dict[str, str]) -> SummaryRow:
    if "" in entries or None in entries.values():
        raise InputError(path, "has more or fewer entries than there are columns", f"line {line}")
    figures: dict[str, Any] = {}
    for name in (name for name in _FIGURES if name in entries):
        try:
            figures[name] = parse_figure(_FIGURES[name], entries[name])
        except ValueError:
            raise InputError(path, f"expected a number, found {entries[name]!r}", f"line {line}, {name}") from None
    if not entries["person"].isdecimal():
        raise InputError(path, f"expected a number, found {entries['person']!r}", f"line {line}, person")
    extra = {name: value for name, value in entries.items() if name not in COLUMNS and value}
    return SummaryRow(_armed(entries["stem"]), int(entries["person"]), extra, **figures)


#: A spreadsheet takes a cell that begins so for a formula, and runs it.
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")


def _disarmed(text: str) -> str:
    """A text, with an apostrophe before it where a spreadsheet would take it for a formula."""
    return f"'{text}" if text.lstrip("'").startswith(_FORMULA_SIGNS) else text


def _armed(text: str) -> str:
    """The inverse of :func:`_disarmed`."""
    return text[1:] if text.startswith("'") and text.lstrip("'").startswith(_FORMULA_SIGNS) else text


def _format(columns: Sequence[str], rows: Iterable[SummaryRow], with_header: bool = False) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    quoting = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL)
    if with_header:
        writer.writerow(columns)
    for row in rows:
        values = {"stem": _disarmed(row.stem), "person": str(row.person), **row.extra}
        values |= {name: format_figure(one, getattr(row, name)) for name, one in _FIGURES.items()}
        line = [values.get(name, "") for name in columns]
        # A carriage return is no end of our lines, so that the plain writer would not quote it.
        (quoting if any("\r" in value for value in line) else writer).writerow(line)
    return stream.getvalue()


def _rewrite(path: Path, rows: Iterable[SummaryRow]) -> None:
    rows = _latest(rows)
    columns = (*COLUMNS, *sorted({name for row in rows for name in row.extra}))
    write_text(path, _format(columns, rows, with_header=True))


def _append(path: Path, text: str) -> None:
    with path.open("ab", buffering=0) as stream:
        write_all(stream, text.encode("utf-8", "surrogateescape"))


def _read_header(path: Path) -> list[str] | None:
    """Columns of the table; None if there is no table yet."""
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as stream:
            columns = _first_row(stream)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(path, f"cannot be read as a table: {reason(error)}") from error
    if columns is not None and not set(_PERSON_COLUMNS) <= set(columns):
        raise InputError(path, f"expected columns {', '.join(_PERSON_COLUMNS)}, found {', '.join(columns)}", "line 1")
    return columns


def _first_row(stream: TextIO) -> list[str] | None:
    return next(csv.reader(stream, strict=True), None)


def _remove_incomplete_line(path: Path) -> None:
    """Cut off an incomplete last line."""
    if not path.exists():
        return
    with path.open("r+b") as stream:
        end = stream.seek(0, os.SEEK_END)
        position = end
        while position > 0:
            start = max(0, position - 4096)
            stream.seek(start)
            newline = stream.read(position - start).rfind(b"\n")
            if newline >= 0:
                position = start + newline + 1
                break
            position = start
        if position < end:
            stream.truncate(position)
