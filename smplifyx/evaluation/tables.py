"""Tables of evaluations as lists of rows: as text, as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from smplifyx.evaluation.statistics import MeanInterval

Cell = str | float
#: A line of a table by column. Columns ``x_low`` and ``x_high`` hold the interval of ``x``.
Row = dict[str, Cell]

_STATISTICS: dict[str, Callable[[NDArray[np.float64]], float]] = {
    "mean": np.mean,
    "median": np.median,
    "mean |.|": lambda values: np.abs(values).mean(),
    "worst": lambda values: values[np.abs(values).argmax()],
}


def format_table(rows: Sequence[Mapping[str, Cell]], decimals: int = 1) -> str:
    """Columns under the keys of the first row: numbers right-aligned, words left; an empty string for no rows."""
    if not rows:
        return ""
    columns = list(rows[0])
    cells = [columns] + [[_text(row.get(column, ""), decimals) for column in columns] for row in rows]
    widths = [max(len(line[k]) for line in cells) for k in range(len(columns))]
    holds_words = [any(_is_words(row.get(column, "")) for row in rows) for column in columns]
    lines = [
        "  ".join(
            text.ljust(width) if is_left else text.rjust(width)
            for text, width, is_left in zip(line, widths, holds_words, strict=True)
        )
        for line in cells
    ]
    return "\n".join(line.rstrip() for line in lines)


def _is_words(cell: Cell) -> bool:
    return isinstance(cell, str) and any(character.isalpha() for character in cell)


def summarise(rows: Sequence[Mapping[str, Cell]]) -> list[Row]:
    """Mean, median, mean magnitude and worst of every numeric column over the rows; NaN entries are left out.

    Worst means largest by magnitude, so that signed errors count on both sides.
    """
    columns = [column for column in (rows[0] if rows else ()) if not isinstance(rows[0][column], str)]
    summary: list[Row] = []
    for name, statistic in _STATISTICS.items():
        line: Row = {"": name}
        for column in columns:
            values = np.array([row[column] for row in rows], dtype=np.float64)
            values = values[np.isfinite(values)]
            line[column] = float(statistic(values)) if len(values) else float("nan")
        summary.append(line)
    return summary


def markdown(table: Sequence[Mapping[str, Cell]]) -> str:
    """A Markdown table; ``x``, ``x_low`` and ``x_high`` become one column ``mean [low, high]``."""
    if not table:
        return ""
    hidden = {f"{name}_{end}" for name in table[0] for end in ("low", "high")}
    columns = [name for name in table[0] if name not in hidden]
    numeric = [not any(isinstance(line[name], str) and line[name] for line in table) for name in columns]
    lines = [columns, ["---:" if right else "---" for right in numeric]]
    lines += [[_shown(line, name) for name in columns] for line in table]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def csv_text(table: Sequence[Mapping[str, Cell]]) -> str:
    """The table as CSV with all columns; an empty string for no rows."""
    if not table:
        return ""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(table[0]), lineterminator="\n")
    writer.writeheader()
    for line in table:
        writer.writerow({name: f"{cell:.4f}" if isinstance(cell, float) else cell for name, cell in line.items()})
    return text.getvalue()


def _text(cell: Cell, decimals: int) -> str:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int | np.integer):
        return str(cell)
    return f"{cell:.{decimals}f}"


def _shown(line: Mapping[str, Cell], name: str) -> str:
    cell = line[name]
    if isinstance(cell, str):
        return cell
    if np.isnan(cell):
        return ""
    if f"{name}_low" in line:
        return str(MeanInterval(float(cell), float(line[f"{name}_low"]), float(line[f"{name}_high"])))
    return str(cell) if isinstance(cell, int) else f"{cell:.1f}"
