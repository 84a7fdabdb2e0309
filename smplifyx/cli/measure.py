"""``smplifyx measure``: height, girths and limb lengths of fitted people."""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from smplifyx.cli import messages
from smplifyx.cli.messages import check_input
from smplifyx.cli.options import add_results
from smplifyx.errors import InputError, UsageError

if TYPE_CHECKING:
    from smplifyx.config import Config
    from smplifyx.result import FitResult

_DESCRIPTION = """Measure fitted people in T-pose: height, girths of chest, waist and hips, distance of
the shoulders, lengths of limbs from joint to joint, in metres."""
_EPILOG = """Write OUTPUT/measurements.csv. A photo alone does not tell how large a person is:
the figures rest on the shape prior, on the given or chosen gender and on the
focal length. Where the focal length is unknown (camera_source is fallback), the
person is fitted again with a longer and a shorter one, and +- is half of the
range of the measurement over the three fits. --no-uncertainty leaves that out.

example:
  smplifyx measure output"""


class _Person(NamedTuple):
    """A result and its place in the output folder."""

    photo: str
    name: str
    result: FitResult


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "measure", help="height, girths and limb lengths of fitted people", description=_DESCRIPTION, epilog=_EPILOG
    )
    add_results(parser, photos=True)
    parser.add_argument(
        "--focal-length-factor",
        metavar="FACTOR",
        type=float,
        default=1.6,
        help="an unknown focal length may be this much longer or shorter (default: 1.6)",
    )
    parser.add_argument("--no-uncertainty", action="store_true", help="do not fit again")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    check_input(arguments.results, "OUTPUT")
    if not arguments.focal_length_factor > 1:
        raise UsageError(f"--focal-length-factor: expected more than 1, found {arguments.focal_length_factor:g}")

    from smplifyx.export.measurements import half_range, measurements

    people, failed = _read(arguments)
    unknown = [one for one in people if one.result.camera_source == "fallback" and not arguments.no_uncertainty]
    ranges: dict[int, dict[str, float]] = {}
    if unknown:
        factor = arguments.focal_length_factor
        messages.note(
            f"focal length unknown: fitting {messages.count(len(unknown), 'person', 'people')} again with "
            f"{factor:g} times more and less"
        )
        config = _recorded_config(arguments.results)
        others = [_refit(unknown, scale, config, arguments) for scale in (factor, 1.0 / factor)]
        for one, *alternatives in zip(unknown, *others, strict=True):
            ranges[id(one)] = half_range(*(measurements(fit) for fit in (one.result, *alternatives)))
    rows = [(one, measurements(one.result), ranges.get(id(one), {})) for one in people]
    for one, values, spread in rows:
        figures = ", ".join(f"{name} {_shown(value, spread.get(name))}" for name, value in values.items())
        messages.say(f"{one.photo} {one.name}: {figures}")
    if rows:
        from smplifyx.files import write_text

        path = arguments.results / "measurements.csv"
        write_text(path, _table(rows))
        unsure = "; +- is of the focal length alone" if ranges else ""
        messages.note(f"metres{unsure}; {messages.count(len(rows), 'person', 'people')} in {path}")
    return 1 if failed else 0


def _read(arguments: argparse.Namespace) -> tuple[list[_Person], int]:
    """The people, and the number of results that cannot be measured."""
    from smplifyx.export.files import result_files
    from smplifyx.export.measurements import measurements
    from smplifyx.result import load_result

    people, failed = [], 0
    for photo, paths in result_files(arguments.results, arguments.photo).items():
        for key, path in paths.items():
            try:
                result = load_result(path)
                result.body(arguments.models)
                measurements(result)
            except InputError as error:
                messages.complain(InputError(path, error.problem, error.field), with_traceback=False)
                failed += 1
            else:
                people.append(_Person(photo, key.file_name, result))
    return people, failed


def _recorded_config(root: Path) -> Config | None:
    """The settings of a run, also of an earlier version; None if there is no record of them."""
    from smplifyx.config import load_recorded
    from smplifyx.output import OutputLayout

    path = OutputLayout(root).config_path
    if not path.is_file():
        return None
    config, _, left_out = load_recorded(path)
    messages.note_left_out(left_out)
    return config


def _refit(
    people: Sequence[_Person], scale: float, config: Config | None, arguments: argparse.Namespace
) -> list[FitResult]:
    """The people, fitted with ``scale`` times their focal length."""
    from smplifyx import Camera, Fitter, Observation, fit_people

    def fitter(body: tuple[str, str]) -> Fitter:
        return Fitter(*body, config=config, models=arguments.models)

    observations = []
    for _, _, result in people:
        (fx, fy), center, size = result.camera.focal_length, result.camera.center, result.camera.size
        camera = Camera((scale * fx, scale * fy), center, "given", size)
        observations.append(Observation(result.keypoints_2d, size, camera))
    bodies = [(one.result.model_type, one.result.gender) for one in people]
    fits: dict[int, FitResult] = {}
    for batch in fit_people(observations, bodies, fitter):
        fits |= dict(zip(batch.people, batch.results, strict=True))
    return [fits[position] for position in range(len(people))]


def _shown(value: float, spread: float | None) -> str:
    return f"{value:.2f}" + ("" if spread is None else f" +- {spread:.2f}")


def _table(rows: Sequence[tuple[_Person, dict[str, float], dict[str, float]]]) -> str:
    """Text of the table; an uncertainty that is not known is empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    names = list(rows[0][1])
    columns = [column for name in names for column in (name, f"{name}_uncertainty")]
    writer.writerow(["stem", "person", "gender", "camera_source", *columns])
    for one, values, spread in rows:
        cells = [cell for name in names for cell in (f"{values[name]:.4f}", _cell(spread.get(name)))]
        writer.writerow([one.photo, one.name, one.result.gender, one.result.camera_source, *cells])
    return stream.getvalue()


def _cell(spread: float | None) -> str:
    return "" if spread is None else f"{spread:.4f}"
