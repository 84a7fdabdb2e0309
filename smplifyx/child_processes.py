"""Child processes and threads: their number, and signals, as the parent alone decides when they end."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from pathlib import Path

#: Sent to whole groups of processes by terminals and schedulers.
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2")


def n_usable_cores() -> int:
    """Cores that this process may use, by its affinity and the quota of its control group."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return min(cores, max(1, int(quota) // int(period)))
    except (OSError, ValueError):  # no quota
        return cores


def _numbers() -> list[signal.Signals]:
    return [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]


@contextmanager
def starting_a_child() -> Iterator[None]:
    """Hold signals back while a process is started; it inherits that and is safe until it ignores them itself."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    # The tracker unblocks signals when it starts, so it has to run before.
    resource_tracker.ensure_running()
    earlier = signal.pthread_sigmask(signal.SIG_BLOCK, _numbers())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, earlier)


def ignore_signals() -> None:
    """Ignore, in a process started so, signals to whole groups of processes."""
    for number in _numbers():
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _numbers())
