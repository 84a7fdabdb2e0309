"""Files that are either complete or absent, and output of native libraries."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Any
from uuid import uuid4

from smplifyx.errors import OutputError

#: Errors of the whole disk, after which no file can be written.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path beside ``path``, with its suffix; it becomes ``path`` when the block ends well.

    The folder is made if need be. If the block raises, the temporary file goes and an earlier ``path`` stays.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid4().hex}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None and error.filename in (None, str(temporary)):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


#: Names of temporary files, and the age in seconds from which their process has surely ended.
_TEMPORARY, _OLD = re.compile(r"\.[0-9a-f]{32}(\..*)?"), 600.0


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files of processes that were killed; those of the last ten minutes stay."""
    try:
        entries = [one for one in os.scandir(folder) if _TEMPORARY.fullmatch(one.name)]
    except OSError:
        return
    for one in entries:
        with suppress(OSError):
            if time.time() - one.stat(follow_symlinks=False).st_mtime > _OLD:
                os.unlink(one.path)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write ``data`` to ``path``, all or nothing."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8 with its line ends unchanged, all or nothing.

    Bytes of file names that are not UTF-8 are written as they are.
    """
    write_bytes(path, text.encode("utf-8", "surrogateescape"))


def write_all(stream: FileIO, data: bytes) -> None:
    """Write all bytes to a stream without a buffer, at once where the system does so."""
    view = memoryview(data)
    while view:
        view = view[stream.write(view) :]


def name_of_now() -> str:
    """A name that sorts by time and differs between machines and processes: ``20260131T235959123456-HOST-PID``."""
    moment = time.time()
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(moment)) + f"{int(moment % 1 * 1e6):06d}"
    return f"{stamp}-{socket.gethostname()}-{os.getpid()}"


def is_full(error: OSError) -> bool:
    """Whether nothing more can be written at all."""
    return error.errno in _FULL


@contextmanager
def output_to(path: str | Path) -> Iterator[None]:
    """Raise OutputError, with the name of the file or else ``path``, when the disk is full."""
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise OutputError(f"cannot write {error.filename or path}: {error.strerror}") from error
        raise


def new_digest() -> Any:
    """A hash to be updated, 16 bytes of BLAKE2b."""
    return hashlib.blake2b(digest_size=16)


def file_digest(path: Path) -> str:
    """Hash of the bytes of a file; raises OSError."""
    hashed = new_digest()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            hashed.update(block)
    return str(hashed.hexdigest())


@contextmanager
def silent_stderr() -> Iterator[None]:
    """Discard the standard error stream, that of native code too."""
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
