"""What the commands print: results on standard output, everything else on standard error."""

from __future__ import annotations

import sys
import traceback


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
