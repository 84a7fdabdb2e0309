"""A worker: one process, one thread of arithmetic, that takes photos from reading to the written result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from smplifyx.pipeline.units import Job, Outcome, Unit


class Worker:
    """Works on the units of one job; keeps body models, networks and the renderer in memory.

    Args:
        job: the job.
    """

    def __init__(self, job: Job) -> None:
        self.job = job

    def run(self, units: Iterable[Unit]) -> Iterator[Outcome]:
        """Yield one outcome for each unit, in the order in which they are finished.

        Reading, fitting and writing overlap, with bounded queues; people are fitted in batches across photos. May be
        called again, for example once for each task of some hundred units.

        Raises:
            UsageError: a body model, prior or network of the job is missing or damaged.
        """
        raise NotImplementedError

    def stop(self) -> None:
        """End :meth:`run` soon; may be called from another thread."""
        raise NotImplementedError
