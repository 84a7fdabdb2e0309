"""``smplifyx models``: list, inspect, convert and export body models."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from smplifyx.cli import messages
from smplifyx.cli.messages import check_output
from smplifyx.errors import InputError, UsageError

if TYPE_CHECKING:
    from smplifyx.body.data import BodyModelData
    from smplifyx.body.search import FoundModel

_SEARCH = """Files are named DIR/smplx/SMPLX_NEUTRAL.npz or DIR/SMPLX_NEUTRAL.npz, also MALE and FEMALE, or .pkl;
likewise SMPLH_, SMPL_ and FLAME_; MANO_LEFT and MANO_RIGHT. The names in the licensed archives are also known, for
example smplh/male/model.npz and basicmodel_m_lbs_10_207_0_v1.1.0.pkl.
--models names the only folder to search. By default the folders of $SMPLIFYX_MODELS, ./models, the user's cache and
the package, which contains the open bodies, are searched in this order."""
_CONVERT = """Each file is written with all its components as DIR/smplx/SMPLX_NEUTRAL.npz and so on: plain
arrays, no pickled objects, with hand poses and landmarks from separate files. The source's licence also applies to
the result."""
_TYPES = ("smplx", "smplh", "smpl", "mano", "flame")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "models", help="list, inspect, convert and export body models", description="Body-model files."
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, title="actions")

    found = _action(actions, "list", "list the body models that are found; of each kind, the first is used", _SEARCH)
    found.add_argument("--models", metavar="DIR", help="the only folder to search")
    found.set_defaults(run=_list)

    info = _action(actions, "info", "describe a body-model file, and list missing or damaged arrays", None)
    info.add_argument("file", metavar="FILE", type=Path, help="body-model file")
    info.set_defaults(run=_info)

    convert = _action(
        actions, "convert", "convert licensed files, pickled ones included, to the plain .npz layout", _CONVERT
    )
    convert.add_argument("files", metavar="FILE", type=Path, nargs="+", help="body-model files")
    convert.add_argument(
        "--output", metavar="DIR", type=Path, required=True, help="gets smplx/SMPLX_NEUTRAL.npz etc."
    )
    convert.add_argument(
        "--gender", choices=["neutral", "male", "female"], help="of the bodies (default: from the files)"
    )
    convert.set_defaults(run=_convert)

    export = _action(actions, "export", "write body models in the plain dense layout, for other code", _SEARCH)
    export.add_argument("directory", metavar="DIR", type=Path, help="gets smplx/SMPLX_NEUTRAL.npz and so on")
    export.add_argument("--models", metavar="DIR", help="the only folder to take them from")
    export.add_argument("--model", choices=_TYPES, default="smplx", help="model type (default: smplx)")
    export.add_argument("--gender", choices=["neutral", "male", "female"], help="only this gender (default: all)")
    export.add_argument(
        "--format", choices=["npz", "pkl"], default="npz", help="file format that the other code reads"
    )
    export.set_defaults(run=_export)


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, summary: str, epilog: str | None
) -> argparse.ArgumentParser:
    return actions.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.", epilog=epilog)


def _list(arguments: argparse.Namespace) -> int:
    from smplifyx.body.files import licence_of
    from smplifyx.body.search import list_body_models, search_dirs

    found = list_body_models(arguments.models)
    used: set[tuple[str, str]] = set()
    for model in found:
        kind = (model.model_type, model.side or model.gender)
        remark = "  (not used)" if kind in used else ""
        used.add(kind)
        messages.say(f"{kind[0]:<6} {kind[1]:<8} {licence_of(model.path):<10} {model.path}{remark}")
    if not found:
        messages.note(f"no body model in {', '.join(map(str, search_dirs(arguments.models)))}")
    return 0 if found else 1


def _info(arguments: argparse.Namespace) -> int:
    from smplifyx.body.files import describe_file

    report = describe_file(arguments.file)
    for name, value in report.facts.items():
        messages.say(f"{name:<28} {value}")
    for problem in report.problems:
        messages.say(f"{'missing or damaged':<28} {problem}")
    return 1 if report.problems else 0


def _convert(arguments: argparse.Namespace) -> int:
    check_output(arguments.output)
    written: dict[Path, Path] = {}
    failed = False
    for file in arguments.files:
        try:
            path = _convert_file(file, arguments.gender, arguments.output, written)
        except InputError as error:
            messages.note(f"smplifyx: error: {error}")
            failed = True
        else:
            written[path] = file
            messages.say(str(path))
    return 1 if failed else 0


def _convert_file(file: Path, gender: str | None, directory: Path, written: Mapping[Path, Path]) -> Path:
    from smplifyx.body.files import load_body_model_data
    from smplifyx.body.plain_writing import write_plain

    data = load_body_model_data(file, gender, n_betas=None, n_expressions=None)
    path = _plain_path(data, directory, "npz")
    if path in written:
        raise InputError(file, f"would replace {path}, which was just made from {written[path]}")
    if path.resolve() == file.resolve():
        raise InputError(file, "would replace itself; expected another folder for the output")
    write_plain(data, path)
    return path


def _export(arguments: argparse.Namespace) -> int:
    from smplifyx.body.files import load_body_model_data
    from smplifyx.body.plain_writing import write_plain

    check_output(arguments.directory, "DIR")
    failed = False
    for model in _models_to_export(arguments):
        try:
            data = load_body_model_data(model.path, model.gender)
        except InputError as error:
            messages.complain(error, with_traceback=False)
            failed = True
            continue
        path = _plain_path(data, arguments.directory, arguments.format)
        write_plain(data, path)
        messages.say(str(path))
    return 1 if failed else 0


def _models_to_export(arguments: argparse.Namespace) -> Iterable[FoundModel]:
    """Of each kind that was asked for and is there, the first; raises UsageError where there is none."""
    from smplifyx.body.search import list_body_models, search_dirs

    chosen: dict[str, FoundModel] = {}
    for model in list_body_models(arguments.models):
        if model.model_type == arguments.model and (model.side or arguments.gender in (None, model.gender)):
            chosen.setdefault(model.side or model.gender, model)
    if not chosen:
        wanted = " ".join(filter(None, (arguments.gender, arguments.model)))
        folders = ", ".join(map(str, search_dirs(arguments.models)))
        raise UsageError(f"no {wanted} body model in {folders}; `smplifyx models list` lists those that are found")
    return chosen.values()


def _plain_path(data: BodyModelData, directory: Path, suffix: str) -> Path:
    name = f"{data.model_type}_{data.side or data.gender}".upper()
    return directory / data.model_type / f"{name}.{suffix}"
