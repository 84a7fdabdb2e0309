"""``smplifyx fit``: bodies from photos and keypoints."""

from __future__ import annotations

import argparse
from contextlib import ExitStack, nullcontext
from pathlib import Path

from smplifyx.cli import messages
from smplifyx.cli.options import INPUT_OPTIONS, RUN_OPTIONS, SEQUENCE_OPTIONS, add_options, effective_config
from smplifyx.config import Config, RunOptions, to_yaml, with_absolute_paths
from smplifyx.errors import UsageError
from smplifyx.late_imports import importing_much

_DESCRIPTION = """Fit a body to every person in a folder of photos.

The keypoints of a photo NAME.jpg are read from NAME_keypoints.json. Without --keypoints, people are detected in the
photos and their keypoints are kept in OUTPUT/keypoints. People with existing results are skipped,
so the same command continues an interrupted run; --overwrite fits them again.

--sequence, --video and --cameras fit a person in all frames and views together: one shape, smooth in time. With
--cameras, the photos of a camera are in a sub-folder of its name, or their names begin with it, or {view} in --images
stands for it.

examples:
  smplifyx fit --images photos --output output
  smplifyx fit --images photos --keypoints keypoints --output output
  smplifyx fit --images photos --keypoints keypoints --config paper
  smplifyx fit --images photos --keypoints keypoints --objective.rho 50
  smplifyx fit --images frames --keypoints keypoints --sequence --fps 25
  smplifyx fit --video walk.mp4 --output output
  smplifyx fit --images photos --cameras cameras.yaml --sequence"""

#: Arguments about several cameras alone.
_OF_CAMERAS = ("camera_unit", "min_views")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("fit", help="fit bodies to the people in photos", description=_DESCRIPTION)
    parser.add_argument("--print-config", action="store_true", help="print the complete configuration and stop")
    add_options(parser, (*INPUT_OPTIONS, *SEQUENCE_OPTIONS, *RUN_OPTIONS))
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Fit as asked; returns the exit status."""
    config, options = effective_config(arguments)
    if arguments.print_config:
        # Absolute, since paths in a file start at its folder.
        folder = Path.cwd()
        text = to_yaml(with_absolute_paths(config, folder), with_absolute_paths(options, folder))
        messages.say(text.rstrip("\n"))
        return 0
    _check_effects(options)
    if options.images is None and not options.fits_clips:
        raise UsageError("--images: expected a folder of photos, or one photo")

    with messages.quiet(options.quiet):
        return start_and_fit(config, options)


def _check_effects(options: RunOptions) -> None:
    """Refuse options that only have an effect on sequences and views, without these; raises UsageError."""
    plain = RunOptions()
    for option in SEQUENCE_OPTIONS:
        name = option.key.removeprefix("run.")
        needs_cameras = name in _OF_CAMERAS
        has_effect = options.cameras is not None if needs_cameras else options.fits_clips
        if getattr(options, name) != getattr(plain, name) and not has_effect:
            needed = "--cameras" if needs_cameras else "--sequence, --video or --cameras"
            raise UsageError(f"{option.flag}: expected with {needed}")


def start_and_fit(config: Config, options: RunOptions) -> int:
    """Import what a fit needs, then fit; see :func:`~smplifyx.cli.fit_run.run_fit` and
    :func:`~smplifyx.cli.fit_clips.fit_clips`.

    A second core starts the renderer, a third one, or the second one without pictures, links libraries and reads the
    body. This thread meanwhile imports Warp, what needs no torch, torch, and the rest, in this order.
    """
    from smplifyx.child_processes import n_usable_cores
    from smplifyx.cli.head_start import head_start
    from smplifyx.output import RendererProcess

    with ExitStack() as stack:
        in_one_process = options.fits_clips or options.workers in (1, "auto")
        renderer, n_spare = None, n_usable_cores() - 1 if in_one_process and options.executor == "local" else 0
        if config.output.render and n_spare > 0:
            renderer = stack.enter_context(RendererProcess())
            n_spare -= 1

        with importing_much(), head_start(config) if n_spare > 0 else nullcontext():
            if options.fits_clips:
                from smplifyx.cli.fit_clips import fit_clips as fit
            else:
                from smplifyx.cli.fit_run import run_fit as fit

        return fit(config, options, renderer)
