"""``smplifyx models``: build, list, look into and export body models."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from smplifyx.cli import console
from smplifyx.errors import UsageError

if TYPE_CHECKING:
    from smplifyx.body.model_data import BodyModelData

_SEARCH = """Files are named DIR/smplx/SMPLX_NEUTRAL.npz or DIR/SMPLX_NEUTRAL.npz, MALE and FEMALE alike.
With --models they are looked for in that folder alone, otherwise in the folders of $SMPLIFYX_MODELS, in ./models,
in the user's cache, and at last in the package, which brings the open body."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "models", help="build, list, look into and export body models", description="Body-model files.",
        allow_abbrev=False,
    )  # fmt: skip
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, title="actions")

    build = _action(actions, "build", "build the open body from its free sources (minutes; needs the extra `build`)")
    build.add_argument("--output", metavar="DIR", help="where it goes (default: into the package)")
    build.set_defaults(run=_build)

    found = _action(actions, "list", "list the body models that are found, in the order in which they are taken")
    found.add_argument("--models", metavar="DIR", help="the only folder to search")
    found.set_defaults(run=_list)

    info = _action(actions, "info", "tell what a body-model file holds")
    info.add_argument("file", metavar="FILE", type=Path, help="body-model file")
    info.set_defaults(run=_info)

    export = _action(actions, "export", "write body models in SMPL-X's plain dense layout, for other SMPL-X code")
    export.add_argument("directory", metavar="DIR", type=Path, help="gets smplx/SMPLX_NEUTRAL.npz and so on")
    export.add_argument("--models", metavar="DIR", help="the only folder to take them from")
    export.add_argument("--gender", choices=["neutral", "male", "female"], help="only this one (default: all)")
    export.set_defaults(run=_export)


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, summary: str
) -> argparse.ArgumentParser:
    return actions.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=None if name == "build" else _SEARCH,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def _build(arguments: argparse.Namespace) -> int:
    try:
        import anny  # noqa: F401
    except ImportError as error:
        raise UsageError("building the open body needs more packages: pip install smplifyx[build]") from error
    from smplifyx.body.open_body.build import build_all
    from smplifyx.body.search import OPEN_BODY_DIR

    for path in build_all(arguments.output or OPEN_BODY_DIR, lambda gender, step: console.note(f"{gender}: {step}")):
        console.say(str(path))
    return 0


def _list(arguments: argparse.Namespace) -> int:
    from smplifyx.body.search import list_body_models, search_dirs

    found = list_body_models(arguments.models)
    for model in found:
        remark = "  (open body)" if model.is_open_body else ""
        console.say(f"{model.model_type:<6} {model.gender:<8} {model.path}{remark}")
    if not found:
        console.note(f"no body model in {', '.join(map(str, search_dirs(arguments.models)))}")
    return 0 if found else 1


def _info(arguments: argparse.Namespace) -> int:
    from smplifyx.body.model_files import load_body_model_data

    for name, value in _facts(load_body_model_data(arguments.file)):
        console.say(f"{name:<28} {value}")
    return 0


def _facts(data: BodyModelData) -> list[tuple[str, str]]:
    height = float(data.v_template[:, 1].max() - data.v_template[:, 1].min())
    return [
        ("model type", data.model_type),
        ("name", data.name),
        ("gender", data.gender),
        ("vertices", str(data.n_vertices)),
        ("triangles", str(len(data.faces))),
        ("joints", str(data.n_joints)),
        ("shape components", str(data.shapedirs.shape[2])),
        ("expression components", str(data.expression_dirs.shape[2])),
        ("stature of the mean body", f"{height:.3f} m"),
        ("pose blend shapes", "dense" if data.pose_projection is None else f"rank {data.posedirs.shape[2]}"),
        ("parts for collisions", "no" if data.part_labels is None else "yes"),
    ]


def _export(arguments: argparse.Namespace) -> int:
    from smplifyx.body.model_data import GENDERS
    from smplifyx.body.model_files import load_body_model_data, write_plain
    from smplifyx.body.search import find_body_model

    if arguments.directory.is_file():
        raise UsageError(f"{arguments.directory} is a file; expected a folder")
    for gender in [arguments.gender] if arguments.gender else GENDERS:
        data = load_body_model_data(find_body_model("smplx", gender, arguments.models), gender)
        path = arguments.directory / "smplx" / f"SMPLX_{gender.upper()}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_plain(data, path)
        console.say(str(path))
    return 0
