"""What the gender of the body model is worth: men and women fitted with the right, the neutral and the wrong body.

python scripts/evaluate_gender.py --people 48 --mocap poses.npz

The people come from Anny's full shape space (needs the package anny), so that no body can express them exactly.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import torch

from smplifyx.body.files import load_body_model_data
from smplifyx.body.search import find_body_model
from smplifyx.config import Config, Override, load_config
from smplifyx.evaluation.open_benchmark import OpenBenchmark, benchmark_people
from smplifyx.evaluation.runner import fit_and_score
from smplifyx.evaluation.statistics import difference_interval, format_table, mean_interval
from smplifyx.gender import CLASSES
from smplifyx.synthetic.people import SyntheticPerson

Row = dict[str, str | float]
METRICS = ("pa_v2v_mm", "v2v_pelvis_mm", "pa_mpjpe_mm", "mpjpe_pelvis_mm", "size_percent")
BODIES = ("right", "neutral", "wrong")


def parse_arguments() -> tuple[argparse.Namespace, list[Override]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=48)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mocap", help="motion capture (.npz) for the poses; default: mild random poses")
    parser.add_argument("--config", help="settings of the fitter (YAML)")
    parser.add_argument("--set", nargs=2, action="append", default=[], metavar=("KEY", "VALUE"), dest="overrides")
    parser.add_argument("--true-camera", action="store_true", help="tell the fitter the focal length")
    parser.add_argument("--csv", type=Path, help="also write the figures of all people here")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    return arguments, [Override(key, value) for key, value in arguments.overrides]


def body_for(person: SyntheticPerson, choice: str) -> str:
    """The gender of the body model that a choice means for a person."""
    if choice == "neutral":
        return "neutral"
    right = CLASSES.index(person.gender)
    return CLASSES[right if choice == "right" else 1 - right]


def fit_choice(people: Sequence[SyntheticPerson], choice: str, config: Config, true_camera: bool) -> list[Row]:
    """Figures of all people, in their order, fitted with the chosen bodies."""
    rows: dict[str, Row] = {}
    for gender in sorted({body_for(person, choice) for person in people}):
        group = [person for person in people if body_for(person, choice) == gender]
        data = load_body_model_data(find_body_model("smplx", gender, config.body.models_dir), gender)
        for person, row in zip(group, fit_and_score(data, config, group, true_camera), strict=True):
            rows[person.name] = {"body": choice, "gender": person.gender, **row}
    return [rows[person.name] for person in people]


def main() -> None:
    arguments, overrides = parse_arguments()
    torch.set_num_threads(arguments.threads)
    config = load_config(arguments.config, overrides)
    data = load_body_model_data(find_body_model("smplx", "neutral", config.body.models_dir))
    people = benchmark_people(OpenBenchmark(arguments.people, arguments.seed, arguments.mocap), data)
    rows = {choice: fit_choice(people, choice, config, arguments.true_camera) for choice in BODIES}
    if arguments.csv:
        with arguments.csv.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows["right"][0]))
            writer.writeheader()
            writer.writerows(row for choice in BODIES for row in rows[choice])
    print(f"{len(people)} people, mean [95 % interval]")
    print(format_table([_means(choice, rows[choice]) for choice in BODIES]), end="\n\n")
    print("more than with the right body, person by person")
    print(format_table([_differences(choice, rows[choice], rows["right"]) for choice in BODIES[1:]]))


def _means(choice: str, rows: Sequence[Row]) -> dict[str, str | float]:
    return {"body": choice, **{name: str(mean_interval([row[name] for row in rows])) for name in METRICS}}


def _differences(choice: str, rows: Sequence[Row], right: Sequence[Row]) -> dict[str, str | float]:
    values = {
        name: str(difference_interval([row[name] for row in rows], [row[name] for row in right])) for name in METRICS
    }
    return {"body": choice, **values}


if __name__ == "__main__":
    main()
