"""``smplifyx calibration``: look at a file of calibrated cameras."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from smplifyx.cli import messages

_SHOW = """Print the cameras of a file as `smplifyx fit --cameras` reads it: names, sizes, focal lengths, distortion,
where they stand and look to. Heights and distances show whether the unit of length is right.

example:
  smplifyx calibration show cameras.yaml
  smplifyx calibration show Calib.toml --camera-unit 0.001"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its action to the parser."""
    parser = commands.add_parser("calibration", help="look at a file of calibrated cameras")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, title="actions")
    show = actions.add_parser("show", help="print cameras and their places", description=_SHOW)
    show.add_argument("file", type=Path, metavar="FILE", help="a format of smplifyx fit --cameras")
    show.add_argument(
        "--camera-unit", type=float, default=1.0, metavar="METRES", help="metres in a unit of length (default: 1)"
    )
    show.set_defaults(run=_show)


def _show(arguments: argparse.Namespace) -> int:
    """Print the cameras; returns the exit status."""
    import numpy as np  # late: a start loads no large library

    from smplifyx.calibration import read_cameras

    rig = messages.required_file(read_cameras, arguments.file, arguments.camera_unit)
    ground = "" if rig.ground is None else f", floor at {rig.ground:g} m"
    messages.say(f"up: {rig.up or 'not given'}{ground}")
    messages.say(f"{'camera':12} {'pixels':>11} {'focal length':>13} {'distorts':>8}  {'place (m)':22} looks to")
    for view in rig.views:
        assert view.camera is not None  # read_cameras makes none without
        camera, rotation = view.camera, np.asarray(view.rotation)
        size = "-" if camera.image_size is None else f"{camera.image_size[0]} x {camera.image_size[1]}"
        place = _triple(-rotation.T @ np.asarray(view.translation))
        distorts = "yes" if view.distortion else "no"
        line = f"{view.name:12} {size:>11} {camera.focal_length[0]:13.0f} {distorts:>8}  {place:22} "
        messages.say(line + _triple(rotation[2]))
    return 0


def _triple(numbers: Iterable[float]) -> str:
    return " ".join(f"{number + 0.0:6.2f}" for number in numbers)
