"""Signals of a run: the first stops it in order, those that are ignored stay so."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from smplifyx.cli.messages import Interrupted
from smplifyx.cli.signals import STATUS_OF, stopping


class Stoppable:
    """An executor that counts requests to stop."""

    n_requests = 0

    def run(self, units: object, job: object) -> Iterator[object]:
        yield from ()

    def stop(self) -> None:
        self.n_requests += 1


@pytest.fixture
def ignored_hangup() -> Iterator[None]:
    earlier = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGHUP, earlier)


def test_a_signal_that_is_ignored_as_by_nohup_stays_so(ignored_hangup: None) -> None:
    executor = Stoppable()
    with stopping() as request:
        request.pass_on_to(executor)
        os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    assert not executor.n_requests and not request.number


def test_handlers_of_other_than_python_code_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smplifyx.cli.signals.signal.getsignal", lambda number: None)
    earlier = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with stopping():
            pass
    finally:
        signal.signal(signal.SIGTERM, earlier)


def test_further_signals_are_ignored_while_a_run_ends() -> None:
    executor = Stoppable()
    with stopping() as request:
        request.pass_on_to(executor)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM):
            os.kill(os.getpid(), number)
        assert executor.n_requests == 1 and request.number == signal.SIGTERM
        with pytest.raises(Interrupted) as interrupt:
            request.raise_if_asked("1 person is finished")
        assert interrupt.value.status == 143


def test_a_signal_before_the_work_interrupts_at_once() -> None:
    with pytest.raises(Interrupted) as interrupt, stopping():
        os.kill(os.getpid(), signal.SIGUSR1)
    assert interrupt.value.status == 75


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGINT"])
def test_a_signal_during_the_imports_ends_with_its_status(name: str) -> None:
    """The process sends it to itself where the command line would be imported."""
    code = f"""
import os, signal, sys, types
class Sender:
    def find_spec(self, module, path=None, target=None):
        if module == "smplifyx.cli.main":
            os.kill(os.getpid(), signal.{name})
sys.meta_path.insert(0, Sender())
from smplifyx.__main__ import run
run()
"""
    done = subprocess.run([sys.executable, "-c", code, "--version"], capture_output=True, text=True)
    assert done.returncode == STATUS_OF[name]
    assert not done.stdout and "Traceback" not in done.stderr


def test_a_copy_of_the_process_ends_by_the_signal_itself() -> None:
    code = """
import multiprocessing, signal, time
from smplifyx.cli.signals import end_with_status
end_with_status()
def wait(ready):
    ready.set()
    time.sleep(60)
context = multiprocessing.get_context("fork")
ready = context.Event()
child = context.Process(target=wait, args=(ready,))
child.start()
ready.wait()
child.terminate()
child.join()
print(child.exitcode == -signal.SIGTERM)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("True\n", "")
