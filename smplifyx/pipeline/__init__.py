"""A run over many photos as a stream: work list, workers, executors.

Photos are listed by name (:mod:`~smplifyx.pipeline.worklist`), an :class:`Executor` hands them to workers, and each
worker reads, fits, writes and draws at the same time with bounded queues (:mod:`~smplifyx.pipeline.worker`).
"""

from smplifyx.pipeline.executor import Executor, SerialExecutor
from smplifyx.pipeline.units import Failure, Job, Outcome, Unit

__all__ = ["Executor", "Failure", "Job", "Outcome", "SerialExecutor", "Unit"]
