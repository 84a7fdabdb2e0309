"""The compact store of the open body: one small file a gender and one file of what the genders share.

Blend shapes are half-precision numbers times one scale a component, skinning weights and the joint regressor are
sparse. ``SMPLX_<GENDER>.npz`` holds the template, shape components, regressor and what touches at rest;
``shared.npz`` beside it the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from smplifyx.body.model_data import BodyModelData, FloatArray
from smplifyx.body.npz_files import NpzReader, save_npz

COMPACT_FORMAT = 1
FORMAT_KEY = "compact_format"
SHARED_FILE = "shared.npz"
#: Stored for each gender; everything else is in the shared file.
_OWN_FIELDS = ("v_template", "shapedirs", "joint_regressor", "rest_contact_pairs")
_BLEND_SHAPES = ("shapedirs", "expression_dirs", "posedirs")
_TEXTS = ("model_type", "gender", "name")

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


def write_compact(bodies: Sequence[BodyModelData], directory: str | Path) -> list[Path]:
    """Write bodies that differ only in template, shape components, joint regressor and contacts at rest.

    Args:
        bodies: one body a gender.
        directory: made if missing; files in it are replaced.

    Returns:
        The files written.

    Raises:
        ValueError: the bodies differ in what is stored once for all.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    shared_names = [f.name for f in fields(BodyModelData) if f.name not in (*_OWN_FIELDS, *_TEXTS)]
    shared = _pack(bodies[0], shared_names)
    for body in bodies[1:]:
        other = _pack(body, shared_names)
        differing = shared.keys() ^ other.keys()
        differing |= {key for key in shared.keys() & other.keys() if not np.array_equal(shared[key], other[key])}
        if differing:
            raise ValueError(f"{body.gender} differs from {bodies[0].gender} in {', '.join(sorted(differing))}")
    written = [directory / SHARED_FILE]
    save_npz(written[0], shared)
    for body in bodies:
        texts = {name: np.asarray(getattr(body, name)) for name in _TEXTS}
        written.append(directory / f"{body.model_type.upper()}_{body.gender.upper()}.npz")
        save_npz(written[-1], {FORMAT_KEY: np.asarray(COMPACT_FORMAT), **texts, **_pack(body, _OWN_FIELDS)})
    return written


def _unpack_blend_shapes(file: NpzReader, name: str) -> FloatArray:
    scale = file.array(f"{name}_scale", (None,))
    scaled = file.array(name, (len(scale), None, 3))
    return (scaled.astype(np.float32) * scale[:, None, None]).transpose(1, 2, 0)


def _unpack_sparse(file: NpzReader, name: str) -> FloatArray:
    n_rows, n_columns = (int(n) for n in file.array(f"{name}_shape", (2,)))
    counts = file.array(f"{name}_counts", (n_rows,))
    columns = file.array(f"{name}_columns", (int(counts.sum()),))
    matrix = np.zeros((n_rows, n_columns), np.float32)
    matrix[np.repeat(np.arange(n_rows), counts), columns] = file.array(f"{name}_values", columns.shape)
    return matrix


def read_compact(file: NpzReader, n_betas: int, n_expressions: int) -> BodyModelData:
    """Read one gender and the shared file beside it.

    Raises:
        InputError: a file is missing, damaged or of another version.
    """
    version = int(file.array(FORMAT_KEY, ()))
    if version != COMPACT_FORMAT:
        raise file.error(FORMAT_KEY, f"found version {version}, this program reads version {COMPACT_FORMAT}")
    with NpzReader(file.path.parent / SHARED_FILE) as shared:
        values: Mapping[str, Any] = {
            **{name: file.text(name) for name in _TEXTS},
            "v_template": file.array("v_template", (None, 3)),
            "shapedirs": _unpack_blend_shapes(file, "shapedirs")[..., :n_betas],
            "joint_regressor": _unpack_sparse(file, "joint_regressor").T,
            "skinning_weights": _unpack_sparse(shared, "skinning_weights"),
            "expression_dirs": _unpack_blend_shapes(shared, "expression_dirs")[..., :n_expressions],
            "posedirs": _unpack_blend_shapes(shared, "posedirs"),
            **_read_plain_arrays(shared, _SHARED_SHAPES),
            **_read_plain_arrays(file, {"rest_contact_pairs": (None, 2)}),
        }
    return BodyModelData(**values)


#: Shapes of the arrays that are stored as they are; None is any length.
_SHARED_SHAPES: dict[str, tuple[int | None, ...]] = {
    "faces": (None, 3),
    "pose_projection": (None, None),
    "parents": (55,),
    "left_hand_components": (45, 45),
    "right_hand_components": (45, 45),
    "left_hand_mean": (45,),
    "right_hand_mean": (45,),
    "extra_point_vertices": (21,),
    "landmark_faces": (51,),
    "landmark_barycentric": (51, 3),
    "contour_faces": (79, 17),
    "contour_barycentric": (79, 17, 3),
    "part_labels": (None,),
}
_OPTIONAL = ("part_labels", "pose_projection", "rest_contact_pairs")


def _read_plain_arrays(file: NpzReader, shapes: Mapping[str, tuple[int | None, ...]]) -> Arrays:
    arrays: Arrays = {}
    for name, shape in shapes.items():
        if name in _OPTIONAL and name not in file:
            arrays[name] = None
            continue
        array = file.array(name, shape)
        arrays[name] = array.astype(np.int64) if np.issubdtype(array.dtype, np.integer) else array
    return arrays
