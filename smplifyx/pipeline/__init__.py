"""A run over many photos as a stream: work list, workers, executors.

Photos are listed by name (:mod:`~smplifyx.pipeline.worklist`), an :class:`Executor` hands them to workers, and each
worker reads, fits, writes and draws at the same time with bounded queues (:mod:`~smplifyx.pipeline.worker`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from smplifyx.late_imports import late_names
from smplifyx.pipeline.units import Failure, Job, Outcome, Unit

if TYPE_CHECKING:
    from smplifyx.pipeline.executor import Executor, SerialExecutor

__all__ = ["Executor", "Failure", "Job", "Outcome", "SerialExecutor", "Unit"]

__getattr__ = late_names(__name__, {"Executor": "executor", "SerialExecutor": "executor"})
