"""Makes contact sheets of a results folder: photo with keypoints, overlay and side view of each person."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from smplifyx.errors import InputError
from smplifyx.keypoints import read_image
from smplifyx.output import (
    OutputLayout,
    SheetEntry,
    SummaryRow,
    contact_sheet,
    load_result,
    load_source,
    read_summary,
    save_picture,
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, metavar="DIR", help="output folder of smplifyx fit")
    parser.add_argument("--output", type=Path, help="where the sheets go; default: DIR/review")
    parser.add_argument("--people", type=int, default=8, help="people on a sheet")
    parser.add_argument("--across", type=int, default=2, help="people in a row")
    parser.add_argument("--cell", type=int, nargs=2, default=(300, 400), metavar=("W", "H"), help="of a picture")
    arguments = parser.parse_args()
    output = arguments.output or arguments.results / "review"
    output.mkdir(parents=True, exist_ok=True)
    entries = sheet_entries(arguments.results)
    n_sheets = 0
    while people := list(islice(entries, arguments.people)):
        path = output / f"sheet_{n_sheets:03d}.png"
        save_picture(contact_sheet(people, arguments.across, tuple(arguments.cell)), path)
        print(path)
        n_sheets += 1
    if not n_sheets:
        print(f"{arguments.results}: nobody with a result, an overlay and a side view", file=sys.stderr)
    return 0 if n_sheets else 1


def sheet_entries(results: Path) -> Iterator[SheetEntry]:
    """Everybody of the summary table who has all the pictures; the others are named on standard error."""
    layout = OutputLayout(results)
    for row in read_summary(layout.summary_path):
        try:
            yield _entry(layout, row)
        except InputError as error:
            print(f"left out: {error}", file=sys.stderr)


def _entry(layout: OutputLayout, row: SummaryRow) -> SheetEntry:
    path = layout.result_path(row.stem, row.person)
    result, source = load_result(path), load_source(path)
    figures = f"{row.reprojection_error_px:.1f} px, {row.n_keypoints} keypoints, f {result.focal_length[0]:.0f}"
    return SheetEntry(
        photo=read_image(source.image_path),
        keypoints_2d=result.keypoints_2d,
        overlay=read_image(layout.overlay_path(row.stem, row.person)),
        side_view=read_image(layout.side_view_path(row.stem, row.person)),
        caption=f"{row.stem} / {row.person}: {figures} {' '.join(row.flags)}",
    )


if __name__ == "__main__":
    sys.exit(main())
