"""The tables of an evaluation, as CSV with every number and as Markdown to read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from smplifyx.evaluation.ablations import FULL, TABLE_1, TABLE_2, Variant
from smplifyx.evaluation.metrics import SURFACE_HEADINGS
from smplifyx.evaluation.statistics import (
    MeanInterval,
    area_under_curve,
    difference_interval,
    mean_interval,
    worst_share,
)
from smplifyx.evaluation.tables import Row

FloatArray = NDArray[np.float64]

CAMERA_NAMES = {
    "config": "as configured",
    "paper": "the paper's focal length",
    "true": "true",
}
#: Heading, column, whether its magnitude counts.
_DETAILS: tuple[tuple[str, str, bool], ...] = (
    ("trunk angle, degrees", "trunk_angle_deg", False),
    ("lean, degrees (+ forward)", "lean_deg", False),
    ("size of lean, degrees", "lean_deg", True),
    ("size of heading error, degrees", "heading_deg", True),
    ("left knee bent too far, degrees", "left_knee_deg", False),
    ("right knee bent too far, degrees", "right_knee_deg", False),
    ("depth, %", "depth_percent", False),
    ("size of depth error, %", "depth_percent", True),
    ("body size, %", "size_percent", False),
    ("size of body-size error, %", "size_percent", True),
)
#: Share of the fits that count as worst, and smallest number of people for statements about their order.
_WORST, _FEWEST_ORDERED = 0.1, 10
_GROUP_METRICS = ("v2v", "pve", "pa_hands", "pa_face")
_GROUPS: tuple[tuple[str, Callable[[Row], bool]], ...] = (
    ("all", lambda row: True),
    ("whole in the photo", lambda row: "truncated" not in str(row["tags"])),
    ("cut by the frame", lambda row: "truncated" in str(row["tags"])),
    ("seen from the front", lambda row: "behind" not in str(row["tags"])),
    ("seen from behind", lambda row: "behind" in str(row["tags"])),
    ("sides swapped by the detector", lambda row: "swapped" in str(row["tags"])),
    ("heading right to 45 degrees", lambda row: abs(float(row["heading_deg"])) <= 45.0),
    ("heading wrong by more", lambda row: abs(float(row["heading_deg"])) > 45.0),
    ("male", lambda row: row["gender"] == "male"),
    ("female", lambda row: row["gender"] == "female"),
)


@dataclass(frozen=True)
class Evaluation:
    """All rows of all trials.

    Attributes:
        rows: a row a person and trial, with the benchmark's own keypoints.
        configs: labels of the configurations.
        cameras: the known cameras.
        unavailable: why a configuration has no such variant, by (label, variant key).
    """

    rows: Sequence[Row]
    configs: Sequence[str]
    cameras: Sequence[str]
    unavailable: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def of(self, config: str, camera: str, variant: Variant) -> list[Row]:
        """The rows of one trial."""
        wanted = (config, camera, variant.key)
        return [row for row in self.rows if (row["config"], row["camera"], row["variant"]) == wanted]

    def settings(self) -> list[tuple[str, str]]:
        """Every pair of configuration and camera."""
        return [(config, camera) for config in self.configs for camera in self.cameras]


def table_1(evaluation: Evaluation) -> list[Row]:
    """The paper's Table 1: body models."""
    return _ablation(evaluation, TABLE_1, ("v2v", "joints"), with_difference=False)


def table_2(evaluation: Evaluation) -> list[Row]:
    """The paper's Table 2: parts of the method taken away; the difference is from the full method, by person."""
    return _ablation(evaluation, TABLE_2, ("v2v",), with_difference=True)


def metrics_table(evaluation: Evaluation) -> list[Row]:
    """Every figure of the full method: a row a figure, a column a configuration and camera."""
    figures = [(heading, name, False) for name, heading in SURFACE_HEADINGS.items()]
    return _by_setting(evaluation, [(f"{heading}, mm", name, size) for heading, name, size in figures])


