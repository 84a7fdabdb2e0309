"""A worker that fits nobody: photos finish at once, and some names have effects."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterable, Iterator

from smplifyx.errors import UsageError
from smplifyx.output import SummaryRow
from smplifyx.pipeline import Job, Outcome, Unit
from smplifyx.pipeline.worker import Worker


class StandInWorker(Worker):
    """Dies at ``deadly`` photos, raises at ``odd`` and ``wrong`` ones, waits for a stop at ``slow`` ones."""

    def __init__(self, job: Job) -> None:
        self.job, self._stopping = job, threading.Event()

    def run(self, units: Iterable[Unit]) -> Iterator[Outcome]:
        held: list[Unit] = []
        for unit in units:
            if self._stopping.is_set():
                break
            held.append(unit)
            if unit.stem.startswith("deadly"):
                os.kill(os.getpid(), signal.SIGKILL)
            if unit.stem.startswith("odd"):
                raise OSError("an odd driver")
            if unit.stem.startswith("wrong"):
                raise UsageError("a wrong job")
            if unit.stem.startswith("slow"):
                self._stopping.wait()
                yield self._outcome(unit)
                return
            if len(held) == 3:  # as a batch does, several photos finish together
                yield from map(self._outcome, held)
                held = []
        if not self._stopping.is_set():
            yield from map(self._outcome, held)

    def _outcome(self, unit: Unit) -> Outcome:
        return Outcome(unit, rows=(SummaryRow(unit.stem, os.getpid()),))


class BrokenWorker(StandInWorker):
    """Dies at its start."""

    def __init__(self, job: Job) -> None:
        os._exit(7)
