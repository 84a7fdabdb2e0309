"""Workers on a Ray cluster.

Ray Core rather than Ray Data: a worker writes files and keeps state, and its photos come back one by one, so that a
task whose worker dies is repeated without its finished photos. Ray Data would repeat whole blocks, end the job where
a worker cannot be made, and hand results out by block.

All machines need the package in the same version, and the folders of the run under the same paths.
"""

from __future__ import annotations

import importlib
import socket
import time
import traceback
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from types import ModuleType
from typing import Any

from smplifyx.errors import OutputError, SmplifyxError, UsageError
from smplifyx.pipeline.executor import outcomes_of
from smplifyx.pipeline.units import Failure, Job, Outcome, Unit
from smplifyx.pipeline.worker import Worker
from smplifyx.pipeline.worker_count import WORKER_BYTES

#: Photos of a task, and of one for a GPU, whose batches are larger: each task ends with batches that are not full,
#: and a dying worker loses its unfinished photos. With few photos, tasks that each worker gets.
_TASK_SIZE, _GPU_TASK_SIZE, _LEAST_TASKS = 200, 2048, 2
#: Seconds between looks at a request to stop and at the size of the cluster.
_PATIENCE = 0.5
#: Seconds between looks at the machines of the cluster.
_NEW_MACHINES_SECONDS = 5.0
#: Seconds within which a cluster has to answer.
_CONNECT_SECONDS = 10.0
#: Workers that may die before any of them has been ready.
_MOST_EARLY_DEATHS = 3


class RayExecutor:
    """Workers as actors of Ray, one for each GPU, or for each core where no GPU is used.

    Args:
        address: of the cluster, as ``ray.init`` takes it: ``auto``, ``HOST:PORT`` or ``ray://HOST:PORT``; None: the
            cluster that the environment names, otherwise one is started on this machine.
        task_size: photos of a task; None: what suits the workers.

    Raises:
        UsageError: Ray is not installed, or no cluster answers at the address.
    """

    def __init__(self, address: str | None = None, task_size: int | None = None) -> None:
        self._ray, self._task_size, self._is_stopped = _load_ray(), task_size, False
        self._started = not self._ray.is_initialized()
        if self._started:
            _connect(self._ray, address)

    def run(self, units: Iterable[Unit], job: Job) -> Generator[Outcome, None, None]:
        """As :meth:`~smplifyx.pipeline.executor.Executor.run`."""
        with _quiet_ray():
            pool = _Pool(self._ray, units, job, self._task_size)
            try:
                yield from outcomes_of(pool, lambda: self._is_stopped)
            finally:
                pool.kill()
                if self._started:
                    self._ray.shutdown()

    def stop(self) -> None:
        """As :meth:`~smplifyx.pipeline.executor.Executor.stop`."""
        self._is_stopped = True


@dataclass
class _Task:
    """Photos that a worker gets together.

    Attributes:
        units: those that are not finished, by stem.
        has_failed: a worker has died with these photos, or with more that they are a part of.
    """

    units: dict[str, Unit]
    has_failed: bool = False

    def halves(self) -> list[_Task]:
        """The task again; where it had failed before, in two parts."""
        stems = list(self.units)
        middle = (len(stems) + 1) // 2 if self.has_failed else len(stems)
        parts = [stems[:middle], stems[middle:]]
        return [_Task({stem: self.units[stem] for stem in part}, True) for part in parts if part]


@dataclass
class _Actor:
    """A worker as the driver sees it.

    Attributes:
        actor: the worker.
        awaited: the awaited message: that it is ready, or the next outcome.
        task: its present work; None while it is not ready, or idle.
    """

    actor: Any
    awaited: Any
    task: _Task | None = None
    is_ready: bool = field(default=False)


