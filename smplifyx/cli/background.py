"""One thread that works off jobs in order while the caller goes on."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

#: Jobs that wait or run before the caller must wait: their results are held in memory.
_MOST_PENDING = 2


class Background:
    """Works off jobs one after the other in one thread; made by :func:`background`."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="smplifyx-writer")
        self._pending: deque[Future[None]] = deque()
        self._stopping = threading.Event()

    @property
    def stopping(self) -> bool:
        """Whether the running job is to end as soon as what it has begun is complete."""
        return self._stopping.is_set()

    def submit(self, job: Callable[..., None], *arguments: object) -> None:
        """Append a job; waits while two are pending. Raises what an earlier job raised."""
        while len(self._pending) >= _MOST_PENDING:
            self._pending.popleft().result()
        self._pending.append(self._pool.submit(job, *arguments))

    def wait(self) -> None:
        """Wait until every job is done; raises what one of them raised."""
        while self._pending:
            self._pending.popleft().result()

    def stop(self) -> None:
        """Drop the jobs that have not begun and tell the running one to end."""
        self._stopping.set()
        for job in self._pending:
            job.cancel()

    def close(self, last: Callable[[], None]) -> None:
        """Let the thread do what is pending and, as its last act, ``last``."""
        self._pool.submit(last)
        self._pool.shutdown()


@contextmanager
def background(last: Callable[[], None]) -> Iterator[Background]:
    """A worker for the block; all jobs are done when the block ends.

    If the user interrupts, jobs that have not begun are dropped; if the block fails otherwise, they are still done.

    Args:
        last: done by the thread at its end in any case.

    Raises:
        Exception: whatever the first failing job raised.
    """
    worker = Background()
    try:
        yield worker
        worker.wait()
    except KeyboardInterrupt:
        worker.stop()
        raise
    finally:
        worker.close(last)
