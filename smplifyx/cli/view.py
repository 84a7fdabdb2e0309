"""``smplifyx view``: results in a scene in the browser, with sliders."""

from __future__ import annotations

import argparse

from smplifyx.cli import messages
from smplifyx.cli.options import add_results, positive

_DESCRIPTION = """Show the results of a folder in the browser: the bodies of a photo in space, the photo on the
frustum of its camera, sliders for shape, expression and the pose of each joint, and the photos in order as an
animation. Needs pip install 'smplifyx[view]'. Ctrl-C ends it."""
_EPILOG = """examples:
  smplifyx view output
  smplifyx view output --photo 'frame_*'"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "view", help="results in a scene in the browser, with sliders", description=_DESCRIPTION, epilog=_EPILOG
    )
    add_results(parser, photos=True)
    parser.add_argument(
        "--host",
        metavar="ADDRESS",
        default="127.0.0.1",
        help="address to listen at; 0.0.0.0: from other machines too (default: 127.0.0.1)",
    )
    parser.add_argument(
        "--port", metavar="N", type=_port, default=8080, help="to listen at, or the next free one (default: 8080)"
    )
    parser.set_defaults(run=_run)


def _port(text: str) -> int:
    number = positive(text)
    if number > 65535:
        raise argparse.ArgumentTypeError(f"expected a port from 1 to 65535, found {text}")
    return number


def _run(arguments: argparse.Namespace) -> int:
    messages.check_input(arguments.results, "OUTPUT")

    from smplifyx.export.files import result_files
    from smplifyx.viewer import Viewer, require_viser

    require_viser()
    photos = result_files(arguments.results, arguments.photo)
    viewer = Viewer(photos, arguments.host, arguments.port, arguments.models)
    try:
        messages.say(f"{messages.count(len(photos), 'photo', 'photos')} at {viewer.address}; Ctrl-C ends")
        viewer.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        viewer.stop()
    return 0
