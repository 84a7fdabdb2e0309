"""The compact store of the open bodies: one small file a gender and one file of what the genders share.

Blend shapes are half-precision numbers times one scale a component, skinning weights and the joint regressor are
sparse. ``SMPLX_<GENDER>.npz`` holds the template, shape components, regressor and what touches at rest;
``shared.npz`` beside it the rest (``shared_smpl.npz`` and so on for the other models). A model with one body alone,
such as a hand, is one file. SMPL and SMPL-H are made from the SMPL-X file beside theirs when they are read, see
:mod:`.open_family.layouts`; their files say no more than that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from smplifyx.body.arrays import ArrayReader, NpzReader, save_npz
from smplifyx.body.data import GENDERS, BodyModelData, FloatArray
from smplifyx.body.open_family.layouts import layout_from_smplx
from smplifyx.skeleton import (
    MODEL_TYPES,
    N_CONTOUR_LANDMARKS,
    N_CONTOUR_ROWS,
    N_FACE_LANDMARKS,
    SIDES,
    Skeleton,
    skeleton_of,
)

COMPACT_FORMAT = 1
FORMAT_KEY = "compact_format"
#: In a file that holds a layout of another body: that body's model.
_LAYOUT_KEY = "made_from"
LAYOUTS = ("smplh", "smpl")
#: Stored for each gender; everything else is in the shared file.
_OWN_FIELDS = ("v_template", "shapedirs", "joint_regressor", "rest_contact_pairs")
_BLEND_SHAPES = ("shapedirs", "expression_dirs", "posedirs")
_TEXTS = ("model_type", "gender", "name")
#: Follow from the kind of model.
_NOT_ARRAYS = (*_TEXTS, "side", "extra_point_names")

Arrays = dict[str, Any]


def _pack_blend_shapes(name: str, shapes: FloatArray) -> Arrays:
    scale = np.abs(shapes).max(axis=(0, 1)) if shapes.size else np.zeros(shapes.shape[2])
    scaled = shapes / np.where(scale > 0, scale, 1.0)
    return {name: scaled.transpose(2, 0, 1).astype(np.float16), f"{name}_scale": scale.astype(np.float32)}


def _pack_sparse(name: str, matrix: FloatArray) -> Arrays:
    """Rows as counts, column numbers and values."""
    rows, columns = np.nonzero(matrix)
    return {
        f"{name}_shape": np.asarray(matrix.shape, np.int32),
        f"{name}_counts": np.bincount(rows, minlength=len(matrix)).astype(np.uint16),
        f"{name}_columns": columns.astype(np.uint16),
        f"{name}_values": matrix[rows, columns].astype(np.float32),
    }


def _pack(data: BodyModelData, names: Sequence[str]) -> Arrays:
    arrays: Arrays = {}
    for name in names:
        value = getattr(data, name)
        if value is None:
            continue
        if name in _BLEND_SHAPES:
            arrays.update(_pack_blend_shapes(name, value))
        elif name in ("joint_regressor", "skinning_weights"):
            # The regressor has few rows and long, the weights many and short: both are stored by vertex.
            arrays.update(_pack_sparse(name, value.T if name == "joint_regressor" else value))
        elif np.issubdtype(value.dtype, np.floating):
            arrays[name] = value.astype(np.float32)
        else:
            limits = (np.min_scalar_type(value.min(initial=0)), np.min_scalar_type(value.max(initial=0)))
            arrays[name] = value.astype(np.result_type(*limits))
    return arrays


def compact_file_name(data: BodyModelData) -> str:
    """``SMPLX_NEUTRAL.npz``, or ``MANO_LEFT.npz`` for a hand."""
    return f"{data.model_type.upper()}_{(data.side or data.gender).upper()}.npz"


def _shared_file_name(model_type: str) -> str:
    return "shared.npz" if model_type == "smplx" else f"shared_{model_type}.npz"


def write_compact(bodies: Sequence[BodyModelData], directory: str | Path) -> list[Path]:
    """Write bodies that differ only in template, shape components, joint regressor and contacts at rest.

    Args:
        bodies: one body a gender, all of one model; a single one is written whole.
        directory: made if missing; files in it are replaced.

    Returns:
        The files written.

    Raises:
        ValueError: the bodies differ in what is stored once for all, or have other surface points than their model.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    names = [field.name for field in fields(BodyModelData) if field.name not in _NOT_ARRAYS]
    own_names = names if len(bodies) == 1 else [name for name in names if name in _OWN_FIELDS]
    written = []
    if len(bodies) > 1:
        shared = _pack_shared(bodies, [name for name in names if name not in _OWN_FIELDS])
        written.append(directory / _shared_file_name(bodies[0].model_type))
        save_npz(written[-1], shared)
    for body in bodies:
        if body.extra_point_names != body.skeleton.extra_point_names:
            raise ValueError(f"{body.name} has other surface points than {body.model_type}")
        texts = {name: np.asarray(getattr(body, name)) for name in _TEXTS}
        if body.side is not None:
            texts["side"] = np.asarray(body.side)
        written.append(directory / compact_file_name(body))
        save_npz(written[-1], {FORMAT_KEY: np.asarray(COMPACT_FORMAT), **texts, **_pack(body, own_names)})
    return written


