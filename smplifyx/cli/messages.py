"""What the commands print: results on standard output, everything else on standard error."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from smplifyx.errors import InputError, UsageError


class Terminated(KeyboardInterrupt):
    """The process was told to terminate (SIGTERM); handled as an interrupt, with an exit status of its own."""


def say(line: str) -> None:
    """Print a result."""
    print(line, flush=True)


def note(line: str) -> None:
    """Print a remark on standard error, above a progress bar if one is shown."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        tqdm.write(line, file=sys.stderr)
    else:
        print(line, file=sys.stderr, flush=True)


def complain(error: Exception, with_traceback: bool) -> None:
    """Print an error in one line, after its traceback if asked for."""
    if with_traceback:
        traceback.print_exception(error)
    note(f"smplifyx: error: {error}")


T = TypeVar("T")


def required_file(read: Callable[..., T], *arguments: object) -> T:
    """What ``read`` makes of a file; if the file is unusable, the call is wrong and a UsageError is raised."""
    try:
        return read(*arguments)
    except InputError as error:
        raise UsageError(str(error)) from error


def check_output(path: Path | None, option: str = "--output") -> None:
    """Raises UsageError where a file is in the place of a folder to write to; None names no folder."""
    if path is not None and path.is_file():
        raise UsageError(f"{option}: {path} is a file; expected a folder")


def check_input(path: Path | None, option: str) -> None:
    """Raises UsageError unless a folder to read from exists; None names no folder."""
    if path is not None and not path.is_dir():
        raise UsageError(f"{option}: {path} is {'a file' if path.exists() else 'not there'}; expected a folder")
