"""Costs of many photos, from measured ones."""

from __future__ import annotations

import pytest

from tools import cluster_costs
from tools.cluster_costs import Costs

_COSTS = Costs(n_people=10, seconds_per_person=0.9, start_seconds=10.0, bytes_per_person=200e3)


def test_photos_are_shared_among_cores_and_gpus() -> None:
    rows = cluster_costs.extrapolated_table(_COSTS, [100_000], [1, 10], 32, 0.9, {"GPU": 50.0})
    assert [(row["on"], row["takes"]) for row in rows] == [
        ("1 x 32 cores", "52.2 min"),
        ("10 x 32 cores", "5.4 min"),
        ("1 x GPU", "33.3 min"),
        ("10 x GPU", "3.3 min"),
    ]
    assert rows[0]["disk"] == "20 GB"
    assert rows[0]["hours of cores or GPUs"] == "28"


@pytest.mark.slow
def test_a_run_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    cluster_costs.main(
        ["--people", "3", "--photos", "1000", "--option=--no-render", "--option=--optimizer.max_iterations=2"]
    )
    shown = capsys.readouterr().out
    assert "| people in the run, one a photo | 3 |" in shown
    assert "| 1,000 | 1 x 32 cores |" in shown
