"""Entry point: parses, runs the command, turns errors into a message and an exit status."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from importlib import import_module

import smplifyx
from smplifyx.cli import messages
from smplifyx.cli.options import SECOND_INPUT, HelpFormatter, accept_both, all_parsers, split_dotted
from smplifyx.config import all_settings
from smplifyx.config.original_names import original_equivalent
from smplifyx.errors import SmplifyxError, UsageError

SUCCESS, SOME_FAILED, WRONG_CALL, INTERRUPTED = 0, 1, 2, 130

#: Module of each command, in the order of the help.
_COMMANDS = {
    "fit": "fit",
    "status": "status",
    "pack": "pack",
    "unpack": "pack",
    "report": "report",
    "view": "view",
    "export": "export",
    "measure": "measure",
    "detect": "detect",
    "keypoints": "keypoints",
    "calibration": "calibration",
    "demo": "demo",
    "models": "models",
    "train": "train",
    "evaluate": "evaluate",
    "benchmark": "benchmark",
    "convert-results": "convert_results",
    "completion": "completion",
}
#: The input of each command as an option, which may also be given without its name.
_INPUTS = {
    **dict.fromkeys(("fit", "detect"), "--images"),
    **dict.fromkeys(("keypoints convert", "keypoints show", "keypoints check"), "--keypoints"),
    **dict.fromkeys(("train vposer", "train lifting", "train gender", "evaluate ehf"), "--data"),
    **dict.fromkeys(("status", "pack", "unpack", "report", "view", "measure", "evaluate photos"), "--output"),
    "models export": "--output",
    "calibration show": "--cameras",
}
_EPILOG = """exit status:
  0    all people fitted
  1    some inputs failed; the others are written
  2    the call is wrong
  75   stopped by SIGUSR1, as schedulers send it before the time is over; 143 by
       SIGTERM, 129 by SIGHUP, 130 by Ctrl-C: what is finished is recorded, and
       the same command continues

`smplifyx COMMAND --help` describes a command. SMPLIFYX_TRACEBACK=1 shows the traceback of an error."""


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """The parser of all commands; of the module of one alone where ``command`` is its name, which is quicker."""
    parser = argparse.ArgumentParser(
        prog="smplifyx",
        description="Fit 3D bodies with hands and face to photos and 2D keypoints.",
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"smplifyx {smplifyx.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")
    modules = [_COMMANDS[command]] if command in _COMMANDS else dict.fromkeys(_COMMANDS.values())
    for module in modules:
        import_module(f"smplifyx.cli.{module}").add_parser(commands)
    for one in all_parsers(parser):
        one.formatter_class, one.allow_abbrev = HelpFormatter, False
        name = one.prog.removeprefix("smplifyx ")
        if name in _INPUTS:
            accept_both(one, _INPUTS[name])
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status (wrong options end the process with status 2)."""
    argv = sys.argv[1:] if argv is None else list(argv)
    warnings.showwarning = messages.show_warning
    with_traceback = "--verbose" in argv or os.environ.get("SMPLIFYX_TRACEBACK", "") not in ("", "0")
    try:
        return _run(argv)
    except UsageError as error:
        messages.complain(error, with_traceback)
        return WRONG_CALL
    except SmplifyxError as error:
        messages.complain(error, with_traceback)
        return SOME_FAILED
    except KeyboardInterrupt as interrupt:
        messages.note(f"smplifyx: interrupted{f': {interrupt}' if str(interrupt) else ''}")
        return interrupt.status if isinstance(interrupt, messages.Interrupted) else INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SUCCESS
    except OSError as error:  # a folder that cannot be written, a full disk
        messages.complain(error, with_traceback)
        return WRONG_CALL


def _run(argv: Sequence[str]) -> int:
    others, overrides = split_dotted(argv)
    parser = build_parser(others[0] if others else None)
    _check_command(others, parser)
    arguments, unknown = parser.parse_known_args(others)
    second = vars(arguments).pop(SECOND_INPUT, None)
    unknown += [] if second is None else [str(second)]
    if unknown:
        # Values of unknown options are unknown too; only the options are named.
        options = [one for one in unknown if one.startswith("-")] or unknown[:1]
        lines = [f"unknown argument {one}{_advice(one, arguments, parser)}" for one in options]
        raise UsageError(f"{arguments.command}: " + "\n  ".join(lines))
    if overrides and not hasattr(arguments, "options"):
        raise UsageError(f"{arguments.command} has no option --{overrides[0].key}")
    arguments.overrides = overrides
    return arguments.run(arguments)


def _check_command(argv: Sequence[str], parser: argparse.ArgumentParser) -> None:
    """Name the nearest command or action for a misspelt one, and ``fit`` where options come without a command.

    Raises:
        UsageError: the first argument is no command.
    """
    programs = [one.prog.split()[1:] for one in all_parsers(parser)]
    names = [words[0] for words in programs if len(words) == 1]
    if not argv or argv[0] in ("-h", "--help", "--version"):
        return
    if argv[0] in names:
        actions = [words[1] for words in programs if len(words) == 2 and words[0] == argv[0]]
        if actions and len(argv) > 1 and not argv[1].startswith("-") and argv[1] not in actions:
            raise UsageError(f"no command {argv[0]} {argv[1]}; {_nearest(argv[1], actions)}")
        return
    if argv[0].startswith("-"):
        raise UsageError(f"expected a command before {argv[0]}, as in smplifyx fit {argv[0]}")
    if argv[0].endswith((".yaml", ".yml")):
        raise UsageError(f"expected a command before {argv[0]}, as in smplifyx fit --config {argv[0]}")
    raise UsageError(f"no command {argv[0]}; {_nearest(argv[0], names)}")


def _nearest(name: str, names: Iterable[str]) -> str:
    near = get_close_matches(name, list(names), n=1)
    return f"did you mean {near[0]}?" if near else f"expected one of {', '.join(names)}"


def _advice(unknown: str, arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> str:
    """The equivalent of an option of SMPLify-X, or the nearest of the command's options and settings."""
    if arguments.command in ("fit", "detect") and not unknown.startswith("-"):
        return f"; {_INPUTS[arguments.command]} takes one folder or one photo"
    name = unknown.split("=")[0]
    words = [parser.prog, arguments.command, getattr(arguments, "action", None)]
    program = " ".join(word for word in words if word)
    own = next(one for one in all_parsers(parser) if one.prog == program)
    options = {flag: [flag] for flag in own._option_string_actions if flag.startswith("--")}
    if getattr(arguments, "options", ()):
        original = original_equivalent(name)
        if original is not None:
            return f", an option of SMPLify-X; here: {original}"
        for leaf in all_settings():
            options.setdefault(f"--{leaf.key.rsplit('.', 1)[-1]}", []).append(f"--{leaf.key}")
    near = get_close_matches(name, options, n=1)
    return f"; did you mean {' or '.join(options[near[0]])}?" if near else ""
