"""Entry point: parses, hands over to the command, turns errors into one line and an exit status."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches

import smplifyx
from smplifyx.cli import convert_params, demo, evaluate, fit, messages, models, train
from smplifyx.cli.options import split_dotted
from smplifyx.config import all_settings
from smplifyx.errors import SmplifyxError, UsageError

SUCCESS, SOME_FAILED, WRONG_CALL, INTERRUPTED = 0, 1, 2, 130

_EPILOG = """exit status: 0 all people fitted; 1 some inputs failed; 2 the call itself is wrong
`smplifyx COMMAND --help` says more about a command; SMPLIFYX_TRACEBACK=1 shows where an error came from"""


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="smplifyx",
        description=(smplifyx.__doc__ or "").strip(),
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"smplifyx {smplifyx.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")
    for command in (fit, demo, models, train, evaluate, convert_params):
        command.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status (wrong options end the process with status 2)."""
    argv = sys.argv[1:] if argv is None else list(argv)
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
        messages.note(f"smplifyx: stopped{f': {interrupt}' if str(interrupt) else ''}")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SUCCESS
    except OSError as error:  # a folder that cannot be written, a full disk
        messages.complain(error, with_traceback)
        return WRONG_CALL


def _run(argv: Sequence[str]) -> int:
    others, overrides = split_dotted(argv)
    arguments, unknown = build_parser().parse_known_args(others)
    if unknown:
        raise UsageError(f"{arguments.command}: unknown argument {unknown[0]}{_suggestion(unknown[0], arguments)}")
    if overrides and not hasattr(arguments, "options"):
        raise UsageError(f"{arguments.command} has no option --{overrides[0].key}")
    arguments.overrides = overrides
    return arguments.run(arguments)


def _suggestion(unknown: str, arguments: argparse.Namespace) -> str:
    options = {option.flag: option.flag for option in getattr(arguments, "options", ())}
    if options:
        options |= {f"--{leaf.key.rsplit('.', 1)[-1]}": f"--{leaf.key}" for leaf in all_settings()}
    near = get_close_matches(unknown.split("=")[0], list(options), n=1)
    return f"; did you mean {options[near[0]]}?" if near else ""
