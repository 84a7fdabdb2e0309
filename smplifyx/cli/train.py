"""``smplifyx train``: pose network, lifting network and gender classifier from the user's own data."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smplifyx.cli import messages
from smplifyx.cli.messages import required_file
from smplifyx.cli.options import positive
from smplifyx.errors import UsageError

if TYPE_CHECKING:
    from smplifyx.training.trainer import Monitor, Progress

#: Stands for the network that ships with the package.
_SHIPPED = Path("shipped")


@dataclass(frozen=True)
class _Training:
    """Texts of one command of ``train``.

    Attributes:
        name, summary, description: of the command, for its help.
        data, evaluate: metavar and help of the options of these names.
        example: a setting and a value, for the help.
    """

    name: str
    summary: str
    description: str
    data: tuple[str, str]
    evaluate: tuple[str, str]
    example: str

    @property
    def config_name(self) -> str:
        """Name of the shipped configuration."""
        return f"train_{self.name}"


_MOCAP = ("PATH", "folder of AMASS-style .npz, or one .npz of clips")
_TRAININGS = (
    _Training(
        name="vposer",
        summary="the body-pose network, from motion capture",
        data=_MOCAP,
        evaluate=("CHECKPOINT", "only report on this network (default: the shipped one) on the held-out people"),
        example="loss.divergence 0.01",
        description="""Train the body-pose network on motion capture.

Files in DIR:
  vposer.npz   the trained network, for --priors.vposer
  report.txt   figures on held-out people
  curves.png   learning curves
  config.yaml  all settings
  state.pt     for --resume

--evaluate trains nothing and prints the report of an existing network.""",
    ),
    _Training(
        name="lifting",
        summary="the lifting network (3D joints of keypoints), from motion capture",
        data=_MOCAP,
        evaluate=("CHECKPOINT", "only report on this network (default: the shipped one)"),
        example="run.epochs 20",
        description="""Train the network that predicts 3D joints from keypoints.

Files in DIR:
  lifting.npz  the trained network, for --lifting.checkpoint
  report.txt   figures on validation people
  curves.png   learning curves
  config.yaml  all settings
  state.pt     for --resume

--evaluate trains nothing and prints the report of an existing network.""",
    ),
    _Training(
        name="gender",
        summary="the gender classifier, from photos",
        data=("MANIFEST.csv", "table of people with gender labels"),
        evaluate=("CLASSIFIER", "only report on this .safetensors or .onnx (default: the shipped ones)"),
        example="architecture.width 24",
        description="""Train the classifier that chooses male, female or neutral bodies.

MANIFEST.csv has the columns image, keypoint_file, person (number in the
keypoint file, from 0), label (male, female) and optionally source; paths are
relative to it. People of one source (default: of one photo) are not split
between training, validation and test.

--out-of-distribution adds photos without labels that the classifier learns to
recognise as pictures it must not judge. This is for training on pictures of
another kind than those to classify, such as rendered ones. Training on your
own photos does not need it.

Files in DIR:
  gender.safetensors  the trained classifier, for `fit --gender.classifier`
  report.txt          figures on the test people
  test.csv            the test people
  reliability.png     accuracy by probability, verdicts by threshold
  curves.png          learning curves
  config.yaml         all settings
  state.pt            for --resume

