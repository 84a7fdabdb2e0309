"""Output of native libraries, which write to the process's streams past Python and its log levels."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def silent_stderr() -> Iterator[None]:
    """Discard what is written to the standard error stream, by native code too."""
    try:
        kept = os.dup(2)
    except OSError:  # no such stream, so nothing to hide
        yield
        return
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(sink)
