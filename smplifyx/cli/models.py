"""``smplifyx models``: build, list, look into and export body models."""

from __future__ import annotations

import argparse


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("models", help="build, list, look into and export body models")
    parser.set_defaults(run=lambda arguments: 0)
