"""Writes an evaluation: tables as CSV and Markdown, a plot, the configurations and the versions behind them."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import smplifyx
from smplifyx.atomic import write_text
from smplifyx.config import Config, to_yaml
from smplifyx.evaluation.benchmark_fits import code_digest
from smplifyx.evaluation.benchmark_rows import Row
from smplifyx.evaluation.bootstrap import mean_interval
from smplifyx.evaluation.error_sources import REPLACED
from smplifyx.evaluation.noise_plot import plot_noise
from smplifyx.evaluation.report_tables import (
    Cell,
    Evaluation,
    csv_text,
    details_table,
    groups_table,
    markdown,
    metrics_table,
    noise_table,
    table_1,
    table_2,
)
from smplifyx.evaluation.surface_metrics import SURFACE_HEADINGS

_NOISE_METRICS = {"v2v": "whole body, aligned", "pa_hands": "hands, aligned", "pa_face": "face, aligned"}
_PACKAGES = ("torch", "numpy", "scipy", "opencv-python-headless", "trimesh", "pyrender", "anny")
_INTERVALS = "Millimetres unless said otherwise; means with 95 % bootstrap intervals over people."
_MANO_SLOT = "Hands fitted alone with MANO: not available in this version."


def write_report(
    folder: Path,
    title: str,
    evaluation: Evaluation,
    configs: Mapping[str, Config],
    parts_source: str,
    noise_rows: Sequence[Row] = (),
    sources: Mapping[str, Sequence[Mapping[str, Cell]]] | None = None,
    benchmark: Mapping[str, Any] | None = None,
) -> str:
    """Writes everything into a folder and returns the Markdown.

    Args:
        folder: made if missing.
        title: name of the benchmark.
        evaluation: all rows.
        configs: the configurations by label.
        parts_source: where the vertex sets come from.
        noise_rows: rows at several noise levels.
        sources: for each configuration the table of error sources.
        benchmark: what the benchmark was made from.
    """
    tables: dict[str, tuple[str, list[dict[str, Cell]]]] = {
        "table_1": ("Table 1: body models", table_1(evaluation)),
        "table_2": ("Table 2: parts taken away", table_2(evaluation)),
        "metrics": ("All figures of the full method", metrics_table(evaluation)),
        "details": ("Posture, depth and size", details_table(evaluation)),
        "groups": ("Groups of people", groups_table(evaluation)),
    }
    if sources:
        tables["error_sources"] = (
            "What is left of the surface error when a part of the pose is replaced by the truth",
            _source_means(sources),
        )
    if noise_rows:
        tables["noise"] = ("Keypoint noise", noise_table(noise_rows, list(_NOISE_METRICS)))
    n_people = len({row["person"] for row in evaluation.rows})
    parts = [f"# {title}, {n_people} people", _INTERVALS, f"Hands, face and joints: {parts_source}."]
    for name, (heading, table) in tables.items():
        write_text(folder / f"{name}.csv", csv_text(table))
        parts.append(f"## {heading}\n\n{markdown(table)}")
    if noise_rows:
        parts.append(_MANO_SLOT if not _plot(tables["noise"][1], folder) else f"![](noise.png)\n\n{_MANO_SLOT}")
    write_text(folder / "people.csv", csv_text([*evaluation.rows, *noise_rows]))
    for label, config in configs.items():
        write_text(folder / f"config_{label}.yaml", to_yaml(config))
    write_text(folder / "versions.json", json.dumps(_versions(benchmark, parts_source), indent=1))
    report = "\n\n".join(parts) + "\n"
    write_text(folder / "report.md", report)
    return report


def _plot(table: Sequence[Mapping[str, Cell]], folder: Path) -> bool:
    """Whether the picture could be drawn."""
    try:
        plot_noise(table, _NOISE_METRICS, folder / "noise.png")
    except ImportError:
        return False
    return True


def _source_means(sources: Mapping[str, Sequence[Mapping[str, Cell]]]) -> list[dict[str, Cell]]:
    table = []
    for part in REPLACED:
        line: dict[str, Cell] = {"replaced": part}
        for label, rows in sources.items():
            for metric in ("v2v", "pve"):
                values = [float(row[metric]) for row in rows if row["replaced"] == part]
                interval, name = mean_interval(values), f"{label}, {SURFACE_HEADINGS[metric]}"
                line |= {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}
        table.append(line)
    return table


def _versions(benchmark: Mapping[str, Any] | None, parts_source: str) -> dict[str, Any]:
    packages: dict[str, str | None] = {}
    for name in _PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = None
    return {
        "smplifyx": smplifyx.__version__,
        "code": code_digest(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "packages": packages,
        "vertex_sets": parts_source,
        "benchmark": None if benchmark is None else dict(benchmark),
    }
