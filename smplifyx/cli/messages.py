"""Output of the commands: results on standard output, everything else on standard error."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TextIO, TypeVar

from smplifyx import errors
from smplifyx.errors import InputError, UsageError
from smplifyx.words import count as count
from smplifyx.words import duration as duration
from smplifyx.words import size as size

#: Advice of the library, which has no options, in words of the command line.
_ADVICE = {
    errors.GIVE_LAYOUT: "give it with --layout NAME",
    errors.GIVE_SCALE: "give --keypoint-scale FACTOR",
    errors.KEEP_UPRIGHT: "--keypoint-frame upright",
    errors.CHOOSE_STORED: "choose --keypoint-frame stored",
    errors.FIT_CLIPS: "fit frames as clips with smplifyx fit --sequence",
    errors.FIT_VIDEO: "fit it with smplifyx fit --video",
}


class Interrupted(KeyboardInterrupt):
    """A signal ended the run in order.

    Attributes:
        status: the exit status.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


_QUIET: ContextVar[bool] = ContextVar("quiet", default=False)


@contextmanager
def quiet(is_quiet: bool = True) -> Iterator[None]:
    """Print errors alone until the end of the block."""
    token = _QUIET.set(is_quiet or _QUIET.get())
    try:
        with warnings.catch_warnings():
            if is_quiet:
                warnings.simplefilter("ignore")  # those of other threads too
            yield
    finally:
        _QUIET.reset(token)


def say(line: str) -> None:
    """Print a result; bytes of file names that are not UTF-8 are escaped."""
    if _QUIET.get():
        return
    encoding = sys.stdout.encoding or "utf-8"
    print(line.encode(encoding, "backslashreplace").decode(encoding), flush=True)


def note(line: str) -> None:
    """Print a remark on standard error, see :func:`fault`."""
    if not _QUIET.get():
        fault(line)


def fault(line: str) -> None:
    """Print an error on standard error, above a progress bar if one is shown; advice names the option."""
    for advice, with_option in _ADVICE.items():
        line = line.replace(advice, with_option)
    if sys.stderr.isatty():
        from tqdm import tqdm

        tqdm.write(line, file=sys.stderr)
    else:
        print(line, file=sys.stderr, flush=True)


def command(*words: object) -> str:
    """A call of the program to paste into a shell; names with blanks are quoted."""
    return shlex.join(["smplifyx", *map(str, words)])


def note_left_out(settings: Sequence[str]) -> None:
    """Print the recorded settings that another version of the program had."""
    if settings:
        note(f"settings of the run that this version does not have are left out: {', '.join(settings)}")


def show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print warnings of this package as remarks. Those of others are about code, of no use to a user."""
    if Path(__file__).parents[1] in Path(filename).parents:
        note(f"note: {message}")


def complain(error: Exception, with_traceback: bool) -> None:
    """Print an error in one line, after its traceback if asked for."""
    if with_traceback:
        traceback.print_exception(error)
    fault(f"smplifyx: error: {error}")


T = TypeVar("T")


def required_file(read: Callable[..., T], *arguments: object) -> T:
    """The result of ``read``; an unusable file is an error of the call: UsageError."""
    try:
        return read(*arguments)
    except InputError as error:
        raise UsageError(str(error)) from error


def check_output(path: Path | None, option: str = "--output") -> None:
    """Check that a folder can be written to, before the work starts; it is not made yet.

    Raises:
        UsageError: the path is a file or a dangling link, or its parent folder cannot be written.
    """
    if path is None:
        return
    if path.is_file() or (path.is_symlink() and not path.exists()):
        kind = "a file" if path.is_file() else "a link to nothing"
        raise UsageError(f"{option}: {path} is {kind}; expected a folder")
    existing = next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.exists())
    if not existing.is_dir():
        raise UsageError(f"{option}: {existing} is a file; expected a folder")
    try:  # permissions alone do not tell: /proc refuses even root
        os.rmdir(tempfile.mkdtemp(prefix=".smplifyx", dir=existing))
    except OSError as error:
        raise UsageError(f"{option}: cannot write to {existing}: {error.strerror}") from error


def check_input(path: Path | None, option: str) -> None:
    """Check that a folder to read from exists; None names no folder; raises UsageError."""
    if path is not None and not path.is_dir():
        raise UsageError(f"{option}: {path} {'is a file' if path.exists() else 'does not exist'}; expected a folder")


def check_input_file(path: Path | None, option: str) -> None:
    """Check that a file to read exists; None names no file; raises UsageError."""
    if path is not None and not path.is_file():
        raise UsageError(f"{option}: {path} {'is a folder' if path.exists() else 'does not exist'}; expected a file")
