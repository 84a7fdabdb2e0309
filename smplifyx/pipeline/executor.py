"""The interface of executors, and the one that works in this process.

An executor runs a job over units somewhere: here, in processes of this machine
(:mod:`~smplifyx.pipeline.processes`), or on a cluster. It starts a :class:`~smplifyx.pipeline.worker.Worker` with
the job where the work is done, hands it units and passes its outcomes on. A worker keeps models and networks in
memory, so one should live long and get hundreds of units.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Protocol

from smplifyx.pipeline.units import Job, Outcome, Unit
from smplifyx.pipeline.worker import Worker
from smplifyx.pipeline.writing import OpenRenderer


class Executor(Protocol):
    """Interface of the objects that run a job over units."""

    def run(self, units: Iterable[Unit], job: Job) -> Generator[Outcome, None, None]:
        """Yield one outcome for each unit, in the order in which they are finished.

        Units are taken from the iterable as workers become free: it may be long and lazy. A unit that cannot be
        worked on, whatever the reason, comes back as an outcome with a failure.

        Closing the generator ends the work at once.

        Raises:
            UsageError: the job itself cannot be done: a body model or a prior is missing or damaged.
            OutputError: the disk is full.
        """
        ...

    def stop(self) -> None:
        """End soon, from a signal handler or another thread: people who are fitted are written.

        Fits under way are given up, and no others are begun.

        :meth:`run` then yields the outcomes of written people, with ``is_complete`` False for photos of which people
        are missing, and ends. Units that were not begun have no outcome.
        """
        ...


class Pool(Protocol):
    """The workers of a run, as an executor drives them."""

    @property
    def is_done(self) -> bool:
        """All units are finished, or those that were begun before a stop."""
        ...

    def step(self) -> Iterable[Outcome]:
        """Wait for something to happen, and yield finished units."""
        ...

    def stop(self) -> None:
        """Ask all workers to end soon."""
        ...


def outcomes_of(pool: Pool, is_stopped: Callable[[], bool]) -> Generator[Outcome, None, None]:
    """Yield the outcomes of a pool until it is done; pass a request to stop on to it once."""
    is_asked = False
    while not pool.is_done:
        if not is_asked and is_stopped():
            is_asked = True
            pool.stop()
        yield from pool.step()


class SerialExecutor:
    """One worker in this process.

    Args:
        open_one: opens the renderer of the pictures; None for one in this process.
    """

    def __init__(self, open_one: OpenRenderer | None = None) -> None:
        self._open_one = open_one
        self._worker: Worker | None = None
        self._is_stopped = False

    def run(self, units: Iterable[Unit], job: Job) -> Generator[Outcome, None, None]:
        """As :meth:`Executor.run`."""
        self._worker = Worker(job, self._open_one)
        if self._is_stopped:
            return
        try:
            yield from self._worker.run(units)
        finally:
            self._worker.close()

    def stop(self) -> None:
        """As :meth:`Executor.stop`."""
        self._is_stopped = True
        if self._worker is not None:
            self._worker.stop()