class _Pool:
    """The workers of a run and the photos that wait for them.

    Args:
        ray: the package.
        units: the photos.
        job: the job.
        task_size: photos of a task; None: what suits the workers.
    """

    def __init__(self, ray: ModuleType, units: Iterable[Unit], job: Job, task_size: int | None) -> None:
        self._ray = ray
        self._job = ray.put(job)
        self._resources = _resources(ray, job)
        self._actor_class = ray.remote(_RayWorker)
        self._again: deque[_Task] = deque()
        self._workers: list[_Actor] = []
        self._is_stopping = False
        self._n_early_deaths = 0
        self._remarks: tuple[str, ...] = ()
        self._room, self._room_time = self._count_room(), time.monotonic()
        if not self._room:
            wanted = ", ".join(f"{amount:g} {name}" for name, amount in self._resources.items())
            raise UsageError(f"--executor ray: no machine of the cluster has {wanted}")
        most = task_size or (_GPU_TASK_SIZE if "GPU" in self._resources else _TASK_SIZE)
        unread = iter(units)
        first = list(islice(unread, self._room * _LEAST_TASKS * most))
        self._task_size = max(1, min(most, -(-len(first) // (self._room * _LEAST_TASKS))))
        self._units = chain(first, unread)
        self._tasks: deque[_Task] = deque()
        self._read_ahead()

    @property
    def is_done(self) -> bool:
        """All photos are done, or those that were begun when all was to end."""
        working = any(worker.task is not None for worker in self._workers)
        return not working and (self._is_stopping or not self._has_work)

    @property
    def _has_work(self) -> bool:
        return bool(self._again or self._tasks)

    def step(self) -> Iterator[Outcome]:
        """Start workers where there is room, hand out tasks, and yield outcomes that come within some patience."""
        if not self._is_stopping:
            self._start_workers()
            self._hand_out()
        awaited = {worker.awaited: worker for worker in self._workers if worker.awaited is not None}
        if not awaited:
            return
        done, _ = self._ray.wait(list(awaited), num_returns=1, timeout=_PATIENCE, fetch_local=False)
        for reference in done:
            yield from self._listen(awaited[reference])

    def stop(self) -> None:
        """Have all workers end soon."""
        self._is_stopping = True
        for worker in self._workers:
            if worker.task is not None:
                worker.actor.stop.remote()

    def kill(self) -> None:
        """End all workers at once."""
        for worker in self._workers:
            self._ray.kill(worker.actor)
        self._workers = []

    def _read_ahead(self) -> None:
        """Keep a task ready for each worker there is room for, as far as there are photos."""
        while len(self._tasks) < max(1, self._room):
            units = {unit.stem: unit for unit in islice(self._units, self._task_size)}
            if not units:
                return
            self._tasks.append(_Task(units))

    def _next_task(self) -> _Task:
        task = self._again.popleft() if self._again else self._tasks.popleft()
        self._read_ahead()
        return task

    def _count_room(self) -> int:
        """Workers for which the machines that are alive have resources; the cluster may grow and shrink."""
        machines = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        return sum(
            int(min(machine.get(name, 0.0) / amount for name, amount in self._resources.items()))
            for machine in machines
        )

    def _start_workers(self) -> None:
        if time.monotonic() - self._room_time > _NEW_MACHINES_SECONDS:
            self._room, self._room_time = self._count_room(), time.monotonic()
            self._read_ahead()
        n_tasks = len(self._again) + len(self._tasks)
        idle = sum(worker.task is None for worker in self._workers)
        for _ in range(min(self._room - len(self._workers), n_tasks - idle)):
            actor = self._actor_class.options(
                num_cpus=self._resources.get("CPU", 0),
                num_gpus=self._resources.get("GPU", 0),
                memory=WORKER_BYTES,
                max_restarts=0,
                max_concurrency=2,  # so that it can be told to stop
            ).remote()
            self._workers.append(_Actor(actor, actor.prepare.remote(self._job)))

    def _hand_out(self) -> None:
        for worker in self._workers:
            if worker.is_ready and worker.task is None and self._has_work:
                worker.task = self._next_task()
                worker.awaited = worker.actor.work.remote(list(worker.task.units.values()))

    def _listen(self, worker: _Actor) -> Iterator[Outcome]:
        """Take a message of a worker: that it is ready, an outcome, the end of its task; or that it has died."""
        errors = self._ray.exceptions
        try:
            if not worker.is_ready:
                self._ray.get(worker.awaited)
                worker.is_ready, worker.awaited, self._n_early_deaths = True, None, 0
                return
            outcome = self._ray.get(next(worker.awaited))
        except StopIteration:
            yield from self._end_task(worker)
        except errors.RayTaskError as error:  # raised by the worker
            cause = error.cause
            if isinstance(cause, UsageError | OutputError):
                raise type(cause)(str(cause)) from None
            yield from self._replace_dead(worker, _last_line(error))
        except errors.RayError as error:  # the worker or its machine is gone
            yield from self._replace_dead(worker, f"a worker died with it: {_last_line(error)}")
        else:
            assert worker.task is not None
            worker.task.units.pop(outcome.unit.stem, None)
            yield replace(outcome, remarks=(*outcome.remarks, *self._remarks)) if self._remarks else outcome

    def _end_task(self, worker: _Actor) -> Iterator[Outcome]:
        assert worker.task is not None
        rest, worker.task, worker.awaited = worker.task, None, None
        if rest.units and not self._is_stopping:
            for unit in rest.units.values():
                yield Outcome(unit, failures=(Failure(str(unit.image), "a worker gave no result"),))

    def _replace_dead(self, worker: _Actor, how: str) -> Iterator[Outcome]:
        """Let go of a worker that failed; its unfinished photos are tried again."""
        self._workers.remove(worker)
        self._ray.kill(worker.actor)
        self._remarks = ("a worker of the Ray cluster was lost: its unfinished photos go to others",)
        if not worker.is_ready:
            self._n_early_deaths += 1
            if self._n_early_deaths >= _MOST_EARLY_DEATHS:
                raise SmplifyxError(f"workers of the Ray cluster die at their start: {how}")
        task = worker.task
        if task is None or self._is_stopping:
            return
        if task.has_failed and len(task.units) == 1:
            (unit,) = task.units.values()
            yield Outcome(unit, failures=(Failure(str(unit.image), how),))
        else:
            self._again.extend(task.halves())


class _RayWorker:
    """A worker in an actor; made empty, as an actor that cannot be made does not say why."""

    _worker: Worker

    def prepare(self, job: Job) -> None:
        """Make the worker."""
        self._worker = Worker(job)

    def work(self, units: list[Unit]) -> Generator[Outcome, None, None]:
        """Yield the outcomes of units; Ray hands them over one by one."""
        yield from self._worker.run(units)

    def stop(self) -> None:
        """End :meth:`work` soon."""
        self._worker.stop()


def _resources(ray: ModuleType, job: Job) -> dict[str, float]:
    """Resources of a worker, by the names of Ray: a GPU if the job may use one and the cluster has any."""
    has_gpus = ray.cluster_resources().get("GPU", 0) >= 1
    if job.run.device == "cuda" and not has_gpus:
        raise UsageError("--device cuda: the Ray cluster has no GPU; use --device cpu, or auto")
    resources: dict[str, float] = {"CPU": float(job.run.threads), "memory": float(WORKER_BYTES)}
    if job.run.device != "cpu" and has_gpus:
        resources["GPU"] = 1.0
    return resources


def _load_ray() -> ModuleType:
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise UsageError(f"--executor ray needs Ray ({error}); install it with pip install 'smplifyx[ray]'") from None


def _connect(ray: ModuleType, address: str | None) -> None:
    try:
        host, _, port = (address or "").removeprefix("ray://").rpartition(":")
        if host and port.isdigit():  # Ray itself would try for minutes
            socket.create_connection((host, int(port)), timeout=_CONNECT_SECONDS).close()
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (OSError, ValueError, RuntimeError) as error:
        where = "" if address is None else f" at --ray-address {address}"
        raise UsageError(f"--executor ray: no Ray cluster{where}: {_last_line(error)}") from None


@contextmanager
def _quiet_ray() -> Iterator[None]:
    """Keep Ray's dozens of lines about a lost machine off standard output; no setting does."""
    module, name = importlib.import_module("ray._private.worker"), "print_to_stdstream"
    printing = getattr(module, name, None)
    if printing is None:
        yield
        return
    setattr(module, name, lambda *arguments, **options: None)
    try:
        yield
    finally:
        setattr(module, name, printing)


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else traceback.format_exception_only(error)[-1].strip()
