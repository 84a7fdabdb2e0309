"""Memory and processor time that processes have used."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

_KIB, _MIB = 1 << 10, 1 << 20


def peak_memory_mib() -> float:
    """Largest memory that this process has held; NaN where the system does not tell."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss starts from what the parent process held
        return float(status.read_text().split("VmHWM:")[1].split()[0]) * _KIB / _MIB
    if resource is None:
        return math.nan
    unit = 1 if sys.platform == "darwin" else _KIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / _MIB


def children_seconds() -> float:
    """Processor time of the child processes that have ended; NaN where the system does not tell."""
    if os.name == "nt":
        return math.nan
    times = os.times()
    return times.children_user + times.children_system
