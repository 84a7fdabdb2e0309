"""``python -m smplifyx``, and the command of the same name."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from contextlib import suppress
from typing import NoReturn

#: Imports make many objects and few cycles: looking for cycles less often than Python does saves a tenth of them.
_COLLECT_AFTER = 100_000


def run() -> NoReturn:
    """Run one command and end the process at once: tidying up all of torch at its end takes half a second."""
    gc.set_threshold(_COLLECT_AFTER, 20, 20)
    from smplifyx.cli.signals import STATUS_OF, end_with_status
    from smplifyx.late_torch import put_off_parts_of_torch

    end_with_status()  # at once: importing the rest takes a second
    put_off_parts_of_torch()
    try:
        from smplifyx.cli.main import main

        status = main()
    except KeyboardInterrupt:
        status = STATUS_OF["SIGINT"]
    except SystemExit as ending:  # argparse: --help, wrong options
        status = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # its reader has gone, or it is closed
            stream.flush()
    os._exit(status)


if __name__ == "__main__":
    run()
