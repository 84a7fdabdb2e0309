"""Speed by the number of workers: one real run, and figures of runs whose times are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from smplifyx.body.data import BodyModelData
from smplifyx.evaluation import worker_speed
from smplifyx.evaluation.worker_speed import measure_workers, worker_table
from smplifyx.synthetic.people import SyntheticOptions, SyntheticPerson, synthetic_people


@pytest.fixture(scope="module")
def people(open_body: BodyModelData) -> list[SyntheticPerson]:
    return list(synthetic_people(open_body, 3, SyntheticOptions(seed=1)))


def test_start_and_end_do_not_count(people: list[SyntheticPerson], monkeypatch: pytest.MonkeyPatch) -> None:
    def run(some: Sequence[SyntheticPerson], folder: Path, options: Sequence[str]) -> tuple[float, float]:
        assert options[:3] == ["--workers", "2", "--no-mesh"]
        return 5.0 + 0.25 * len(some), 7.0 + 0.5 * len(some)

    monkeypatch.setattr(worker_speed, "run_fit", run)
    figures = measure_workers(people, 2, n_few=1)
    assert (figures.seconds, figures.seconds_per_person, figures.processor_seconds_per_person) == (5.75, 0.25, 0.5)
    (row,) = worker_table([figures])
    assert row == {
        "workers": "2", "people/s": "4.00", "times 2": "1.00", "processor s/person": "0.500", "s for 3 people": "5.8"
    }  # fmt: skip


@pytest.mark.slow
def test_a_run_is_measured(people: list[SyntheticPerson], tmp_path: Path) -> None:
    options = ["--workers", "1", "--no-render", "--no-report", "--optimizer.max_iterations", "1"]
    seconds, processor = worker_speed.run_fit(people[:2], tmp_path / "run", options)
    assert seconds > 0 and processor > 0
    assert len(list((tmp_path / "run" / "output" / "results").glob("*/*.npz"))) == 2
