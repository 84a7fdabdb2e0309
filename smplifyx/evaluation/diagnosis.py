"""Where the errors of a method come from, in tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from smplifyx.evaluation.benchmark_rows import Row
from smplifyx.evaluation.bootstrap import mean_interval
from smplifyx.evaluation.error_sources import REPLACED
from smplifyx.evaluation.limb_errors import joint_table
from smplifyx.evaluation.report_tables import Cell
from smplifyx.evaluation.surface_metrics import SURFACE_HEADINGS

Table = list[dict[str, Cell]]


@dataclass(frozen=True)
class Diagnosis:
    """What was measured on the fits of one configuration.

    Attributes:
        sources: rows of :func:`smplifyx.evaluation.error_sources.error_sources`; none where the pose is unknown.
        joints: rows of :func:`smplifyx.evaluation.limb_errors.joint_rows`.
        limbs: the table of :func:`smplifyx.evaluation.limb_errors.mirrored_limbs`.
    """

    sources: Sequence[Row]
    joints: Sequence[Row]
    limbs: Sequence[Row]


def diagnosis_tables(diagnoses: Mapping[str, Diagnosis]) -> dict[str, tuple[str, Table]]:
    """Heading and table by file name."""
    tables: dict[str, tuple[str, Table]] = {}
    if any(one.sources for one in diagnoses.values()):
        heading = "What is left of the surface error when a part of the pose is replaced by the truth"
        tables["error_sources"] = (heading, _source_means(diagnoses))
    if diagnoses:
        tables["joints"] = (
            "Joints along the line of sight and across it, pelvis moved onto the true one",
            [{"config": label, **line} for label, one in diagnoses.items() for line in joint_table(one.joints)],
        )
        tables["limbs"] = (
            "Limbs: angles to the truth in degrees, and how many are mirrored in depth",
            [{"config": label, **line} for label, one in diagnoses.items() for line in one.limbs],
        )
    return tables


def _source_means(diagnoses: Mapping[str, Diagnosis]) -> Table:
    table: Table = []
    for part in REPLACED:
        line: dict[str, Cell] = {"replaced": part}
        for label, one in diagnoses.items():
            for metric in ("v2v", "pve"):
                values = [float(row[metric]) for row in one.sources if row["replaced"] == part]
                interval, name = mean_interval(values), f"{label}, {SURFACE_HEADINGS[metric]}"
                line |= {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}
        table.append(line)
    return table
