"""Steps that the evaluations share: settings, body models, scenes, progress, output."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from smplifyx.body.data import BodyModelData
from smplifyx.body.search import find_body_model
from smplifyx.cli import messages
from smplifyx.config import Config, load_config
from smplifyx.evaluation.runner import load_model
from smplifyx.evaluation.view_scenes import ViewScene, balancing_scenes, seated_scene
from smplifyx.keypoints import Observation, load_pairs, pair_folder


def fit_config(arguments: argparse.Namespace) -> Config:
    """The settings of the fits; sets the number of threads."""
    torch.set_num_threads(arguments.threads)
    return load_config(arguments.config, arguments.overrides)


def load_body(models_dir: str | Path | None, gender: str = "neutral", model: str = "smplx") -> BodyModelData:
    """Load a body model; raises UsageError where there is none."""
    return load_model(messages.required_file(find_body_model, model, gender, models_dir), gender)


def calibrated_scenes(arguments: argparse.Namespace) -> list[ViewScene]:
    """The scenes of ``--balancing`` and ``--seated``."""
    scenes = balancing_scenes(arguments.balancing) if arguments.balancing else []
    return scenes + ([seated_scene(arguments.seated)] if arguments.seated else [])


def photo_people(folders: Sequence[Path]) -> list[Observation]:
    """The people of folders with ``images`` and ``keypoints``; notes the files that cannot be used."""
    people: list[Observation] = []
    for folder in folders:
        pairing = messages.required_file(pair_folder, folder / "images", folder / "keypoints")
        loaded = load_pairs(pairing.pairs)
        for failure in loaded.failures:
            messages.note(f"left out: {failure}")
        people += loaded.observations
    return people


def progress_bar(total: int, name: str, unit: str = "person") -> tqdm:
    """A bar of work that is done, on terminals."""
    return tqdm(total=total, desc=name, unit=unit, smoothing=0, disable=not sys.stderr.isatty())


def print_report(report: str, folder: Path) -> None:
    """Print a report whose tables are in a folder."""
    messages.say(report)
    messages.note(f"tables are in {folder}")
