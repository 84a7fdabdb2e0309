"""Processes that survive what is sent to the group of their parent, from their first moment on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from smplifyx import child_processes
from smplifyx.child_processes import starting_a_child

pytestmark = pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="no such signals on this system")


def test_a_child_is_safe_before_it_ignores_signals() -> None:
    with starting_a_child():
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        os.kill(child.pid, number)
    child.communicate(b"\n")
    assert child.returncode == 0


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("400000 100000", 4), ("50000 100000", 1), ("max 100000", 6), ("9900000 100000", 6), (None, 6)],
)
def test_usable_cores_are_those_of_affinity_and_quota(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str | None, expected: int
) -> None:
    file = tmp_path / "cpu.max"
    if quota is not None:
        file.write_text(quota)
    monkeypatch.setattr(child_processes, "Path", lambda name: file)
    monkeypatch.setattr(child_processes.os, "sched_getaffinity", lambda process: set(range(6)), raising=False)
    assert child_processes.n_usable_cores() == expected


def test_this_process_gets_its_signals_again() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with starting_a_child():
        assert signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_signals_that_came_meanwhile_are_dropped() -> None:
    code = "import os, signal\n"
    code += "from smplifyx.child_processes import ignore_signals, starting_a_child\n"
    code += "with starting_a_child():\n    os.kill(os.getpid(), signal.SIGTERM)\n    ignore_signals()\nprint('alive')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "alive\n")
