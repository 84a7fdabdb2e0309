"""Human-readable description of a body-model file: its content, and missing or damaged arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from smplifyx.body.arrays import ArrayReader, open_arrays
from smplifyx.body.compact_reader import FORMAT_KEY
from smplifyx.body.data import BodyModelData
from smplifyx.body.files import load_body_model_data
from smplifyx.body.identity import identity_of
from smplifyx.body.plain_reader import n_shape_columns, problems_of_plain
from smplifyx.body.plain_writer import LICENSE_KEY
from smplifyx.errors import InputError

#: Releases of the licensed models, by the columns of their ``shapedirs``.
_VERSIONS = {
    ("smplx", 20): "1.0",
    ("smplx", 400): "1.1",
    ("smpl", 10): "1.0",
    ("smpl", 300): "1.1",
    ("smplh", 10): "MANO 1.2",
    ("smplh", 16): "AMASS",
    ("mano", 10): "MANO 1.2",
    ("flame", 400): "2019 or later",
}
OPEN, LICENSED, UNREADABLE = "open", "licensed", "unreadable"


@dataclass(frozen=True)
class FileReport:
    """Description of a body-model file.

    Attributes:
        facts: names and values, in display order.
        problems: one sentence per missing or damaged array, with its key.
    """

    facts: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def licence_of(path: Path) -> str:
    """Return ``open`` for free bodies, ``licensed`` for all others, ``unreadable`` for damaged files."""
    try:
        with open_arrays(path) as file:
            return _licence(file)
    except InputError:
        return UNREADABLE


def _licence(file: ArrayReader) -> str:
    return OPEN if FORMAT_KEY in file or LICENSE_KEY in file else LICENSED


def describe_file(path: str | Path) -> FileReport:
    """Describe a body-model file, intact or damaged.

    Raises:
        InputError: the file cannot be opened.
    """
    with open_arrays(path) as file:
        if FORMAT_KEY in file:
            return _intact(file, "compact format of the open bodies")
        problems = problems_of_plain(file)
        if not problems:
            return _intact(file, _version(file))
        return FileReport(_facts_of_damaged(file), [str(problem) for problem in problems])


def _intact(file: ArrayReader, version: str) -> FileReport:
    try:
        data = load_body_model_data(file.path, n_betas=None, n_expressions=None)
    except InputError as problem:
        return FileReport(problems=[str(problem)])
    return FileReport({**_heading(data.model_type, data.side, version, data.gender, file), **_content(data)})


def _version(file: ArrayReader) -> str:
    skeleton = identity_of(file).skeleton
    columns = file.array("shapedirs", (None, 3, None)).shape[2]
    n_shape = n_shape_columns(file, skeleton, columns)
    known = "own plain layout" if "n_shape_components" in file else _VERSIONS.get((skeleton.model_type, columns))
    return known or f"unknown, with {n_shape} + {columns - n_shape} components"


def _heading(model_type: str, side: str | None, version: str, gender: str, file: ArrayReader) -> dict[str, str]:
    return {
        "model": model_type,
        "version": version,
        **({"side": side} if side else {"gender": gender}),
        "licence": _licence(file),
    }


def _content(data: BodyModelData) -> dict[str, str]:
    hands = [f"{side} 45 components" for side in data.skeleton.hand_sides]
    height = float(data.v_template[:, 1].max() - data.v_template[:, 1].min())
    return {
        "name": data.name,
        "vertices": str(data.n_vertices),
        "triangles": str(len(data.faces)),
        "joints": str(data.n_joints),
        "shape components": str(data.shapedirs.shape[2]),
        "expression components": str(data.expression_dirs.shape[2]),
        "pose blend shapes": "dense" if data.pose_projection is None else f"rank {data.posedirs.shape[2]}",
        "hand poses": ", ".join(hands) or "none",
        "face landmarks": "no" if data.landmark_faces is None else "51",
        "face contour": "no" if data.contour_faces is None else "17 points by yaw",
        "parts for collisions": "no" if data.part_labels is None else "yes",
        "height of the mean body": f"{height:.3f} m",
    }


def _facts_of_damaged(file: ArrayReader) -> dict[str, str]:
    """Facts that a damaged file still gives."""
    try:
        identity = identity_of(file)
    except InputError:
        return {"keys": ", ".join(file.keys) or "none"}
    try:
        version = _version(file)
    except InputError:
        version = "unknown"
    skeleton = identity.skeleton
    return {
        **_heading(skeleton.model_type, skeleton.side, version, identity.gender, file),
        "name": identity.name,
        "joints": str(skeleton.n_joints),
    }
