"""``smplifyx train``: priors and classifier from the user's own data."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from smplifyx.cli import messages, train_gender, train_lifting
from smplifyx.cli.messages import required_file
from smplifyx.cli.training_options import SHIPPED, TrainingCommand, can_plot, run_training, training_config
from smplifyx.errors import UsageError

if TYPE_CHECKING:
    from smplifyx.training.vposer_config import VPoserConfig
    from smplifyx.training.vposer_trainer import VPoserTrainer

#: Vertices, spread evenly, that the report looks at.
_N_REPORT_POINTS = 1000

_COMMAND = TrainingCommand(
    name="vposer",
    summary="the body-pose network, from motion capture",
    config_name="train_vposer",
    data=("PATH", "folder of AMASS-style .npz, or one .npz of clips"),
    evaluate=(
        "CHECKPOINT",
        "only report on a trained network on the held-out people; without a name, on the one that ships",
    ),
    example="loss.divergence 0.01",
    description="""Train the body-pose network on motion capture.

DIR gets vposer.npz, the trained network, for --priors.vposer; config.yaml; state.pt, from which --resume
goes on; curves.png; and report.txt, the figures on people who were held out.

With --evaluate nothing is trained: the same figures for a network that exists, printed.""",
)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "train", help="train priors and classifier on your own data", description="Training.", allow_abbrev=False
    )
    actions = parser.add_subparsers(dest="action", metavar="WHAT", required=True, title="what")
    vposer = _COMMAND.add_parser(actions)
    vposer.add_argument("--models", metavar="DIR", help="the only folder to search for the body model")
    vposer.set_defaults(run=_train_vposer, options=())
    train_lifting.add_parser(actions)
    train_gender.add_parser(actions)


def _train_vposer(arguments: argparse.Namespace) -> int:
    from smplifyx.training.vposer_config import VPoserConfig

    config = training_config(arguments, VPoserConfig(), _COMMAND.config_name)
    return run_training(arguments, config, _train, _evaluate)


def _train(arguments: argparse.Namespace, config: VPoserConfig) -> None:
    from smplifyx.body.files import load_body_model_data
    from smplifyx.body.search import find_body_model
    from smplifyx.config import to_yaml
    from smplifyx.files import write_text
    from smplifyx.priors.vposer_checkpoints import save_vposer
    from smplifyx.training.deviation import with_deviation
    from smplifyx.training.motion_capture import load_motion_capture
    from smplifyx.training.surface import PoseSurface
    from smplifyx.training.vposer_report import PoseCoder, report
    from smplifyx.training.vposer_trainer import VPoserTrainer

    options, output = config.data, arguments.output
    seen, held_out = required_file(load_motion_capture, arguments.data, options.fps).split_subjects(options.held_out)
    training, validation = seen.split_random(options.validation_share, options.split_by, config.run.seed)
    if not len(training.held) or not len(validation.held):
        raise UsageError(f"--data: too few {options.split_by}s for training and validation")
    messages.note(
        f"{len(training.held)} poses to learn, {len(validation.held)} to validate, {len(held_out.held)} held out"
    )
    body = load_body_model_data(find_body_model("smplx", "neutral", arguments.models))
    trainer = VPoserTrainer(body, training, validation, config)
    if arguments.resume:
        trainer.resume(output / "state.pt")
    write_text(output / "config.yaml", to_yaml(config))
    held_out_names = ", ".join(options.held_out) or "nobody"
    source = f"{len(training.held)} poses of {arguments.data.name}, held out: {held_out_names}"
    _run_epochs(trainer, output, source)
    save_vposer(output / "vposer.npz", with_deviation(trainer.best_network().folded(source), training, config))
    unseen = held_out if len(held_out.held) else validation
    coder = PoseCoder.of_network(trainer.best_network())
    lines = report(coder, PoseSurface(body, _N_REPORT_POINTS), unseen, config.run.seed).lines()
    write_text(output / "report.txt", "\n".join(lines) + "\n")
    for line in lines:
        messages.say(line)


def _evaluate(arguments: argparse.Namespace, config: VPoserConfig) -> None:
    from smplifyx.body.files import load_body_model_data
    from smplifyx.body.search import find_body_model
    from smplifyx.priors.vposer import VPoser
    from smplifyx.priors.vposer_checkpoints import load_vposer, shipped_weights
    from smplifyx.training.motion_capture import load_motion_capture
    from smplifyx.training.surface import PoseSurface
    from smplifyx.training.vposer_report import PoseCoder, report

    options = config.data
    _, held_out = required_file(load_motion_capture, arguments.data, options.fps).split_subjects(options.held_out)
    if not len(held_out.held):
        raise UsageError("--evaluate: nobody is held out; name subjects with --data.held_out")
    prior = VPoser(load_vposer(shipped_weights() if arguments.evaluate is SHIPPED else arguments.evaluate))
    messages.note(prior.source)
    body = load_body_model_data(find_body_model("smplx", "neutral", arguments.models))
    surface = PoseSurface(body, _N_REPORT_POINTS)
    for line in report(PoseCoder.of_prior(prior), surface, held_out, config.run.seed).lines():
        messages.say(line)


def _run_epochs(trainer: VPoserTrainer, output: Path, source: str) -> None:
    """Trains to the end; after every epoch all files are up to date."""
    from tqdm import tqdm

    from smplifyx.priors.vposer_checkpoints import save_vposer
    from smplifyx.training.vposer_report import plot_history

    plot = can_plot("curves.png")
    run = trainer.config.run
    n_done = len(trainer.history.validation) * run.steps_per_epoch
    with tqdm(total=run.max_epochs * run.steps_per_epoch, initial=n_done, unit="step", disable=None) as bar:
        for history in trainer.epochs(bar.update):
            trainer.save(output / "state.pt")
            save_vposer(output / "vposer.npz", trainer.best_network().folded(source))
            if plot:
                plot_history(history, output / "curves.png")
            messages.note(
                f"epoch {len(history.validation)}: loss {history.training[-1]:.4f}, validation "
                f"{history.validation[-1]:.4f} ({history.rotation_deg[-1]:.2f} degrees, "
                f"{history.surface_mm[-1]:.1f} mm, {history.divergence[-1]:.1f} nats)"
            )
