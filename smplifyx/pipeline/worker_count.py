"""How many workers a machine has room for."""

from __future__ import annotations

import os
from pathlib import Path

from smplifyx.child_processes import n_usable_cores
from smplifyx.config import RunOptions

#: Memory of a worker with body models of all genders, classifiers and a batch of 32, bytes.
WORKER_BYTES = 900 << 20
#: Photos for each worker below which another one would not pay for its start of some seconds.
_LEAST_PHOTOS = 24


def suitable_workers(run: RunOptions, n_photos: int) -> int:
    """Number of workers: as asked for, or as many as free cores, memory and photos make useful; one for a GPU."""
    if run.workers != "auto":
        return run.workers
    if run.device != "cpu" and _has_gpu():
        return 1
    return max(1, min(_free_cores() // run.threads, _free_memory() // WORKER_BYTES, n_photos // _LEAST_PHOTOS))


def _has_gpu() -> bool:
    import torch  # late: detecting people needs none

    return torch.cuda.is_available()


def _free_cores() -> int:
    """Cores that this process may use; those of a whole machine less those that others are busy on.

    The load is that of the machine: it says nothing about a part of it that a scheduler has set aside.
    """
    cores = n_usable_cores()
    is_shared = cores == os.cpu_count() and hasattr(os, "getloadavg")
    return max(1, cores - int(os.getloadavg()[0]) if is_shared else cores)


def _free_memory() -> int:
    """Bytes of memory that are available to this process; plenty where the system does not say."""
    free = 1 << 50
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
        limit, used = (Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory.current"))
        free = min(free, int(limit.read_text()) - int(used.read_text()))
    except (OSError, ValueError, StopIteration):
        pass
    return free
