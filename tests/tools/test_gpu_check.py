"""The check of a GPU, on the CPU with small sizes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import numpy as np
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


@pytest.fixture(scope="module")
def fits() -> list[np.ndarray]:
    """The CPU's joints of the people of the quick check."""
    check = gpu_check.Check("cpu", gpu_check.QUICK, budget=1000.0)
    return gpu_check._fit_on_cpu(check._observations[: gpu_check.QUICK.parity], gpu_check.QUICK.settings)


@pytest.mark.parametrize(
    ("alter", "status"),
    [
        (lambda joints: joints, 0),
        (lambda joints: joints + 0.001, 0),
        (lambda joints: joints + 0.02, 1),
        (lambda joints: joints * np.nan, 1),
    ],
    ids=["same", "1 mm", "20 mm", "not a number"],
)
def test_the_status_tells_whether_the_joints_are_those_of_the_reference(
    fits: list[np.ndarray], monkeypatch: pytest.MonkeyPatch, alter: Callable[[np.ndarray], np.ndarray], status: int
) -> None:
    def compared(check: gpu_check.Check) -> None:
        reference: Future[list[np.ndarray]] = Future()
        reference.set_result([alter(joints) for joints in fits])
        check._compare([reference])

    monkeypatch.setattr(gpu_check, "_REFERENCE_PROCESSES", 1)
    monkeypatch.setattr(gpu_check.Check, "run", compared)
    assert gpu_check.main(["--device", "cpu", "--quick"]) == status


def test_a_larger_error_against_the_truth_fails(fits: list[np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    """Joints of the reference near those found, but nearer to the truth by more than the tolerance."""
    check = gpu_check.Check("cpu", gpu_check.QUICK, budget=1000.0)
    monkeypatch.setattr(gpu_check, "_REFERENCE_PROCESSES", 1)
    errors = iter((31.0, 29.0))
    monkeypatch.setattr(gpu_check, "_median_error", lambda people, truth: next(errors))
    reference: Future[list[np.ndarray]] = Future()
    reference.set_result(fits)
    check._compare([reference])
    assert not check.is_right and check.rows[-1]["value"].startswith("FAILED")


def test_parts_that_would_take_too_long_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    check = gpu_check.Check("cpu", gpu_check.QUICK, budget=1000.0)
    monkeypatch.setitem(check._last, True, (1, 900.0))
    check._time_batch(2, True, "2 people with collisions")
    assert check.rows[-1]["value"].startswith("left out: about 1800 s")
