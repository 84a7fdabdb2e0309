"""``smplifyx completion``: a script that completes commands and options in a shell."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from smplifyx.cli import messages

_SHELLS = ("bash", "zsh", "tcsh")
_EPILOG = """install it once:
  bash  smplifyx completion bash > FILE
        FILE: ~/.local/share/bash-completion/completions/smplifyx
  zsh   smplifyx completion zsh > "${fpath[1]}/_smplifyx"
  tcsh  smplifyx completion tcsh > ~/.smplifyx.csh; source it in ~/.tcshrc"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "completion",
        help="print a script for completion in the shell",
        description="Print a script that completes commands, options and settings in a shell.",
        epilog=_EPILOG,
    )
    parser.add_argument("shell", choices=_SHELLS, help="the shell")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from smplifyx.cli.main import build_parser

    messages.say(completion_script(build_parser, arguments.shell))
    return 0


def completion_script(build_parser: Callable[[], argparse.ArgumentParser], shell: str) -> str:
    """The script; options of settings, which the parser does not know, are completed too."""
    import shtab

    from smplifyx.cli.options import all_parsers
    from smplifyx.config import all_settings

    parser = build_parser()
    for one in all_parsers(parser):
        if one.get_default("options"):
            for setting in all_settings():
                one.add_argument(f"--{setting.key}", metavar="VALUE", help=setting.rule.help.replace("%", "%%"))
    return shtab.complete(parser, shell=shell)
