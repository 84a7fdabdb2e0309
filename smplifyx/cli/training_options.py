"""What the commands of ``train`` have in common: options, settings, the course, and whether curves can be drawn."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from smplifyx.cli import messages
from smplifyx.errors import UsageError

#: Stands for what ships with the package.
SHIPPED = Path("shipped")

T = TypeVar("T")


@dataclass(frozen=True)
class TrainingCommand:
    """What the commands of ``train`` differ in.

    Attributes:
        name, summary, description: of the command, for its help.
        config_name: the shipped configuration.
        data, evaluate: metavar and help of the options of these names.
        example: a setting and a value, for the help.
    """

    name: str
    summary: str
    description: str
    config_name: str
    data: tuple[str, str]
    evaluate: tuple[str, str]
    example: str

    def add_parser(self, actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
        """Add the command with the options that are the same whatever is trained."""
        parser = actions.add_parser(
            self.name,
            help=self.summary,
            description=self.description,
            epilog=(
                f"--SECTION.KEY VALUE changes a setting, as in --{self.example}; --print-config shows all of them.\n"
                f"What ships was trained with --config {self.config_name}."
            ),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        metavar, help_line = self.data
        parser.add_argument("--data", metavar=metavar, type=Path, help=help_line)
        _add_training_options(parser, self.config_name)
        metavar, help_line = self.evaluate
        parser.add_argument("--evaluate", metavar=metavar, nargs="?", type=Path, const=SHIPPED, help=help_line)
        return parser


def _add_training_options(parser: argparse.ArgumentParser, config_name: str) -> None:
    parser.add_argument("--output", metavar="DIR", type=Path, help="where everything goes")
    parser.add_argument("--config", metavar="FILE", help=f"YAML file with settings, or {config_name}")
    parser.add_argument("--resume", action="store_true", help="go on from DIR/state.pt")
    parser.add_argument("--threads", metavar="N", type=int, help="processor threads (default: the library's choice)")
    parser.add_argument("--print-config", action="store_true", help="print the complete configuration and stop")


def training_config(arguments: argparse.Namespace, defaults: T, name: str) -> T:
    """The settings: defaults, then ``--config``, then single settings by their dotted names.

    Raises:
        ConfigError: there is no such file or shipped configuration, or a setting is wrong.
    """
    from smplifyx.config.loading import find_config, merge, read_yaml, with_override

    config = defaults
    if arguments.config is not None:
        path = find_config(arguments.config, name)
        config = merge(config, read_yaml(path), str(path))
    for override in arguments.overrides:
        config = with_override(config, override)
    return config


def run_training(
    arguments: argparse.Namespace,
    config: T,
    train: Callable[[argparse.Namespace, T], None],
    evaluate: Callable[[argparse.Namespace, T], None],
) -> int:
    """Prints the settings, trains or evaluates, as the options say; returns the exit status.

    Raises:
        UsageError: the data are not there, or the output of a training is not named.
    """
    if arguments.print_config:
        from smplifyx.config import to_yaml

        messages.say(to_yaml(config).rstrip("\n"))
        return 0
    _require_paths(arguments)
    if arguments.threads is not None:
        import torch

        torch.set_num_threads(arguments.threads)
    (evaluate if arguments.evaluate else train)(arguments, config)
    return 0


def _require_paths(arguments: argparse.Namespace) -> None:
    """Raises UsageError unless the data are there and, for a training, the output is named."""
    for name in ("data",) if arguments.evaluate else ("data", "output"):
        if getattr(arguments, name) is None:
            raise UsageError(f"--{name}: expected a path")
    if not arguments.data.exists():
        raise UsageError(f"--data: {arguments.data} does not exist")


def can_plot(pictures: str) -> bool:
    """Whether matplotlib is there; tells which pictures are left out where it is not."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        messages.note(f"no {pictures}: pip install smplifyx[train]")
        return False
    return True
