"""``smplifyx export``: results in the formats of other programs."""

from __future__ import annotations

import argparse
from pathlib import Path

from smplifyx.cli import messages
from smplifyx.cli.messages import check_input, check_output
from smplifyx.cli.options import add_results, natural
from smplifyx.errors import UsageError

_FORMATS = (
    "glb", "obj", "ply", "bvh", "trc", "amass", "pickle", "usd", "agora", "talkshow", "exavatar", "easymocap"
)  # fmt: skip
_LAYOUTS = ("smplifyx", "vposer", "smplx")
_DESCRIPTION = """Write results in the formats of other programs, without fitting again."""
_EPILOG = """formats:
  glb     glTF scene of all people of a photo: rig, morph targets, materials,
          and the photo's camera
  obj     mesh of one person where it stands, y up
  ply     the same
  bvh     skeleton and rotations of one person, centimetres, y up
  trc     joints and surface points of one person, millimetres, y up
  amass   parameters of one person as .npz, z up; SMPL-X add-on for Blender
  pickle  parameters of one person as .pkl; --layout chooses its keys
  usd     OpenUSD scene like glb, .usdc; pip install 'smplifyx[usd]'
  agora, talkshow, exavatar, easymocap
          parameters as these programs read them, .pkl or a folder

With --fps the photos, in natural order of their names, are the frames of one
animation (all but obj, ply, pickle, agora), and people of equal number are one person.
docs/exports.md describes each format.

examples:
  smplifyx export output --format glb
  smplifyx export output --format glb bvh --photo 'frame_*' --fps 30"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "export",
        help="write results for Blender, game engines and other programs",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    add_results(parser, photos=True)
    parser.add_argument(
        "--format", metavar="FORMAT", choices=_FORMATS, nargs="+", required=True, help="one or more of those below"
    )
    parser.add_argument("--output", metavar="DIR", type=Path, help="gets the files (default: OUTPUT/exports)")
    parser.add_argument("--person", metavar="N", type=natural, help="only the person of this number")
    parser.add_argument("--fps", type=float, help="one animation of all photos, frames per second")
    parser.add_argument("--no-rig", action="store_true", help="glb: plain meshes, exactly as fitted")
    parser.add_argument(
        "--no-correctives", action="store_true", help="glb: leave out changes of the pose beyond the skin"
    )
    parser.add_argument(
        "--layout",
        choices=_LAYOUTS,
        default="smplifyx",
        help="keys of pickles: SMPLify-X without and with VPoser, or arguments of the smplx package "
        "(default: smplifyx)",
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    check_input(arguments.results, "OUTPUT")
    target = arguments.output or arguments.results / "exports"
    check_output(target)
    if arguments.fps is not None and not arguments.fps > 0:
        raise UsageError(f"--fps: expected a positive number, found {arguments.fps:g}")

    from smplifyx.export.files import ExportOptions, export

    options = ExportOptions(
        fps=arguments.fps,
        person=arguments.person,
        rig=not arguments.no_rig,
        correctives=not arguments.no_correctives,
        layout=arguments.layout,
        models=arguments.models,
    )
    formats = list(dict.fromkeys(arguments.format))
    written = failed = 0
    for one in export(arguments.results, target, formats, arguments.photo, options):
        if one.error is not None:
            messages.complain(one.error, with_traceback=False)
            failed += 1
            continue
        written += 1
        messages.say(str(one.path))
        for remark in one.remarks:
            messages.say(f"  {remark}")
    messages.note(f"{written} file{'' if written == 1 else 's'} written" + (f", {failed} failed" if failed else ""))
    return 1 if failed else 0
