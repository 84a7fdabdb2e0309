"""``smplifyx demo``: the main job on inputs that ship with the package."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from smplifyx.cli import messages
from smplifyx.cli.fit import start_and_fit
from smplifyx.cli.options import RUN_OPTIONS, add_options, effective_config
from smplifyx.errors import UsageError

#: Folder with ``images`` and ``keypoints`` that ships with the package.
DEMO_INPUTS = Path(__file__).parents[1] / "data" / "demo"

_DESCRIPTION = """Fit the photos that ship with the package; needs nothing downloaded. A second part fits them
from the photos alone, with detected keypoints, into OUTPUT/from_photos.

example:
  smplifyx demo --output output/demo"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("demo", help="fit photos that ship with the package", description=_DESCRIPTION)
    parser.add_argument(
        "--keypoints-only", action="store_true", help="leave out the second part, which starts from the photos alone"
    )
    add_options(parser, RUN_OPTIONS)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Fit the shipped photos; returns the exit status."""
    config, options = effective_config(arguments)
    images, keypoints = DEMO_INPUTS / "images", DEMO_INPUTS / "keypoints"
    _refuse_other_inputs("--images", options.images, images)
    _refuse_other_inputs("--keypoints", options.keypoints, keypoints)
    if not images.is_dir() or not keypoints.is_dir():
        raise UsageError(f"the demo's photos are missing from {DEMO_INPUTS}; reinstall the package")

    with_keypoints = replace(options, images=images, keypoints=keypoints)
    from_photos = replace(options, images=images, keypoints=None, output=options.output / "from_photos")
    status = 0
    for run_options in (with_keypoints,) if arguments.keypoints_only else (with_keypoints, from_photos):
        with messages.quiet(options.quiet):
            status = max(status, start_and_fit(config, run_options))
            messages.say(_paths(run_options.output, config.output.render))
    return status


def _refuse_other_inputs(key: str, given: Path | None, shipped: Path) -> None:
    """Accept the shipped folders only, which the demo's own config.yaml names."""
    if given is not None and given.resolve() != shipped.resolve():
        raise UsageError(f"demo: {key} {given}: the demo fits its own photos; use `smplifyx fit` for yours")


def _paths(output: Path, with_pictures: bool) -> str:
    lines = [f"photos and keypoints: {DEMO_INPUTS}", f"table of all people:  {output / 'summary.csv'}"]
    if with_pictures:
        pictures = output / "images"
        lines += ["pictures to look at:", *(f"  {path}" for path in sorted(pictures.rglob("overlay.*")))]
    return "\n".join(lines)
