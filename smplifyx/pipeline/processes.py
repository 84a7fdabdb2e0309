"""Workers in processes of this machine, fed one photo at a time.

Each worker has a pipe of its own, so that one that dies, at whatever moment, leaves nothing locked. Its photos are
then tried one at a time; a photo with which a worker dies again fails alone.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import queue
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Literal

from smplifyx.child_processes import ignore_signals, starting_a_child
from smplifyx.errors import OutputError, SmplifyxError, UsageError, reason
from smplifyx.pipeline.executor import outcomes_of
from smplifyx.pipeline.units import Failure, Job, Outcome, Unit
from smplifyx.pipeline.worker import Worker

#: Seconds between looks at a request to stop.
_PATIENCE = 0.2
#: Workers that may die before any of them has asked for a photo.
_MOST_EARLY_DEATHS = 3
#: Seconds after which a worker that was told to quit is killed.
_SECONDS_TO_QUIT = 5.0

#: From the parent, besides units: no more photos for now; stop; end the process.
_Order = Literal["round", "stop", "quit"]


#: Makes a worker; goes to other processes.
MakeWorker = Callable[[Job], Worker]


class ProcessExecutor:
    """Workers in spawned processes.

    Args:
        n_workers: number of processes.
        make_worker: makes the worker of a process, in that process.
    """

    def __init__(self, n_workers: int, make_worker: MakeWorker = Worker) -> None:
        self._n_workers, self._make_worker = n_workers, make_worker
        self._is_stopped = False

    def run(self, units: Iterable[Unit], job: Job) -> Generator[Outcome, None, None]:
        """As :meth:`~smplifyx.pipeline.executor.Executor.run`."""
        pool = _Pool(
            units, functools.partial(_Process, job, self._make_worker), self._n_workers, lambda: self._is_stopped
        )
        try:
            pool.fill()
            yield from outcomes_of(pool, lambda: self._is_stopped)
        finally:
            pool.kill()

    def stop(self) -> None:
        """As :meth:`~smplifyx.pipeline.executor.Executor.stop`."""
        self._is_stopped = True


class _Process:
    """A worker as the parent sees it.

    Attributes:
        connection: the parent's end of the pipe.
        units: the photos that it has and has not finished, by stem.
        is_alone: it works on one photo at a time, with which another worker died.
        has_asked: it has asked for a photo.
        error: the error that ended it, if it could send one.
    """

    def __init__(self, job: Job, make_worker: MakeWorker) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.units: dict[str, Unit] = {}
        self.is_alone = self.has_asked = False
        self.error = ""
        self.process = context.Process(
            target=_serve, args=(theirs, job, make_worker), name="smplifyx-worker", daemon=True
        )
        with _one_thread_each(), starting_a_child():
            self.process.start()
        theirs.close()

    def send(self, message: Unit | _Order) -> None:
        """Send something; a worker that has died is noticed when it is listened to."""
        with suppress(OSError):
            self.connection.send(message)

    def end(self) -> str:
        """Wait for the end of a process that has closed its pipe; says how it ended."""
        self.process.join(timeout=10)
        if self.error:
            return self.error
        code = self.process.exitcode
        if code is not None and code < 0:
            return f"signal {-code} ({signal.Signals(-code).name})"
        return f"exit status {code}"


class _Pool:
    """The workers of a run and the photos that wait for them.

    Args:
        units: the photos.
        start: starts a worker.
        n_workers: number of processes.
        is_stopped: tells whether the run is to end.
    """

    def __init__(
        self, units: Iterable[Unit], start: Callable[[], _Process], n_workers: int, is_stopped: Callable[[], bool]
    ) -> None:
        self._units, self._start, self._n_workers, self._is_stopped = iter(units), start, n_workers, is_stopped
        self._to_retry: deque[Unit] = deque()
        self._n_early_deaths = 0
        self._is_stopping = self._is_exhausted = False
        self._workers: list[_Process] = []
        self._leaving: list[BaseProcess] = []

    def fill(self) -> None:
        """Start the workers."""
        while len(self._workers) < self._n_workers and not self._is_stopped():
            self._workers.append(self._start())

    @property
    def is_done(self) -> bool:
        """All photos are done and all workers have ended."""
        return not self._workers

    def step(self) -> Iterator[Outcome]:
        """Answer messages of workers within some patience; yields the outcomes."""
        by_connection: dict[Any, _Process] = {one.connection: one for one in self._workers}
        for connection in wait(list(by_connection), timeout=_PATIENCE):
            worker = by_connection[connection]
            try:
                kind, content = worker.connection.recv()
            except Exception:  # the pipe is closed, or a message was cut off: the process has died
                yield from self._replace_dead(worker)
                continue
            if kind == "outcome":
                worker.units.pop(content.unit.stem, None)
                yield content
            elif kind == "error":
                raise content
            elif kind == "crash":
                worker.error = content  # its end follows
            else:
                worker.has_asked, self._n_early_deaths = True, 0
                self._answer(worker, kind)

    def stop(self) -> None:
        """Have all workers end soon."""
        self._is_stopping = True
        for worker in self._workers:
            worker.send("stop")

    def kill(self) -> None:
        """End all processes at once; those that were told to quit have some seconds for it."""
        for process in self._leaving:
            process.join(_SECONDS_TO_QUIT)
            process.kill()
            process.join()
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.connection.close()
        self._workers = []

    def _answer(self, worker: _Process, kind: str) -> None:
        """Answer a worker that asks for a photo (``next``), or has finished a round of them (``round``)."""
        if kind == "next":
            unit = None if worker.is_alone and worker.units else self._next_unit(worker)
            if unit is None:
                worker.send("round")
            else:
                worker.units[unit.stem] = unit
                worker.send(unit)
        elif self._to_retry and not self._is_stopping:
            worker.is_alone = True
            worker.send("round")
        else:
            worker.send("quit")
            self._remove(worker)

    def _next_unit(self, worker: _Process) -> Unit | None:
        if self._is_stopping:
            return None
        if worker.is_alone:
            return self._to_retry.popleft() if self._to_retry else None
        if self._is_exhausted:
            return None
        unit = next(self._units, None)
        self._is_exhausted = unit is None
        return unit

    def _replace_dead(self, worker: _Process) -> Iterator[Outcome]:
        """Replace a worker that died; its photos are tried one at a time."""
        how = worker.end()
        self._remove(worker)
        lost = list(worker.units.values())
        if worker.is_alone:
            for unit in lost:
                yield Outcome(unit, failures=(Failure(str(unit.image), f"a worker process died with it: {how}"),))
        else:
            self._to_retry.extend(lost)
        if self._is_stopping or self._is_stopped():
            return
        self._n_early_deaths += not worker.has_asked
        if self._n_early_deaths >= _MOST_EARLY_DEATHS:
            raise SmplifyxError(f"worker processes die at their start ({how}); --workers 1 fits in this process")
        if self._to_retry or not self._is_exhausted:
            self._workers.append(self._start())

    def _remove(self, worker: _Process) -> None:
        self._workers.remove(worker)
        worker.connection.close()
        self._leaving.append(worker.process)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let libraries that are loaded by a new process use one thread."""
    libraries = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    names = [name for name in libraries if name not in os.environ]
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name in names:
            del os.environ[name]


