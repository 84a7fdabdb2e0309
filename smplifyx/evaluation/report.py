"""Reports of evaluations: tables, versions, and a picture of errors against keypoint noise."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

import smplifyx
from smplifyx.config import Config, to_yaml
from smplifyx.evaluation.error_sources import Diagnosis, diagnosis_tables, hand_table
from smplifyx.evaluation.metrics import SURFACE_HEADINGS
from smplifyx.evaluation.report_tables import (
    Evaluation,
    details_table,
    groups_table,
    metrics_table,
    noise_table,
    quality_table,
    table_1,
    table_2,
)
from smplifyx.evaluation.runner import code_digest
from smplifyx.evaluation.statistics import mean_interval
from smplifyx.evaluation.tables import Row, csv_text, markdown
from smplifyx.files import atomic_path, write_text

_SIZE_INCHES = (4.2, 3.6)
_DPI = 130
_NOISE_METRICS = {"v2v": "whole body, aligned", "pa_hands": "hands, aligned", "pa_face": "face, aligned"}
_PACKAGES = ("torch", "numpy", "scipy", "opencv-python-headless", "trimesh", "pyrender", "anny")
_INTERVALS = "Millimetres unless said otherwise; means with 95 % bootstrap intervals over people."


@dataclass(frozen=True)
class Findings:
    """Results of an evaluation.

    Attributes:
        evaluation: all rows.
        parts_source: where the vertex sets come from.
        noise_rows: rows at several noise levels.
        hands: rows of :func:`smplifyx.evaluation.error_sources.hand_rows`.
        diagnosis: where the full method's errors come from, by configuration.
        benchmark: the recipe of the benchmark; None for one that was given.
    """

    evaluation: Evaluation
    parts_source: str
    noise_rows: Sequence[Row] = ()
    hands: Sequence[Row] = ()
    diagnosis: Mapping[str, Diagnosis] = field(default_factory=dict)
    benchmark: Mapping[str, Any] | None = None


def write_report(folder: Path, title: str, findings: Findings, configs: Mapping[str, Config]) -> str:
    """Write everything into a folder and returns the Markdown.

    Args:
        folder: made if missing.
        title: name of the benchmark.
        findings: the results.
        configs: the configurations by label.
    """
    evaluation, noise_rows = findings.evaluation, findings.noise_rows
    tables: dict[str, tuple[str, list[Row]]] = {
        "table_1": ("Table 1: body models", table_1(evaluation)),
        "table_2": ("Table 2: parts taken away", table_2(evaluation)),
        "metrics": ("All figures of the full method", metrics_table(evaluation)),
        "details": ("Posture, depth and size", details_table(evaluation)),
        "groups": ("Groups of people", groups_table(evaluation)),
    }
    expected = quality_table(evaluation)
    if expected:
        tables["expected_errors"] = ("Expected and true errors", expected)
    tables |= diagnosis_tables(findings.diagnosis)
    if noise_rows:
        tables["noise"] = ("Keypoint noise", noise_table(noise_rows, list(_NOISE_METRICS)))
    if findings.hands:
        tables["hands"] = ("Joints of hands, aligned: whole body and MANO alone", hand_table(findings.hands))
    n_people = len({row["person"] for row in evaluation.rows})
    parts = [f"# {title}, {n_people} people", _INTERVALS, f"Hands, face and joints: {findings.parts_source}."]
    n_failed = sum(np.isnan(float(row["v2v"])) for row in (*evaluation.rows, *noise_rows))
    if n_failed:
        parts.append(f"{n_failed} fits failed and are left out of the means; people.csv names them.")
    for name, (heading, table) in tables.items():
        write_text(folder / f"{name}.csv", csv_text(table))
        parts.append(f"## {heading}\n\n{markdown(table)}")
    if noise_rows and plot_noise(tables["noise"][1], _NOISE_METRICS, folder / "noise.png"):
        parts.append("![](noise.png)")
    write_text(folder / "people.csv", csv_text([*evaluation.rows, *noise_rows]))
    for label, config in configs.items():
        write_text(folder / f"config_{label}.yaml", to_yaml(config))
    return finish_report(folder, parts, findings.benchmark, findings.parts_source)


def write_results_report(folder: Path, name: str, rows: Sequence[Row], parts_source: str) -> str:
    """Write the figures of external results and returns the Markdown.

    Args:
        folder: made if missing.
        name: of the results.
        rows: a row a person.
        parts_source: where the vertex sets come from.
    """
    table: list[Row] = []
    for metric, heading in SURFACE_HEADINGS.items():
        interval = mean_interval([float(row[metric]) for row in rows])
        table.append({"figure": heading, **interval.cells("mean")})
    parts = [f"# {name}, {len(rows)} people", _INTERVALS, f"Hands, face and joints: {parts_source}.", markdown(table)]
    write_text(folder / "metrics.csv", csv_text(table))
    write_text(folder / "people.csv", csv_text(rows))
    return finish_report(folder, parts, None, parts_source)


def write_views_report(
    folder: Path,
    scenes: Sequence[str],
    views: Sequence[Row],
    pairs: Sequence[Row],
    configs: Mapping[str, Config],
) -> str:
    """Write how single views compare with all views and with each other, and returns the Markdown.

    Args:
        folder: made if missing.
        scenes: a sentence a scene on its triangulation.
        views: a row a view.
        pairs: a row a pair of views.
        configs: the configurations by label.
    """
    parts = ["# Calibrated views", _INTERVALS, "\n".join(f"- {scene}" for scene in scenes)]
    for name, heading, rows in (
        ("views", "Each view's fit against the triangulated person", views),
        ("agreement", "Fits of two views against each other", pairs),
    ):
        means = _means(rows)
        write_text(folder / f"{name}.csv", csv_text(rows))
        write_text(folder / f"{name}_means.csv", csv_text(means))
        parts.append(f"## {heading}\n\n{markdown(means)}\n\n{markdown(rows)}")
    for label, config in configs.items():
        write_text(folder / f"config_{label}.yaml", to_yaml(config))
    return finish_report(folder, parts, None, "triangulated keypoints")


def finish_report(
    folder: Path, parts: Sequence[str], benchmark: Mapping[str, Any] | None, parts_source: str = ""
) -> str:
    """Write the versions and the report, and return the report.

    Args:
        folder: made if missing.
        parts: paragraphs and tables of the report.
        benchmark: the recipe of the benchmark.
        parts_source: where the vertex sets come from.
    """
    write_text(folder / "versions.json", json.dumps(_versions(benchmark, parts_source), indent=1))
    report = "\n\n".join(parts) + "\n"
    write_text(folder / "report.md", report)
    return report


def plot_noise(table: Sequence[Row], metrics: Mapping[str, str], path: Path) -> bool:
    """Draw one panel a metric, one line a configuration, with 95 % intervals; False where matplotlib is missing.

    Args:
        table: from :func:`smplifyx.evaluation.report_tables.noise_table`.
        metrics: column of the table and its heading.
        path: the picture (.png).
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(figsize=(_SIZE_INCHES[0] * len(metrics), _SIZE_INCHES[1]), layout="constrained")
    panels = figure.subplots(1, len(metrics), squeeze=False)[0]
    for panel, (metric, heading) in zip(panels, metrics.items(), strict=True):
        for config in dict.fromkeys(str(line["config"]) for line in table):
            lines = [line for line in table if line["config"] == config]
            levels = [float(line["noise"]) for line in lines]
            low, high = ([float(line[f"{metric}_{end}"]) for line in lines] for end in ("low", "high"))
            (drawn,) = panel.plot(levels, [float(line[metric]) for line in lines], marker="o", label=config)
            panel.fill_between(levels, low, high, alpha=0.2, color=drawn.get_color())
        panel.set(title=f"{heading}, mm", xlabel="keypoint noise, times the detector's", ylim=(0.0, None))
        panel.grid(alpha=0.3)
    panels[0].legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=_DPI)
    return True


def _means(rows: Sequence[Row]) -> list[Row]:
    """Means of the magnitudes of all figures, a line a configuration and camera."""
    table: list[Row] = []
    for config, camera in dict.fromkeys((str(row["config"]), str(row["camera"])) for row in rows):
        group = [row for row in rows if (row["config"], row["camera"]) == (config, camera)]
        line: Row = {"config": config, "camera": camera, "number": len(group)}
        for name in [name for name, cell in group[0].items() if not isinstance(cell, str | int)]:
            interval = mean_interval([abs(float(row[name])) for row in group])
            line |= interval.cells(name)
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
