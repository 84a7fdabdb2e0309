"""Locks on open files and folders, which end with their process.

Windows has none of them, nor have some network file systems; on others they hold on one machine only.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


def lock(stream: IO[Any]) -> bool | None:
    """Lock a file until it is closed; False if another process has it, None where there are no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def is_abandoned(stream: IO[Any], is_of_this_machine: bool, seconds: float) -> bool:
    """Whether the process that writes a file, and keeps it locked, has ended; a free file stays locked.

    Where locks do not tell, as of other machines, the file has to be unchanged for some time.
    """
    is_free = lock(stream)
    if is_free and is_of_this_machine:
        return True
    return is_free is not False and time.time() - os.fstat(stream.fileno()).st_mtime > seconds


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Hold a folder while its content is changed: others that want to, wait. It is made if need be.

    Without locks there is no waiting. A folder that cannot be made is no error here: writing into it will be one.
    """
    descriptor = None
    try:
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            if fcntl is not None:
                descriptor = os.open(folder, os.O_RDONLY)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)
