"""Fits synthetic people and prints how far off the fits are: a table of all people, then mean, median and worst."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import torch

from smplifyx.body.files import load_body_model_data
from smplifyx.body.search import find_body_model
from smplifyx.config import Override, load_config
from smplifyx.evaluation.runner import fit_and_score
from smplifyx.evaluation.statistics import format_table, summarise
from smplifyx.synthetic.people import SyntheticOptions, synthetic_people
from smplifyx.synthetic.poses import held_out_poses, mild_poses


def parse_arguments() -> tuple[argparse.Namespace, list[Override]]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mocap", type=Path, help="motion capture (.npz) for the poses; default: mild random poses")
    parser.add_argument("--gender", default="neutral", choices=("neutral", "male", "female"))
    parser.add_argument("--config", help="settings of the fitter (YAML)")
    parser.add_argument("--set", nargs=2, action="append", default=[], metavar=("KEY", "VALUE"), dest="overrides")
    parser.add_argument("--true-camera", action="store_true", help="tell the fitter the focal length")
    parser.add_argument("--summary", action="store_true", help="print the summary only")
    parser.add_argument("--csv", type=Path, help="also write the table of all people here")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    return arguments, [Override(key, value) for key, value in arguments.overrides]


def main() -> None:
    arguments, overrides = parse_arguments()
    torch.set_num_threads(arguments.threads)
    config = load_config(arguments.config, overrides)
    data = load_body_model_data(find_body_model("smplx", arguments.gender, config.body.models_dir))
    poses = held_out_poses(arguments.mocap) if arguments.mocap else mild_poses(seed=arguments.seed)
    people = list(synthetic_people(data, arguments.people, SyntheticOptions(seed=arguments.seed), poses))
    rows = fit_and_score(data, config, people, arguments.true_camera)
    if arguments.csv:
        with arguments.csv.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    if not arguments.summary:
        print(format_table(rows), end="\n\n")
    whole = [row for row in rows if "truncated" not in str(row["flags"])]
    cut = [row for row in rows if "truncated" in str(row["flags"])]
    for title, group in (("all", rows), ("whole people", whole), ("cut by the frame", cut)):
        print(f"{title} ({len(group)})\n{format_table(summarise(group))}\n")


if __name__ == "__main__":
    main()
