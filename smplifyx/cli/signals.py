"""Signals that end a run in order: what is finished is recorded, and the exit status says that more is to be done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from smplifyx.cli.messages import Interrupted
from smplifyx.pipeline import Executor

#: Exit status after each signal. That of SIGUSR1, which schedulers send some time before they kill a job, is
#: EX_TEMPFAIL: run the same command again.
STATUS_OF = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129, "SIGUSR1": 75}


class StopRequest:
    """The signal that came, if one did."""

    def __init__(self) -> None:
        self.number = 0

    def raise_if_asked(self, finished: str) -> None:
        """Raise :class:`Interrupted` if a signal came.

        Args:
            finished: what is finished, for the message.
        """
        if self.number:
            name = signal.Signals(self.number).name
            raise Interrupted(f"{finished}; the same command continues", STATUS_OF[name])


@contextmanager
def stopping(executor: Executor) -> Iterator[StopRequest]:
    """Let signals stop an executor in order; a second Ctrl-C interrupts at once, other further ones are ignored."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():  # only there may handlers be set
        yield request
        return

    def stop(number: int, frame: FrameType | None) -> None:
        if request.number and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not request.number:
            request.number = number
            executor.stop()

    numbers = [getattr(signal, name) for name in STATUS_OF if hasattr(signal, name)]
    earlier = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield request
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