def write_layout(body: BodyModelData, model_type: str, directory: str | Path) -> Path:
    """Write that one of :data:`LAYOUTS` is made from an SMPL-X body in the same folder; returns the file."""
    if model_type not in LAYOUTS or body.model_type != "smplx":
        raise ValueError(f"{model_type} is not made from {body.model_type}")
    path = Path(directory) / f"{model_type.upper()}_{body.gender.upper()}.npz"
    texts = {"model_type": model_type, "gender": body.gender, "name": body.name, _LAYOUT_KEY: body.model_type}
    save_npz(path, {FORMAT_KEY: np.asarray(COMPACT_FORMAT), **{k: np.asarray(text) for k, text in texts.items()}})
    return path


def _pack_shared(bodies: Sequence[BodyModelData], names: Sequence[str]) -> Arrays:
    shared = _pack(bodies[0], names)
    for body in bodies[1:]:
        other = _pack(body, names)
        differing = shared.keys() ^ other.keys()
        differing |= {key for key in shared.keys() & other.keys() if not np.array_equal(shared[key], other[key])}
        if differing or body.model_type != bodies[0].model_type:
            raise ValueError(
                f"{body.gender} {body.model_type} differs from {bodies[0].gender} {bodies[0].model_type} "
                f"in {', '.join(sorted(differing))}"
            )
    return shared


def _unpack_blend_shapes(file: ArrayReader, name: str) -> FloatArray:
    scale = file.array(f"{name}_scale", (None,))
    scaled = file.array(name, (len(scale), None, 3))
    return (scaled.astype(np.float32) * scale[:, None, None]).transpose(1, 2, 0)


def _unpack_sparse(file: ArrayReader, name: str) -> FloatArray:
    n_rows, n_columns = (int(n) for n in file.array(f"{name}_shape", (2,)))
    counts = file.array(f"{name}_counts", (n_rows,))
    columns = file.array(f"{name}_columns", (int(counts.sum()),))
    matrix = np.zeros((n_rows, n_columns), np.float32)
    matrix[np.repeat(np.arange(n_rows), counts), columns] = file.array(f"{name}_values", columns.shape)
    return matrix


def read_compact(file: ArrayReader, n_betas: int | None, n_expressions: int | None) -> BodyModelData:
    """Read one gender and the shared file beside it.

    Raises:
        InputError: a file is missing, damaged or of another version.
    """
    version = int(file.array(FORMAT_KEY, ()))
    if version != COMPACT_FORMAT:
        raise file.error(FORMAT_KEY, f"found version {version}, this program reads version {COMPACT_FORMAT}")
    skeleton = _skeleton(file)
    if _LAYOUT_KEY in file:
        return _read_layout(file, skeleton, n_betas)
    if "faces" in file:
        return _read(file, file, skeleton, n_betas, n_expressions)
    with NpzReader(file.path.parent / _shared_file_name(skeleton.model_type)) as shared:
        return _read(file, shared, skeleton, n_betas, n_expressions)


