"""Tables of fits of sequences: from one view, from several, of real people, and their cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smplifyx.config import Config, to_yaml
from smplifyx.evaluation.report import finish_report
from smplifyx.evaluation.sequence_scores import FRAME_KINDS, FastCurves, FrameErrors
from smplifyx.evaluation.statistics import mean_interval
from smplifyx.evaluation.tables import Row, csv_text, markdown
from smplifyx.files import atomic_path, write_text
from smplifyx.synthetic.motion import FPS

FloatArray = NDArray[np.float64]

_DPI = 110
#: The two ways to fit a sequence, in the order of the tables.
ALONE, TOGETHER = "frame by frame", "as a whole"
#: Headings of the figures of a sequence.
FIGURES = {
    "pa_v2v_mm": "surface, aligned, mm",
    "v2v_pelvis_mm": "surface, pelvis aligned, mm",
    "world_mm": "joints in the camera's frame, mm",
    "shape_mm": "shape (T-pose), mm",
    "proportions_mm": "shape without stature (T-pose, aligned), mm",
    "acceleration_mm": "acceleration, mm/frame²",
    "acceleration_m_s2": "acceleration, m/s²",
    "acceleration_world_mm": "acceleration in the camera's frame, mm/frame²",
}
#: Curves of one motion, by the truth and the ways to fit it.
Curves = Mapping[str, FastCurves]
TRUTH = "truth"


def figures_table(rows: Sequence[Row]) -> list[Row]:
    """A row a figure: the mean of each way with its interval over the sequences, and the change in percent.

    Args:
        rows: a row a sequence and way, with ``fit`` and all figures of :data:`FIGURES`.
    """
    table: list[Row] = []
    for name, heading in FIGURES.items():
        line: Row = {"figure": heading}
        means = []
        for way in (ALONE, TOGETHER):
            interval = mean_interval([float(row[name]) for row in rows if row["fit"] == way])
            line |= interval.cells(way)
            means.append(interval.mean)
        line["change"] = f"{100.0 * (means[1] / means[0] - 1.0):+.0f} %"
        table.append(line)
    return table


def kinds_table(errors: Mapping[str, Sequence[FrameErrors]]) -> list[Row]:
    """A row a kind of frames: their number and the mean surface error of each way, millimetres.

    Args:
        errors: of all sequences, by way.
    """
    table: list[Row] = []
    for kind in FRAME_KINDS:
        line: Row = {"frames": kind, "number": 0}
        for way, of_way in errors.items():
            chosen = [
                value for one in of_way for value, own in zip(one.pa_v2v, one.kinds, strict=True) if own == kind
            ]
            line["number"] = len(chosen)
            line[way] = float(np.mean(chosen)) if chosen else float("nan")
        table.append(line)
    return table


def write_sequences_report(
    folder: Path,
    benchmark: Mapping[str, Any],
    rows: Sequence[Row],
    errors: Mapping[str, Sequence[FrameErrors]],
    fast: Sequence[Row],
    cost: Sequence[Row],
    config: Config,
) -> str:
    """Write the tables of sequences from one view, and return the Markdown.

    Args:
        folder: made if missing.
        benchmark: the recipe of the sequences.
        rows: see :func:`figures_table`.
        errors: see :func:`kinds_table`.
        fast: figures of fast movements, a row a motion and way.
        cost: rows of :func:`smplifyx.evaluation.sequence_cost.cost_rows`.
        config: the settings.
    """
    tables: dict[str, tuple[str, Sequence[Row]]] = {}
    if rows:
        tables["figures"] = ("All sequences", figures_table(rows))
        tables["frames"] = ("Surface after alignment, by kind of frame, mm", kinds_table(errors))
        tables["sequences"] = ("Each sequence", rows)
    tables |= {"fast": ("Fast movements", fast), "cost": ("Cost", cost)}
    n_sequences = len({str(row["sequence"]) for row in rows})
    return _write(folder, f"# {n_sequences} sequences from one view", tables, benchmark, config)


def plot_fast(motions: Mapping[str, Curves], path: Path) -> bool:
    """Draw height of the pelvis and speed of the fastest joint of each motion; False where matplotlib is missing.

    Args:
        motions: the curves by the name of the motion.
        path: the picture (.png).
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(figsize=(5.2 * len(motions), 5.6), layout="constrained")
    styles = {TRUTH: ("black", 2.0), ALONE: ("tab:orange", 1.0), TOGETHER: ("tab:blue", 1.6)}
    panels = figure.subplots(2, len(motions), squeeze=False)
    for column, (name, curves) in zip(panels.T, motions.items(), strict=True):
        for way, one in curves.items():
            color, width = styles[way]
            times = np.arange(len(one.rise)) / FPS
            column[0].plot(times, 1000.0 * one.rise, color=color, linewidth=width, label=way)
            column[1].plot(times, one.speed, color=color, linewidth=width, label=way)
        column[0].set(title=f"{name}: height of the pelvis, mm")
        column[1].set(title=f"{name}: speed of the fastest joint, m/s", xlabel="seconds", ylim=(0.0, None))
        for panel in column:
            panel.grid(alpha=0.3)
    panels[0][0].legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=_DPI)
    return True


def write_multiview_report(
    folder: Path,
    benchmark: Mapping[str, Any],
    tables: Mapping[str, tuple[str, Sequence[Row]]],
    config: Config,
) -> str:
    """Write the tables of several views, and return the Markdown.

    Args:
        folder: made if missing.
        benchmark: the recipe of the sequences.
        tables: heading and rows by file name.
        config: the settings.
    """
    return _write(folder, "# Sequences from several views", tables, benchmark, config)


def mean_rows(rows: Sequence[Row], keys: Sequence[str]) -> list[Row]:
    """Means over sequences with their intervals, for each combination of the keys, in the order of appearance."""
    names = [name for name, value in rows[0].items() if isinstance(value, float) and name not in keys] if rows else []

    def group(row: Row) -> tuple[str | float, ...]:
        return tuple(row[key] for key in keys)

    table: list[Row] = []
    for values in dict.fromkeys(group(row) for row in rows):
        line: Row = dict(zip(keys, values, strict=True))
        for name in names:
            interval = mean_interval([float(row[name]) for row in rows if group(row) == values])
            line |= interval.cells(name)
        table.append(line)
    return table


def _write(
    folder: Path,
    title: str,
    tables: Mapping[str, tuple[str, Sequence[Row]]],
    benchmark: Mapping[str, Any],
    config: Config,
) -> str:
    parts = [title, "Means with 95 % bootstrap intervals over sequences."]
    for name, (heading, table) in tables.items():
        if table:
            write_text(folder / f"{name}.csv", csv_text(table))
            parts.append(f"## {heading}\n\n{markdown(table)}")
    write_text(folder / "config.yaml", to_yaml(config))
    return finish_report(folder, parts, benchmark)
