"""Fits single views of calibrated scenes and compares them with the person triangulated from all views."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from smplifyx.body.model_files import load_body_model_data
from smplifyx.body.search import find_body_model
from smplifyx.config import Override, load_config
from smplifyx.evaluation.tables import format_table, summarise
from smplifyx.evaluation.view_scenes import balancing_scenes, describe_scene, evaluate_scenes, seated_scene


def parse_arguments() -> tuple[argparse.Namespace, list[Override]]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--balancing", type=Path, help="folder of Pose2Sim's balancing trial")
    parser.add_argument("--seated", type=Path, help="folder of MvSMPLfitting's example")
    parser.add_argument("--gender", default="neutral", choices=("neutral", "male", "female"))
    parser.add_argument("--config", help="settings of the fitter (YAML)")
    parser.add_argument("--set", nargs=2, action="append", default=[], metavar=("KEY", "VALUE"), dest="overrides")
    parser.add_argument("--true-camera", action="store_true", help="give the fitter the calibrated cameras")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    if not arguments.balancing and not arguments.seated:
        parser.error("expected --balancing or --seated")
    return arguments, [Override(key, value) for key, value in arguments.overrides]


def main() -> None:
    arguments, overrides = parse_arguments()
    torch.set_num_threads(arguments.threads)
    config = load_config(arguments.config, overrides)
    data = load_body_model_data(find_body_model("smplx", arguments.gender, config.body.models_dir))
    scenes = balancing_scenes(arguments.balancing) if arguments.balancing else []
    scenes += [seated_scene(arguments.seated)] if arguments.seated else []
    print("\n".join(describe_scene(scene) for scene in scenes), end="\n\n")
    rows = evaluate_scenes(data, config, scenes, arguments.true_camera)
    print(format_table(rows), end="\n\n")
    print(format_table(summarise(rows)))


if __name__ == "__main__":
    main()
