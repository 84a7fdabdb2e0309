"""Plain-text tables of figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

Cell = str | float


def format_table(rows: Sequence[Mapping[str, Cell]], decimals: int = 1) -> str:
    """Columns under the keys of the first row, numbers right-aligned; an empty string for no rows."""
    if not rows:
        return ""
    columns = list(rows[0])
    cells = [columns] + [[_text(row.get(column, ""), decimals) for column in columns] for row in rows]
    widths = [max(len(line[k]) for line in cells) for k in range(len(columns))]
    return "\n".join("  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)) for line in cells)


def summarise(rows: Sequence[Mapping[str, Cell]]) -> list[dict[str, Cell]]:
    """Mean, median, mean magnitude and worst of every numeric column over the rows; NaN entries are left out.

    Worst means largest by magnitude, so that signed errors count on both sides.
    """
    columns = [column for column in (rows[0] if rows else ()) if not isinstance(rows[0][column], str)]
    summary: list[dict[str, Cell]] = []
    for name, statistic in _STATISTICS.items():
        line: dict[str, Cell] = {"": name}
        for column in columns:
            values = np.array([row[column] for row in rows], dtype=np.float64)
            values = values[np.isfinite(values)]
            line[column] = statistic(values) if len(values) else float("nan")
        summary.append(line)
    return summary


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values))


def _median(values: np.ndarray) -> float:
    return float(np.median(values))


def _mean_magnitude(values: np.ndarray) -> float:
    return float(np.mean(np.abs(values)))


def _worst(values: np.ndarray) -> float:
    return float(values[np.argmax(np.abs(values))])


_STATISTICS: dict[str, Callable[[np.ndarray], float]] = {
    "mean": _mean,
    "median": _median,
    "mean |.|": _mean_magnitude,
    "worst": _worst,
}


def _text(cell: Cell, decimals: int) -> str:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int | np.integer):
        return str(cell)
    return f"{cell:.{decimals}f}"