def _read_layout(file: ArrayReader, skeleton: Skeleton, n_betas: int | None) -> BodyModelData:
    model_type, gender = skeleton.model_type, file.text("gender")
    if model_type not in LAYOUTS or gender not in GENDERS or file.text(_LAYOUT_KEY) != "smplx":
        raise file.error(_LAYOUT_KEY, f"found a {gender} {model_type} made from {file.text(_LAYOUT_KEY)!r}")
    path = file.path.parent / f"SMPLX_{gender.upper()}.npz"
    if not path.is_file():
        raise file.error(
            _LAYOUT_KEY, f"this file is made from {path.name} when it is read, and needs it beside itself"
        )
    with NpzReader(path) as body:
        if FORMAT_KEY not in body:
            raise body.error(
                FORMAT_KEY, f"the key is missing; {file.path.name} is made from a compact body beside it"
            )
        return layout_from_smplx(read_compact(body, n_betas, 0), model_type)


def _skeleton(file: ArrayReader) -> Skeleton:
    model_type, side = file.text("model_type"), file.text("side") if "side" in file else None
    if model_type not in MODEL_TYPES:
        raise file.error("model_type", f"found {model_type!r}, expected one of {', '.join(MODEL_TYPES)}")
    if side not in (SIDES if model_type == "mano" else (None,)):
        raise file.error("side", f"found {side!r}, which does not go with {model_type}")
    return skeleton_of(model_type, side)


def _read(
    file: ArrayReader, shared: ArrayReader, skeleton: Skeleton, n_betas: int | None, n_expressions: int | None
) -> BodyModelData:
    values: Mapping[str, Any] = {
        **{name: file.text(name) for name in _TEXTS},
        "side": skeleton.side,
        "extra_point_names": skeleton.extra_point_names,
        "v_template": file.array("v_template", (None, 3)),
        "shapedirs": _unpack_blend_shapes(file, "shapedirs")[..., :n_betas],
        "joint_regressor": _unpack_sparse(file, "joint_regressor").T,
        "skinning_weights": _unpack_sparse(shared, "skinning_weights"),
        "expression_dirs": _unpack_blend_shapes(shared, "expression_dirs")[..., :n_expressions],
        "posedirs": _unpack_blend_shapes(shared, "posedirs"),
        **_read_plain_arrays(shared, _shared_shapes(skeleton), skeleton),
        **_read_plain_arrays(file, {"rest_contact_pairs": (None, 2)}, skeleton),
    }
    return BodyModelData(**values)


def _shared_shapes(skeleton: Skeleton) -> dict[str, tuple[int | None, ...]]:
    """Shapes of the arrays that are stored as they are; None is any length."""
    return {
        "faces": (None, 3),
        "pose_projection": (None, None),
        "parents": (skeleton.n_joints,),
        **{f"{side}_hand_components": (45, 45) for side in SIDES},
        **{f"{side}_hand_mean": (45,) for side in SIDES},
        "extra_point_vertices": (len(skeleton.extra_point_names),),
        "landmark_faces": (N_FACE_LANDMARKS,),
        "landmark_barycentric": (N_FACE_LANDMARKS, 3),
        "contour_faces": (N_CONTOUR_ROWS, N_CONTOUR_LANDMARKS),
        "contour_barycentric": (N_CONTOUR_ROWS, N_CONTOUR_LANDMARKS, 3),
        "part_labels": (None,),
    }


def _may_lack(skeleton: Skeleton, name: str) -> bool:
    if name in ("part_labels", "pose_projection", "rest_contact_pairs"):
        return True
    if name.startswith(("landmark_", "contour_")):
        return skeleton.face_joint is None
    side, _, rest = name.partition("_hand_")
    return bool(rest) and side not in skeleton.hand_sides


def _read_plain_arrays(file: ArrayReader, shapes: Mapping[str, tuple[int | None, ...]], skeleton: Skeleton) -> Arrays:
    arrays: Arrays = {}
    for name, shape in shapes.items():
        if name not in file and _may_lack(skeleton, name):
            arrays[name] = None
            continue
        array = file.array(name, shape)
        arrays[name] = array.astype(np.int64) if np.issubdtype(array.dtype, np.integer) else array
    return arrays
