"""``smplifyx pack`` and ``smplifyx unpack``: results as tar archives, or as files."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from smplifyx.cli import messages
from smplifyx.errors import UsageError

_PACK = """Move results, meshes and pictures of an output folder into tar archives that WebDataset reads
(OUTPUT/packs), a sample for each person and one for the picture of all people of a photo. All commands
read packed results, and further runs of `smplifyx fit` pack theirs. Archives that are there already are
written anew, without samples that were replaced.

example:
  smplifyx pack output"""
_UNPACK = """Make files of packed results, meshes and pictures, and remove the archives.

example:
  smplifyx unpack output"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to the parser."""
    for name, brief, description in (
        ("pack", "move results into tar archives for WebDataset", _PACK),
        ("unpack", "make files of packed results", _UNPACK),
    ):
        parser = commands.add_parser(name, help=brief, description=description)
        parser.add_argument("output", type=Path, metavar="OUTPUT", help="output folder of smplifyx fit")
        parser.set_defaults(run=partial(_run, name))


def _run(name: str, arguments: argparse.Namespace) -> int:
    """Pack or unpack; returns the exit status."""
    from smplifyx.files import output_to
    from smplifyx.output import OutputLayout
    from smplifyx.output.repacking import pack, unpack
    from smplifyx.packs import PACKS, mend_packs
    from smplifyx.pipeline.journal import check_no_run

    root = arguments.output
    messages.check_input(root, "OUTPUT")
    layout = OutputLayout(root)
    check_no_run(layout)
    if next(layout.results(), None) is None:
        raise UsageError(f"{root} holds no results; expected an output folder of `smplifyx fit`")
    with output_to(root):
        mend_packs(root)
        count = sum(1 for _ in (pack if name == "pack" else unpack)(root))
    samples = messages.count(count, "sample", "samples")
    messages.say(f"{samples} {'packed in' if name == 'pack' else 'unpacked from'} {root / PACKS}")
    return 0
