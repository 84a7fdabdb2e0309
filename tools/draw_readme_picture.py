"""Make the README's picture from a folder that `smplifyx demo` wrote: photo with keypoints, overlay, side view."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from smplifyx.output import save_picture
from smplifyx.output.contact_sheet import contact_sheet, sheet_entries

_CELL = (230, 300)


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the picture from a folder of results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, metavar="DIR", help="output folder of smplifyx demo")
    parser.add_argument("--output", type=Path, default=Path("docs/demo.jpg"))
    parser.add_argument("--people", nargs="+", default=["walking / 0", "sitting / 0", "reaching / 0", "talking / 1"])
    options = parser.parse_args(arguments)
    entries = {entry.caption.partition(":")[0]: entry for entry in sheet_entries(options.results, print)}
    missing = [name for name in options.people if name not in entries]
    if missing:
        parser.error(
            f"no pictures of {', '.join(missing)} in {options.results}; found {', '.join(entries) or 'none'}"
        )
    # The caption names the photo alone: figures belong into tables.
    chosen = [replace(entries[name], caption=name.partition(" ")[0]) for name in options.people]
    save_picture(contact_sheet(chosen, cell=_CELL), options.output)
    print(options.output)


if __name__ == "__main__":
    main()
