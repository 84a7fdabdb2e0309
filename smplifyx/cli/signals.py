"""Signals that end a run in order: finished work is recorded, and the exit status says that more is to be done."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Protocol

from smplifyx.cli.messages import Interrupted

#: Exit status after each signal. That of SIGUSR1, which schedulers send some time before they kill a job, is
#: EX_TEMPFAIL: run the same command again.
STATUS_OF = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129, "SIGUSR1": 75}


class Stoppable(Protocol):
    """Work that ends in order when asked to."""

    def stop(self) -> None:
        """End soon; called from a signal handler."""
        ...


class StopRequest:
    """The signal that came, if one did."""

    def __init__(self) -> None:
        self.number = 0
        self._executor: Stoppable | None = None

    def pass_on_to(self, executor: Stoppable) -> None:
        """Stop an executor when a signal comes; until then, a signal interrupts at once."""
        self._executor = executor

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: the first stops, a second Ctrl-C interrupts at once, other further ones are ignored."""
        if self._executor is None and not self.number:
            name = signal.Signals(number).name
            raise Interrupted("nothing was begun; the same command starts again", STATUS_OF[name])
        if self.number and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not self.number and self._executor is not None:
            self.number = number
            self._executor.stop()

    def raise_if_asked(self, finished: str) -> None:
        """Raise :class:`Interrupted` if a signal came.

        Args:
            finished: count of the finished work, for the message.
        """
        if self.number:
            name = signal.Signals(self.number).name
            raise Interrupted(f"{finished}; the same command continues", STATUS_OF[name])


def end_with_status() -> None:
    """Let a signal end this process with its own status and a line from now on, where the system's default is set."""
    process = os.getpid()

    def end(number: int, frame: FrameType | None) -> None:
        if os.getpid() != process:  # a copy of it
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        name = signal.Signals(number).name
        with suppress(OSError):
            os.write(2, f"smplifyx: stopped by {name}\n".encode())
        os._exit(STATUS_OF[name])

    for name in STATUS_OF:
        number = getattr(signal, name, None)  # Windows lacks some
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, end)


@contextmanager
def stopping() -> Iterator[StopRequest]:
    """Handle signals in order until the end of the block; those that are ignored, as with nohup, stay so."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():  # only there may handlers be set
        yield request
        return

    numbers = [getattr(signal, name) for name in STATUS_OF if hasattr(signal, name)]
    earlier = {number: signal.getsignal(number) for number in numbers}
    # None is a handler of other than Python code, which could not be put back.
    earlier = {number: one for number, one in earlier.items() if one not in (signal.SIG_IGN, None)}
    for number in earlier:
        signal.signal(number, request.handle)
    try:
        yield request
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
