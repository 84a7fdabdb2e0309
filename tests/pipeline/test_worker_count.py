"""The number of workers follows the photos, free cores and free memory."""

from __future__ import annotations

import pytest

from smplifyx.config import Override, RunOptions, load_run
from smplifyx.pipeline import worker_count
from smplifyx.pipeline.worker_count import suitable_workers


def test_few_photos_need_one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smplifyx.pipeline.worker_count._free_cores", lambda: 8)
    monkeypatch.setattr("smplifyx.pipeline.worker_count._free_memory", lambda: 1 << 40)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert [suitable_workers(RunOptions(), number) for number in (1, 47, 48, 1000)] == [1, 1, 2, 8]
    assert suitable_workers(RunOptions(threads=4), 1000) == 2
    monkeypatch.setattr("smplifyx.pipeline.worker_count._free_memory", lambda: 2 << 30)
    assert suitable_workers(RunOptions(), 1000) == 2
    _, asked = load_run(None, [Override("run.workers", "5")])
    assert suitable_workers(asked, 1) == 5
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert suitable_workers(RunOptions(), 1000) == 1


@pytest.mark.parametrize(("usable", "expected"), [(16, 11), (4, 4)], ids=["whole machine", "part set aside"])
def test_the_load_counts_where_the_machine_is_shared(
    monkeypatch: pytest.MonkeyPatch, usable: int, expected: int
) -> None:
    monkeypatch.setattr(worker_count, "n_usable_cores", lambda: usable)
    monkeypatch.setattr("os.cpu_count", lambda: 16)
    monkeypatch.setattr("os.getloadavg", lambda: (5.3, 0.0, 0.0))
    assert worker_count._free_cores() == expected
