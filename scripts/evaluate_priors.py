"""Fits the same people with each body-pose prior and prints a Markdown table of the errors.

With --people: synthetic people; with --mocap in poses of people whom no prior was trained on. With --balancing or
--seated: single views of calibrated scenes, against the person triangulated from all of them.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from smplifyx import skeleton
from smplifyx.body.data import BodyModelData
from smplifyx.body.files import load_body_model_data
from smplifyx.body.search import find_body_model
from smplifyx.config import Config, Override, load_config
from smplifyx.evaluation.posture import MAX_WRONG_BEND, hinge_bends
from smplifyx.evaluation.priors import (
    PriorFigures,
    evaluate_people,
    evaluate_views,
    prior_table,
)
from smplifyx.evaluation.views import balancing_scenes, seated_scene
from smplifyx.synthetic.people import SyntheticOptions, SyntheticPerson, synthetic_people
from smplifyx.synthetic.poses import held_out_poses, mild_poses

PRIORS = ("vposer", "gmm", "gaussian", "l2", "none")


def parse_arguments() -> tuple[argparse.Namespace, list[Override]]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=0, metavar="N", help="so many synthetic people")
    parser.add_argument("--mocap", type=Path, help="motion capture (.npz) for the poses; default: mild random poses")
    parser.add_argument("--seed", type=int, default=0, help="of the synthetic people")
    parser.add_argument("--balancing", type=Path, help="folder of Pose2Sim's balancing trial")
    parser.add_argument("--seated", type=Path, help="folder of MvSMPLfitting's example")
    parser.add_argument("--priors", nargs="+", default=PRIORS, choices=PRIORS, help="the first is compared with")
    parser.add_argument("--config", help="settings of the fitter (YAML)")
    parser.add_argument("--set", nargs=2, action="append", default=[], metavar=("KEY", "VALUE"), dest="overrides")
    parser.add_argument("--csv", type=Path, help="also write every person's figures here")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    if not (arguments.people or arguments.balancing or arguments.seated):
        parser.error("expected --people, --balancing or --seated")
    return arguments, [Override(key, value) for key, value in arguments.overrides]


def main() -> None:
    arguments, overrides = parse_arguments()
    torch.set_num_threads(arguments.threads)
    configs = {
        name: load_config(arguments.config, [*overrides, Override("priors.body_pose", name)])
        for name in arguments.priors
    }
    models_dir = next(iter(configs.values())).body.models_dir
    data = load_body_model_data(find_body_model("smplx", "neutral", models_dir))
    tables = {}
    if arguments.people:
        people = _people(data, arguments)
        tables["people"] = _with_each(configs, lambda config: evaluate_people(data, config, people))
        bent = hinge_bends([person.rotations[skeleton.BODY_JOINTS] for person in people]).max(1) > MAX_WRONG_BEND
        print(f"{len(people)} synthetic people, of whom {bent.sum()} are truly bent backwards\n")
        print(prior_table(tables["people"]), end="\n\n")
    scenes = balancing_scenes(arguments.balancing) if arguments.balancing else []
    scenes += [seated_scene(arguments.seated)] if arguments.seated else []
    if scenes:
        tables["views"] = _with_each(configs, lambda config: evaluate_views(data, config, scenes))
        print(f"{len(next(iter(tables['views'].values())).pa_mpjpe_mm)} calibrated views\n")
        print(prior_table(tables["views"]))
    if arguments.csv:
        _write_csv(arguments.csv, tables)


def _people(data: BodyModelData, arguments: argparse.Namespace) -> list[SyntheticPerson]:
    poses = held_out_poses(arguments.mocap) if arguments.mocap else mild_poses(seed=arguments.seed)
    return list(synthetic_people(data, arguments.people, SyntheticOptions(seed=arguments.seed), poses))


def _with_each(configs: Mapping[str, Config], evaluate: Callable[[Config], PriorFigures]) -> dict[str, PriorFigures]:
    figures = {}
    for name, config in configs.items():
        started = time.perf_counter()
        figures[name] = evaluate(config)
        print(f"{name}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
    return figures


def _write_csv(path: Path, tables: Mapping[str, Mapping[str, PriorFigures]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["table", "prior", "number", *PriorFigures.__dataclass_fields__])
        for table, of_table in tables.items():
            for prior, figures in of_table.items():
                rows = np.stack(list(asdict(figures).values()), axis=1)
                writer.writerows([table, prior, number, *row] for number, row in enumerate(rows.tolist()))


if __name__ == "__main__":
    main()
