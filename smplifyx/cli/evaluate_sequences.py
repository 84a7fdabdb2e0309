"""``smplifyx evaluate sequences`` and ``smplifyx evaluate multiview``."""

from __future__ import annotations

import argparse
from pathlib import Path

from smplifyx.cli.evaluation_options import Actions, Parser, add_action, add_detector, add_fit, add_scenes, set_run
from smplifyx.cli.options import natural, positive
from smplifyx.errors import UsageError

_SEQUENCES = """Fit synthetic people in motion from one view, frame by frame and as a
whole. The motions come from motion capture that no prior was trained on
(--mocap FILE) or are mild random ones; the keypoints have errors that last
from frame to frame, frames with exchanged sides, missing limbs or another
person, and gaps. With the CMU motion capture a jump and a punch are fitted
too. --cost measures processor time and memory.

examples:
  smplifyx evaluate sequences --mocap cmu_body_pose.npz
  smplifyx evaluate sequences --sequences 2 --frames 32
  smplifyx evaluate sequences --sequences 0 --cost"""

_MULTIVIEW = """Fit synthetic people in motion from 1, 2, 4 and 8 calibrated views,
and with faults of one of four views. Real people: --balancing and --seated are
compared with points triangulated from all views; the photos of --turning (one
person who turns before a still camera) and of --scan (renders of one person,
named by the camera's angle) are fitted alone and together.

example:
  smplifyx evaluate multiview --mocap cmu_body_pose.npz --balancing TRIAL"""

#: Options of folders of real people.
_REAL_PEOPLE = ("balancing", "seated", "turning", "scan")


def add_sequences(actions: Actions[Parser]) -> None:
    """Add ``evaluate sequences``."""
    parser = add_action(actions, "sequences", "people in motion from one view", _SEQUENCES)
    _add_motions(parser, 8, 64)
    parser.add_argument("--true-camera", action="store_true", help="give the fit the focal length")
    parser.add_argument("--no-fast", action="store_true", help="leave out the jump and the punch")
    parser.add_argument("--cost", action="store_true", help="also measure processor time and memory")
    parser.add_argument(
        "--cost-frames", metavar="N", type=positive, nargs="+", default=(12, 24, 48), help="default: 12 24 48"
    )
    parser.add_argument(
        "--cost-views", metavar="N", type=int, nargs="+", choices=(1, 2, 4, 8), default=(1, 2, 4),
        help="default: 1 2 4",
    )  # fmt: skip
    add_fit(parser)
    set_run(parser, "run_sequences.evaluate_sequences", check=_check_sequences)


def add_multiview(actions: Actions[Parser]) -> None:
    """Add ``evaluate multiview``."""
    parser = add_action(actions, "multiview", "people in motion from several views", _MULTIVIEW)
    _add_motions(parser, 4, 24)
    add_scenes(parser)
    parser.add_argument("--turning", metavar="DIR", type=Path, help="photos of a turning person and keypoints")
    parser.add_argument("--scan", metavar="DIR", type=Path, help="renders of a person from around and keypoints")
    add_fit(parser)
    set_run(parser, "run_sequences.evaluate_multiview", _REAL_PEOPLE, _check_multiview)


def _add_motions(parser: Parser, count: int, n_frames: int) -> None:
    parser.add_argument(
        "--sequences", metavar="N", type=natural, default=count, help="number of sequences (default: %(default)s)"
    )
    parser.add_argument(
        "--frames",
        metavar="N",
        type=positive,
        default=n_frames,
        help="frames of each, 30 a second (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", metavar="N", type=natural, default=0, help="of all random numbers (default: %(default)s)"
    )
    parser.add_argument("--mocap", metavar="FILE", type=Path, help="body poses (.npz); default: mild random ones")
    add_detector(parser, "correlated")


def _check_sequences(arguments: argparse.Namespace) -> None:
    _check_frames(arguments)
    if not (arguments.sequences > 0 or arguments.cost):
        raise UsageError("--sequences: expected at least 1, or --cost")


def _check_multiview(arguments: argparse.Namespace) -> None:
    _check_frames(arguments)
    if not (arguments.sequences > 0 or any(getattr(arguments, name) for name in _REAL_PEOPLE)):
        raise UsageError("--sequences: expected at least 1, or a folder of real people such as --balancing DIR")


def _check_frames(arguments: argparse.Namespace) -> None:
    if arguments.frames < 3:
        raise UsageError(f"--frames: expected at least 3, as accelerations need, found {arguments.frames}")
