"""Options that several evaluations share."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path

from smplifyx.cli.messages import check_input, check_input_file, check_output
from smplifyx.cli.options import positive

Parser = argparse.ArgumentParser
Actions = argparse._SubParsersAction


def add_action(
    actions: Actions[Parser], name: str, help_line: str, description: str, settings: bool = True
) -> Parser:
    """Add an evaluation to the parser; ``settings`` if settings of the fit are options."""
    epilog = "--SECTION.KEY VALUE changes a setting of the fit, as in\n--priors.body_pose gmm" if settings else None
    parser = actions.add_parser(name, help=help_line, description=description, epilog=epilog)
    if settings:
        parser.set_defaults(options=())
    return parser


def set_run(
    parser: Parser,
    function: str,
    inputs: Sequence[str] = (),
    check: Callable[[argparse.Namespace], None] = lambda arguments: None,
) -> None:
    """Let an evaluation call a function, whose module is imported when the arguments are right.

    Args:
        parser: of the evaluation.
        function: ``MODULE.FUNCTION`` in this package.
        inputs: options that name folders to read from.
        check: checks the arguments further; raises UsageError.
    """
    parser.set_defaults(run=partial(_run, function, inputs, check))


def _run(
    function: str,
    inputs: Sequence[str],
    check: Callable[[argparse.Namespace], None],
    arguments: argparse.Namespace,
) -> int:
    check(arguments)
    for name in inputs:
        folders = getattr(arguments, name)
        for folder in folders if isinstance(folders, list) else [folders]:
            check_input(folder, f"--{name}")
    check_input_file(getattr(arguments, "mocap", None), "--mocap")
    for name in ("output", "sheets"):
        check_output(getattr(arguments, name, None), f"--{name}")
    module, name = function.split(".")
    status: int = getattr(import_module(f"smplifyx.cli.{module}"), name)(arguments)
    return status


def add_detector(parser: Parser, default: str) -> None:
    """Add the choice of the simulated detector."""
    parser.add_argument(
        "--detector",
        choices=("independent", "correlated"),
        default=default,
        help="errors of each keypoint by itself, or errors as measured on OpenPose's output: limbs err and vanish "
        "as a whole, joints have offsets (default: %(default)s)",
    )


def add_scenes(parser: Parser) -> None:
    """Add the folders of calibrated scenes."""
    parser.add_argument("--balancing", metavar="DIR", type=Path, help="Pose2Sim's balancing trial")
    parser.add_argument("--seated", metavar="DIR", type=Path, help="MvSMPLfitting's seated man")


def add_output(parser: Parser) -> None:
    """Add the folder of the tables."""
    parser.add_argument("--output", metavar="DIR", type=Path, default=Path("evaluation"), help="default: %(default)s")


def add_fit(parser: Parser) -> None:
    """Add the options of a fit with one configuration."""
    add_output(parser)
    parser.add_argument("--config", metavar="FILE", help="settings (YAML) or a shipped configuration by name")
    parser.add_argument("--threads", metavar="N", type=positive, default=1, help="default: %(default)s")
