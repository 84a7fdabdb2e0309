"""Writes contact sheets of a results folder: photo with keypoints, overlay and side view of each person."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from smplifyx.errors import InputError
from smplifyx.output import SheetOptions, write_contact_sheets


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, metavar="DIR", help="output folder of smplifyx fit")
    parser.add_argument("--output", type=Path, help="folder of the sheets; default: DIR/review")
    parser.add_argument("--people", type=int, default=8, help="people on a sheet")
    parser.add_argument("--across", type=int, default=2, help="people in a row")
    parser.add_argument("--cell", type=int, nargs=2, default=(300, 400), metavar=("W", "H"), help="of a picture")
    arguments = parser.parse_args()

    def left_out(error: InputError) -> None:
        print(f"left out: {error}", file=sys.stderr)

    options = SheetOptions(arguments.people, arguments.across, tuple(arguments.cell))
    n_sheets = 0
    for path in write_contact_sheets(
        arguments.results, arguments.output or arguments.results / "review", left_out, options
    ):
        print(path)
        n_sheets += 1
    if not n_sheets:
        print(f"{arguments.results}: no person with a result, an overlay and a side view", file=sys.stderr)
    return 0 if n_sheets else 1


if __name__ == "__main__":
    sys.exit(main())