--evaluate trains nothing and prints the report of an existing classifier on
all people of the manifest. Without a file, it prints those of the shipped
classifiers of whole people and of faces, and of their joint decisions.""",
    ),
)


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "train", help="train priors and classifier on your own data", description="Training."
    )
    actions = parser.add_subparsers(dest="action", metavar="WHAT", required=True, title="what")
    for training in _TRAININGS:
        _add_training(actions, training)


def _add_training(actions: argparse._SubParsersAction[argparse.ArgumentParser], training: _Training) -> None:
    parser = actions.add_parser(
        training.name,
        help=training.summary,
        description=training.description,
        epilog=(
            f"--SECTION.KEY VALUE changes a setting, as in --{training.example};\n"
            "--print-config shows all of them.\n"
            f"The shipped network was trained with --config {training.config_name}."
        ),
    )
    metavar, help_line = training.data
    parser.add_argument("--data", metavar=metavar, type=Path, help=help_line)
    parser.add_argument("--output", metavar="DIR", type=Path, help="folder of all results")
    parser.add_argument("--config", metavar="FILE", help=f"YAML file with settings, or {training.config_name}")
    parser.add_argument("--resume", action="store_true", help="continue from DIR/state.pt")
    parser.add_argument(
        "--threads", metavar="N", type=positive, help="processor threads (default: the library's choice)"
    )
    parser.add_argument("--print-config", action="store_true", help="print the complete configuration and stop")
    metavar, help_line = training.evaluate
    parser.add_argument("--evaluate", metavar=metavar, nargs="?", type=Path, const=_SHIPPED, help=help_line)
    if training.name == "gender":
        parser.add_argument(
            "--out-of-distribution", metavar="PHOTOS", type=Path, help="folder of photos that must not be judged"
        )
    else:
        parser.add_argument("--models", metavar="DIR", type=Path, help="the only folder to search for the body model")
    parser.set_defaults(run=_run, training=training, options=())


def _run(arguments: argparse.Namespace) -> int:
    config = _config(arguments)
    if arguments.print_config:
        from smplifyx.config import to_yaml

        messages.say(to_yaml(config).rstrip("\n"))
        return 0
    for name in ("data",) if arguments.evaluate else ("data", "output"):
        if getattr(arguments, name) is None:
            raise UsageError(f"--{name}: expected a path")
    if not arguments.data.exists():
        raise UsageError(f"--data: {arguments.data} does not exist")
    if arguments.threads is not None:
        import torch

        torch.set_num_threads(arguments.threads)
    for line in _evaluate(arguments, config) if arguments.evaluate else _train(arguments, config):
        messages.say(line)
    return 0


def _config(arguments: argparse.Namespace) -> Any:
    """Settings: defaults, then ``--config``, then single settings by their dotted names, with absolute paths."""
    from smplifyx.config import find_config, with_absolute_paths
    from smplifyx.config.loading import merge, read_yaml, with_override
    from smplifyx.training.settings import GenderTraining, LiftingConfig, VPoserConfig

    defaults = {"vposer": VPoserConfig, "lifting": LiftingConfig, "gender": GenderTraining}
    config: Any = defaults[arguments.training.name]()
    if arguments.config is not None:
        path = find_config(arguments.config, arguments.training.config_name)
        config = merge(config, read_yaml(path), str(path))
    for override in arguments.overrides:
        config = with_override(config, override)
    folder = getattr(arguments, "out_of_distribution", None)
    if folder is not None:
        config = replace(config, out_of_distribution=replace(config.out_of_distribution, folder=folder))
    return with_absolute_paths(config, Path.cwd())


def _train(arguments: argparse.Namespace, config: Any) -> Sequence[str]:
    from smplifyx.training.gender import train_gender
    from smplifyx.training.lifting import train_lifting
    from smplifyx.training.vposer import train_vposer

    call = (arguments.data, arguments.output, config, arguments.resume, _console())
    if arguments.training.name == "gender":
        return required_file(train_gender, *call)
    train: Any = {"vposer": train_vposer, "lifting": train_lifting}[arguments.training.name]
    lines: Sequence[str] = required_file(train, *call, arguments.models)
    return lines


def _evaluate(arguments: argparse.Namespace, config: Any) -> Sequence[str]:
    from smplifyx.training.gender import evaluate_gender
    from smplifyx.training.lifting import evaluate_lifting
    from smplifyx.training.vposer import evaluate_vposer

    call = (arguments.data, None if arguments.evaluate is _SHIPPED else arguments.evaluate, config)
    if arguments.training.name == "gender":
        return required_file(evaluate_gender, *call, arguments.output, _console())
    if arguments.training.name == "lifting":
        return required_file(evaluate_lifting, *call, arguments.models)
    return required_file(evaluate_vposer, *call, arguments.models, _console())


def _console() -> Monitor:
    """Print remarks and progress bars on standard error."""
    from smplifyx.training.trainer import Monitor

    class Console(Monitor):
        def note(self, line: str) -> None:
            messages.note(line)

        @contextmanager
        def bar(self, label: str, unit: str, total: int | None, done: int = 0) -> Iterator[Progress]:
            from tqdm import tqdm

            with tqdm(total=total, initial=done, unit=unit, desc=label or None, disable=None) as bar:
                yield bar.update

    return Console()
