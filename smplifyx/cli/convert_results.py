"""``smplifyx convert-results``: results of one body model as those of another."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from smplifyx.cli import messages
from smplifyx.cli.messages import check_output
from smplifyx.errors import InputError, UsageError

if TYPE_CHECKING:
    from smplifyx.result import FitResult

_EPILOG = """Joints of both models are copied. If mesh or shape space differ, shape, pose and translation are
fitted to the surface. The mean distance of the two surfaces is printed for each person, in millimetres."""
_TYPES = ("smpl", "smplh", "smplx")


class _Person(NamedTuple):
    """A result and its file."""

    path: Path
    result: FitResult


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "convert-results",
        help="turn results of one body model into those of another",
        description="Turn results of SMPL, SMPL+H or SMPL-X into those of another one of these.",
        epilog=_EPILOG,
    )
    parser.add_argument("results", metavar="RESULTS", type=Path, help="output folder of `fit`, or one .npz")
    parser.add_argument("--to", choices=_TYPES, required=True, help="the other body model")
    parser.add_argument("--output", metavar="DIR", type=Path, required=True, help="gets results/STEM/PERSON.npz")
    parser.add_argument(
        "--gender", choices=["neutral", "male", "female"], help="of the other body model (default: the same)"
    )
    parser.add_argument("--models", metavar="DIR", help="the only folder to take body models from")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    root, paths = _result_files(arguments.results)
    check_output(arguments.output)
    if arguments.output.resolve() == arguments.results.resolve():
        raise UsageError(f"--output {arguments.output} holds the results to convert; expected another folder")
    people, failures = _read(paths)
    errors: list[float] = []
    for group in _by_body(people):
        try:
            errors += _convert_group(group, arguments, root)
        except InputError as error:
            messages.complain(error, with_traceback=False)
            failures += len(group)
    if errors:
        messages.say(f"{len(errors)} converted, mean distance {sum(errors) / len(errors):.2f} mm")
    return 1 if failures else 0


def _result_files(results: Path) -> tuple[Path, list[Path]]:
    """The folder that file names are relative to, and the files."""
    if results.is_file():
        return results.parent, [results]
    if not results.is_dir():
        raise UsageError(f"{results} does not exist; expected an output folder of `smplifyx fit`")
    from smplifyx.output.layout import OutputLayout

    packed = [path for *_, path in OutputLayout(results).results()]
    root = results / "results" if packed or (results / "results").is_dir() else results
    paths = sorted({path for path in root.rglob("*.npz") if not path.name.startswith(".")} | set(packed))
    if not paths:
        raise UsageError(f"{root} holds no results; expected an output folder of `smplifyx fit`, or .npz files")
    return root, paths


def _read(paths: Iterable[Path]) -> tuple[list[_Person], int]:
    """The people, and the number of unreadable files."""
    from smplifyx.output.results import model_parameters
    from smplifyx.result import load_result

    people, failures = [], 0
    for path in paths:
        try:
            result = load_result(path)
            model_parameters(result)
        except InputError as error:
            messages.complain(InputError(path, error.problem, error.field), with_traceback=False)
            failures += 1
        else:
            people.append(_Person(path, result))
    return people, failures


def _by_body(people: Iterable[_Person]) -> list[list[_Person]]:
    """The people by body model."""
    groups: dict[tuple[str, str, str], list[_Person]] = {}
    for person in people:
        result = person.result
        groups.setdefault((result.model_type, result.model_name, result.gender), []).append(person)
    return list(groups.values())


def _convert_group(group: list[_Person], arguments: argparse.Namespace, root: Path) -> list[float]:
    """Convert and write people with one body model; returns their errors in millimetres."""
    from smplifyx.body.files import load_body_model_data
    from smplifyx.body.search import find_body_model
    from smplifyx.fitting.conversion import Converter, joined
    from smplifyx.output.results import converted_result, model_parameters

    try:
        source = group[0].result.body_data(arguments.models)
    except InputError as error:
        raise InputError(group[0].path, error.problem, error.field) from error
    gender = arguments.gender or source.gender
    target = load_body_model_data(find_body_model(arguments.to, gender, arguments.models), gender)
    conversion = Converter(source, target)(joined([model_parameters(person.result) for person in group]))
    for row, person in enumerate(group):
        name = person.path.relative_to(root)
        converted = converted_result(person.result, target, conversion.person(row))
        converted.save(arguments.output / "results" / name)
        messages.say(f"{name}  {conversion.vertex_error_mm[row]:.2f} mm")
    return conversion.vertex_error_mm.tolist()
