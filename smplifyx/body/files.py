"""Load and describe body-model files: licensed layouts (``.npz``, ``.pkl``) and the format of the open bodies."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from smplifyx.body.arrays import ArrayReader, identity_of, open_arrays
from smplifyx.body.compact_layout import FORMAT_KEY, read_compact
from smplifyx.body.data import BodyModelData
from smplifyx.body.plain_layout import (
    LICENSE_KEY,
    Components,
    n_shape_columns,
    problems_of_plain,
    read_plain,
)
from smplifyx.errors import InputError, reason

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


def load_body_model_data(
    path: str | Path,
    gender: str | None = None,
    *,
    n_betas: int | None = 10,
    n_expressions: int | None = 10,
    kid_template: str | Path | None = None,
) -> BodyModelData:
    """Load a body model of any of the five types from a licensed, exported or compact file.

    The number of joints decides the type. SMPL-H without hand poses takes them from ``MANO_LEFT.pkl`` and
    ``MANO_RIGHT.pkl`` in the same folder or in a sibling folder ``mano``; FLAME takes its landmarks from
    ``flame_static_embedding.pkl`` and ``flame_dynamic_embedding.npy`` in the same folder. No code from a pickle is
    run.

    Args:
        path: the file.
        gender: of the body; by default read from the file, its name or its folder.
        n_betas: number of leading shape components to keep; None for all.
        n_expressions: number of leading expression components to keep; None for all.
        kid_template: ``.npy`` [V, 3] of an infant. Its difference to the mean body is appended as the last shape
            component: 0 is an adult, 1 the infant (AGORA, Patel et al. 2021).

    Raises:
        InputError: a file is missing, damaged, or an array has an unexpected shape.
    """
    with open_arrays(path) as file:
        if FORMAT_KEY in file:
            data = read_compact(file, n_betas, n_expressions)
        else:
            data = read_plain(file, gender, Components(n_betas, n_expressions))
    return data if kid_template is None else _with_kid_component(data, Path(kid_template))


def _with_kid_component(data: BodyModelData, path: Path) -> BodyModelData:
    try:
        template = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(path, "the file does not exist") from None
    except (OSError, ValueError, EOFError) as error:
        raise InputError(path, f"not a readable .npy file ({reason(error)})") from None
    if not isinstance(template, np.ndarray) or template.shape != data.v_template.shape:
        found = getattr(template, "shape", "an archive")
        raise InputError(path, f"found shape {found}, expected {data.v_template.shape}")
    # The template is not centred like the mean body; AGORA moves it to the origin.
    difference = (template - template.mean(axis=0) - data.v_template)[..., None]
    return replace(data, shapedirs=np.concatenate([data.shapedirs, difference.astype(data.shapedirs.dtype)], axis=2))


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
