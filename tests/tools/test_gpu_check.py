"""The check of a GPU, on the CPU with small sizes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import gpu_check


@pytest.mark.slow
def test_the_check_runs_on_the_cpu(tmp_path: Path) -> None:
    table = tmp_path / "table.md"
    assert gpu_check.main(["--device", "cpu", "--quick", "--output", str(table)]) == 0
    text = table.read_text(encoding="utf-8")
    assert "| people within 5 mm of the CPU's fit | 2 of 2 |" in text
    for title in ("1 people without collisions", "2 people with collisions", "smplifyx fit, 1 photos"):
        assert title in text
    assert "FAILED" not in text


def test_parts_that_would_take_too_long_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    check = gpu_check.Check("cpu", gpu_check.QUICK, budget=1000.0)
    monkeypatch.setitem(check._last, True, (1, 900.0))
    check._time_batch(2, True, "2 people with collisions")
    assert check.rows[-1]["value"].startswith("left out: about 1800 s")
