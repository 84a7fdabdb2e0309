"""``smplifyx detect``: keypoints from photos."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from tqdm import tqdm

from smplifyx.cli import messages
from smplifyx.cli.options import positive

_DESCRIPTION = """Find people in photos and write their keypoints (body, hands, face) as OpenPose JSON.

example:
  smplifyx detect --images photos --keypoints keypoints
  smplifyx fit --images photos --keypoints keypoints --output output"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("detect", help="keypoints from photos, as OpenPose JSON", description=_DESCRIPTION)
    parser.add_argument("--images", type=Path, required=True, metavar="DIR", help="folder of photos, or one photo")
    parser.add_argument("--keypoints", type=Path, required=True, metavar="DIR", help="where the files go")
    parser.add_argument(
        "--network",
        choices=("heavy", "full"),
        default="heavy",
        help="body network: more accurate, or faster (default: heavy)",
    )
    parser.add_argument(
        "--workers",
        type=lambda text: text if text == "auto" else positive(text),
        default=1,
        metavar="N|auto",
        help="processes; auto: as free cores and memory allow (default: 1)",
    )
    parser.add_argument("--overwrite", action="store_true", help="detect again where a file is there")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write a keypoint file for each photo; returns the exit status."""
    from smplifyx.keypoints.folder import image_files

    images = image_files(arguments.images)
    messages.check_output(arguments.keypoints, "--keypoints")
    problems = detect_photos(
        images, arguments.keypoints, arguments.network, arguments.workers, overwrite=arguments.overwrite
    )
    return 1 if problems else 0


class _Stop:
    """Whether the work is to end after the current photo."""

    is_asked = False

    def stop(self) -> None:
        self.is_asked = True


def detect_photos(
    images: Sequence[Path],
    folder: Path,
    network: str = "heavy",
    workers: int | Literal["auto"] = 1,
    *,
    overwrite: bool = False,
    advice: str = "--overwrite detects again",
) -> list[str]:
    """Write a keypoint file for each photo and print the number of people; returns the problems, which are printed.

    Args:
        images: the photos.
        folder: of the keypoint files.
        network: ``heavy`` or ``full``.
        workers: number of processes; ``auto``: as free cores and memory allow.
        overwrite: replace existing files.
        advice: remark on photos with existing files.

    Raises:
        UsageError: the runtime of the networks is not installed.
        Interrupted: a signal came; the message counts the finished photos.
    """
    from smplifyx.cli.signals import stopping
    from smplifyx.config import RunOptions
    from smplifyx.detect.folder import detect_folder
    from smplifyx.pipeline.worker_count import suitable_workers

    if workers == "auto":
        workers = suitable_workers(RunOptions(workers="auto", device="cpu"), len(images))
    stop = _Stop()
    with stopping() as request, tqdm(total=len(images), unit="photo", disable=not sys.stderr.isatty()) as bar:
        request.pass_on_to(stop)
        done = detect_folder(
            images, folder, network, workers, overwrite, lambda image: bar.update(), lambda: stop.is_asked
        )
    n_done = done.n_photos + done.n_skipped + len(done.failures)
    if n_done < len(images):
        request.raise_if_asked(f"{n_done} of {len(images)} photos are finished in {folder}")
    problems = [str(failure) for failure in done.failures]
    for problem in problems:
        messages.note(f"failed: {problem}")
    skipped = f", {done.n_skipped} with existing keypoints skipped ({advice})" if done.n_skipped else ""
    people = messages.count(done.n_people, "person", "people")
    photos = messages.count(done.n_photos, "photo", "photos")
    messages.say(f"{people} in {photos}{skipped}; keypoints in {folder}")
    return problems
