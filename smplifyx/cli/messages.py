"""What the commands print: results on standard output, everything else on standard error."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from smplifyx.config import Config
from smplifyx.errors import InputError, UsageError
from smplifyx.keypoints import Observation
from smplifyx.skeleton import (
    CONTOUR_KEYPOINTS,
    FACE_KEYPOINTS,
    LEFT_HAND_KEYPOINTS,
    RIGHT_HAND_KEYPOINTS,
)


def say(line: str) -> None:
    """Print a result."""
    print(line, flush=True)


def note(line: str) -> None:
    """Print a remark on standard error, above a progress bar if one is shown."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        tqdm.write(line, file=sys.stderr)
    else:
        print(line, file=sys.stderr, flush=True)


def complain(error: Exception, with_traceback: bool) -> None:
    """Print an error in one line, after its traceback if asked for."""
    if with_traceback:
        traceback.print_exception(error)
    note(f"smplifyx: error: {error}")


T = TypeVar("T")


def required_file(read: Callable[..., T], *arguments: object) -> T:
    """What ``read`` makes of a file; if the file is unusable, the call is wrong and a UsageError is raised."""
    try:
        return read(*arguments)
    except InputError as error:
        raise UsageError(str(error)) from error


def check_output(path: Path | None, option: str = "--output") -> None:
    """Raises UsageError where a file is in the place of a folder to write to; None names no folder."""
    if path is not None and path.is_file():
        raise UsageError(f"{option}: {path} is a file; expected a folder")


def check_input(path: Path | None, option: str) -> None:
    """Raises UsageError unless a folder to read from exists; None names no folder."""
    if path is not None and not path.is_dir():
        raise UsageError(f"{option}: {path} is {'a file' if path.exists() else 'not there'}; expected a folder")


_HANDS = [*range(LEFT_HAND_KEYPOINTS.start, RIGHT_HAND_KEYPOINTS.stop)]
_FACE = [*range(FACE_KEYPOINTS.start, CONTOUR_KEYPOINTS.stop)]
#: Of each whole body, the keypoints that it does not have, and the weight of a stage that is about them.
_LACKING = {
    "smpl": (("hand", _HANDS, "hand_keypoints"), ("face", _FACE, "face_keypoints")),
    "smplh": (("face", _FACE, "face_keypoints"),),
}


def tell_unused_keypoints(config: Config, people: Sequence[Observation]) -> None:
    """Tell how many hand and face keypoints of all people a body has no use for, and which weights have no effect."""
    model = config.body.model
    for part, keypoints, weight in _LACKING.get(model, ()):
        seen = [int((one.keypoints[keypoints, 2] >= config.input.min_confidence).sum()) for one in people]
        settings = [f"stages.{k}.{weight}" for k, stage in enumerate(config.stages) if getattr(stage, weight)]
        n_people = int(np.count_nonzero(seen))
        if n_people:
            without_effect = f"; {', '.join(settings)} have no effect" if settings else ""
            note(
                f"{model} has no {part} keypoints: {sum(seen)} seen on {n_people} people are not used{without_effect}"
            )
        elif settings:
            note(f"{model} has no {part} keypoints: {', '.join(settings)} have no effect")
