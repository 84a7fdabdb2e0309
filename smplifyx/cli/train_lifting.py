"""``smplifyx train lifting``: the network that tells depth from keypoints, from the user's own motion capture."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from smplifyx.cli import messages
from smplifyx.cli.messages import required_file
from smplifyx.cli.training_options import SHIPPED, TrainingCommand, can_plot, run_training, training_config
from smplifyx.errors import UsageError

if TYPE_CHECKING:
    from smplifyx.body.data import BodyModelData
    from smplifyx.training.lifting_config import LiftingConfig
    from smplifyx.training.lifting_trainer import LiftingTrainer
    from smplifyx.training.motion_capture import MotionCapture

_COMMAND = TrainingCommand(
    name="lifting",
    summary="the network that tells depth from keypoints, from motion capture",
    config_name="train_lifting",
    data=("PATH", "folder of AMASS-style .npz, or one .npz of clips"),
    evaluate=("CHECKPOINT", "only report on a trained network; without a name, on the one that ships"),
    example="run.epochs 20",
    description="""Train the network that tells where joints are in depth by their keypoints.

DIR gets lifting.npz, the trained network, for --lifting.checkpoint; config.yaml; state.pt, from which --resume
goes on; curves.png; and report.txt, the last figures on people who were not learned.

With --evaluate nothing is trained: the same figures for a network that exists, printed.""",
)


def add_parser(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to those of ``train``."""
    parser = _COMMAND.add_parser(actions)
    parser.add_argument("--models", metavar="DIR", help="the only folder to search for the body model")
    parser.set_defaults(run=_train_lifting, options=())


def _train_lifting(arguments: argparse.Namespace) -> int:
    from smplifyx.training.lifting_config import LiftingConfig

    config = training_config(arguments, LiftingConfig(), _COMMAND.config_name)
    return run_training(arguments, config, _train, _evaluate)


def _train(arguments: argparse.Namespace, config: LiftingConfig) -> None:
    from smplifyx.config import to_yaml
    from smplifyx.files import write_text
    from smplifyx.training.lifting_report import report
    from smplifyx.training.lifting_trainer import LiftingTrainer

    training, unseen = _split(arguments.data, config)
    messages.note(f"{len(training.held)} poses to learn, {len(unseen.held)} to validate")
    trainer = LiftingTrainer(_body(arguments), training, unseen, config)
    output = arguments.output
    if arguments.resume:
        trainer.resume(output / "state.pt")
    write_text(output / "config.yaml", to_yaml(config))
    held_out = ", ".join(config.data.held_out) or "nobody"
    _run_epochs(trainer, output, f"{len(training.held)} poses of {arguments.data.name}, held out: {held_out}")
    lines = report(trainer.averaged, trainer.validation)
    write_text(output / "report.txt", "\n".join(lines) + "\n")
    for line in lines:
        messages.say(line)


def _evaluate(arguments: argparse.Namespace, config: LiftingConfig) -> None:
    from smplifyx.lifting.network import load_lifting, shipped_lifting
    from smplifyx.training.lifting_report import report
    from smplifyx.training.lifting_trainer import unseen_people

    network = load_lifting(shipped_lifting() if arguments.evaluate is SHIPPED else arguments.evaluate)
    _, unseen = _split(arguments.data, config)
    for line in report(network, unseen_people(_body(arguments), unseen, config)):
        messages.say(line)


def _split(path: Path, config: LiftingConfig) -> tuple[MotionCapture, MotionCapture]:
    """What is learned, and the held-out subjects; where there are none, a share of the rest."""
    from smplifyx.training.motion_capture import load_motion_capture

    options = config.data
    training, unseen = required_file(load_motion_capture, path, options.fps).split_subjects(options.held_out)
    if not len(unseen.held):
        training, unseen = training.split_random(options.validation_share, options.split_by, config.run.seed)
    if not len(training.held) or not len(unseen.held):
        raise UsageError(f"--data: too few {options.split_by}s for training and validation")
    return training, unseen


def _body(arguments: argparse.Namespace) -> BodyModelData:
    from smplifyx.body.files import load_body_model_data
    from smplifyx.body.search import find_body_model

    return load_body_model_data(find_body_model("smplx", "neutral", arguments.models))


def _run_epochs(trainer: LiftingTrainer, output: Path, source: str) -> None:
    """Trains to the end; after every epoch all files are up to date."""
    from tqdm import tqdm

    from smplifyx.lifting.network import save_lifting
    from smplifyx.training.lifting_report import plot_history

    plot, run = can_plot("curves.png"), trainer.config.run
    n_done = len(trainer.history.validation) * run.steps_per_epoch
    with tqdm(total=run.epochs * run.steps_per_epoch, initial=n_done, unit="step", disable=None) as bar:
        for history in trainer.epochs(bar.update):
            trainer.save(output / "state.pt")
            save_lifting(output / "lifting.npz", trainer.averaged, source)
            if plot:
                plot_history(history, output / "curves.png")
            messages.note(
                f"epoch {len(history.validation)}: loss {history.training[-1]:.4f}, validation "
                f"{history.validation[-1]:.4f} ({history.joints_mm[-1]:.1f} mm)"
            )