def details_table(evaluation: Evaluation) -> list[Row]:
    """Angles, depth and size of the full method, laid out as :func:`metrics_table`."""
    return _by_setting(evaluation, _DETAILS)


def groups_table(evaluation: Evaluation) -> list[Row]:
    """Means of the full method over groups of people."""
    table = []
    for config, camera in evaluation.settings():
        rows = evaluation.of(config, camera, FULL)
        for name, belongs in _GROUPS:
            group = [row for row in rows if belongs(row)]
            line: Row = {**_setting(config, camera), "people": name, "number": len(group)}
            for metric in _GROUP_METRICS:
                line |= mean_interval(_column(group, metric)).cells(metric)
            table.append(line)
    return table


def quality_table(evaluation: Evaluation) -> list[Row]:
    """Agreement of the fits' expected errors with the true ones, for the full method."""
    table: list[Row] = []
    for config, camera in evaluation.settings():
        rows = evaluation.of(config, camera, FULL)
        expected, true = _column(rows, "expected_error_mm"), _column(rows, "v2v")
        known = np.isfinite(expected) & np.isfinite(true)
        if known.sum() < _FEWEST_ORDERED:
            continue
        expected, true = expected[known], true[known]
        worst = worst_share(true, _WORST)
        table.append(
            {
                **_setting(config, camera),
                "people": int(known.sum()),
                "area under the curve, worst tenth": area_under_curve(expected, worst),
                "rank correlation": float(spearmanr(expected, true).statistic),
                "expected, mean of the worst tenth": float(expected[worst].mean()),
                "of the others": float(expected[~worst].mean()),
            }
        )
    return table


def noise_table(rows: Sequence[Row], metrics: Sequence[str]) -> list[Row]:
    """Means of trials whose keypoints have several noise levels."""
    table = []
    for config in sorted({str(row["config"]) for row in rows}):
        for level in sorted({float(row["noise"]) for row in rows}):
            group = [row for row in rows if row["config"] == config and row["noise"] == level]
            line: Row = {"config": config, "noise": level}
            for metric in metrics:
                line |= mean_interval(_column(group, metric)).cells(metric)
            table.append(line)
    return table


def _ablation(
    evaluation: Evaluation, variants: Sequence[Variant], metrics: Sequence[str], with_difference: bool
) -> list[Row]:
    table = []
    for config, camera in evaluation.settings():
        reference = evaluation.of(config, camera, FULL)
        for variant in variants:
            rows = evaluation.of(config, camera, variant)
            line: Row = {**_setting(config, camera), "method": variant.name}
            for metric in metrics:
                line |= mean_interval(_column(rows, metric)).cells(metric)
            if with_difference:
                change = MeanInterval(np.nan, np.nan, np.nan)
                if rows and variant is not FULL:
                    change = difference_interval(_column(rows, "v2v"), _column(reference, "v2v"))
                line |= change.cells("difference")
            line |= {f"{metric} published": variant.published.get(metric, np.nan) for metric in metrics}
            line["note"] = evaluation.unavailable.get((config, variant.key), "" if rows else "left out")
            table.append(line)
    return table


def _by_setting(evaluation: Evaluation, figures: Sequence[tuple[str, str, bool]]) -> list[Row]:
    table = []
    for heading, column, size in figures:
        line: Row = {"figure": heading}
        for config, camera in evaluation.settings():
            values = _column(evaluation.of(config, camera, FULL), column)
            interval = mean_interval(np.abs(values) if size else values)
            line |= interval.cells(f"{config}, camera {CAMERA_NAMES[camera]}")
        table.append(line)
    return table


def _setting(config: str, camera: str) -> Row:
    return {"config": config, "camera": CAMERA_NAMES[camera]}


def _column(rows: Sequence[Row], name: str) -> FloatArray:
    return np.array([row[name] for row in rows], dtype=np.float64)
