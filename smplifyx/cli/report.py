"""``smplifyx report``: a page about the fits of an output folder."""

from __future__ import annotations

import argparse
import time

from smplifyx.cli import messages
from smplifyx.cli.options import add_results, positive

_DESCRIPTION = """Write OUTPUT/report/index.html, a page to judge the fits of a folder: all people, worst first, with
filters; for each person the photo and the fit under a slider, keypoints, residuals, losses, flags in plain
words, and the mesh to turn. It opens from its file in a browser, without server or network. `fit` writes it
at its end, unless --no-report is given or several shards share the photos."""
_EPILOG = """examples:
  smplifyx report output
  smplifyx report output --details 10000"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "report", help="a page to judge the fits of an output folder", description=_DESCRIPTION, epilog=_EPILOG
    )
    add_results(parser)
    parser.add_argument(
        "--details",
        metavar="N",
        type=positive,
        default=1000,
        help="people with keypoints, plots and mesh, the worst ones; 60 to 300 kB each (default: 1000)",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="write all files again, not only those that changed or are of another version",
    )
    parser.add_argument("--threads", metavar="N", type=positive, help="default: as many as usable cores")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    messages.check_input(arguments.results, "OUTPUT")

    from smplifyx.report import write_report

    started = time.monotonic()
    report = write_report(
        arguments.results, arguments.details, arguments.models, arguments.overwrite, arguments.threads
    )
    messages.say(str(report.page))
    for remark in report.remarks:
        messages.note(f"note: {remark}")
    people = messages.count(report.n_people, "person", "people")
    seconds = messages.duration(time.monotonic() - started)
    messages.note(f"{people}, {report.n_detailed} with details; {messages.size(report.n_bytes)}, {seconds}")
    return 0
