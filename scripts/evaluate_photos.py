"""Judges a folder that `smplifyx fit` wrote, without truth: missed keypoints, wrong facing, joints bent backwards."""

from __future__ import annotations

import argparse
from pathlib import Path

from smplifyx.errors import InputError
from smplifyx.evaluation.photos import judge_folder, keypoint_rows, summary_rows, worst_rows
from smplifyx.evaluation.statistics import format_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="what `smplifyx fit --output` named")
    parser.add_argument("--worst", type=int, default=10, metavar="N", help="so many people are named at the end")
    arguments = parser.parse_args()
    try:
        fits = judge_folder(arguments.folder)
    except InputError as error:
        parser.error(str(error))
    for rows in (summary_rows(fits), keypoint_rows(fits), worst_rows(fits, arguments.worst)):
        print(format_table(rows), end="\n\n")


if __name__ == "__main__":
    main()