def _serve(connection: Connection, job: Job, make_worker: MakeWorker) -> None:
    """Work on units from the parent until it says ``quit`` or is gone."""
    ignore_signals()
    parent = _ParentConnection(connection)
    try:
        worker = make_worker(job)
        parent.listen(worker)
        while not parent.has_quit:
            for outcome in worker.run(parent.units()):
                parent.send("outcome", outcome)
            parent.send("round", None)
            parent.wait_for_round()
    except (UsageError, OutputError) as error:
        parent.send("error", type(error)(str(error)))
    except _ParentGone:
        return
    except Exception as error:
        text = traceback.format_exc() if job.run.verbose else f"{type(error).__name__}: {reason(error)}"
        with suppress(_ParentGone):
            parent.send("crash", text)
        raise SystemExit(1) from None


class _ParentGone(Exception):  # noqa: N818
    """The other end of the pipe is closed."""


class _ParentConnection:
    """The worker's end of the pipe, which several threads write to and one reads from."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._received: queue.SimpleQueue[Unit | str] = queue.SimpleQueue()
        self.has_quit = False

    def listen(self, worker: Worker) -> None:
        """Receive in a thread, so that an order to stop is followed at once."""
        threading.Thread(target=self._receive, args=(worker,), name="smplifyx-listen", daemon=True).start()

    def _receive(self, worker: Worker) -> None:
        while True:
            try:
                message = self._connection.recv()
            except (EOFError, OSError):
                message = "quit"
            if message == "stop" or message == "quit":
                worker.stop()
            self._received.put(message)
            if message == "quit":
                return

    def send(self, kind: str, content: object) -> None:
        """Send a message to the parent; raises :class:`_ParentGone`."""
        with self._sending:
            try:
                self._connection.send((kind, content))
            except OSError as error:
                raise _ParentGone from error

    def units(self) -> Iterator[Unit]:
        """Ask for one photo after the other until the parent has none."""
        while True:
            self.send("next", None)
            message = self._received.get()
            if isinstance(message, Unit):
                yield message
                continue
            if message == "quit":
                self._quit()
            return

    def wait_for_round(self) -> None:
        """Wait for the order to go on or to quit."""
        while not self.has_quit:
            message = self._received.get()
            if message == "quit":
                self._quit()
            elif message == "round":
                return

    def _quit(self) -> None:
        """Note the end, and leave the order to others that wait, such as a reader whose round was stopped."""
        self.has_quit = True
        self._received.put("quit")
