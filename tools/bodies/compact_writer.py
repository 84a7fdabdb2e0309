"""Write the compact store of the open bodies; see :mod:`smplifyx.body.compact_layout` for the format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from smplifyx.body.arrays import save_npz
from smplifyx.body.compact_layout import COMPACT_FORMAT, DERIVED_TYPES, FORMAT_KEY, SOURCE_KEY, shared_file_name
from smplifyx.body.correspondence import VERTEX_MAP_FILE
from smplifyx.body.data import BodyModelData, FloatArray, IntArray

#: Stored for each gender; everything else is in the shared file.
_OWN_FIELDS = ("v_template", "shapedirs", "joint_regressor", "rest_contact_pairs")
_BLEND_SHAPES = ("shapedirs", "expression_dirs", "posedirs")
_TEXTS = ("model_type", "gender", "name")
#: Not stored as arrays: texts, and values that follow from the model type.
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


def write_compact(bodies: Sequence[BodyModelData], directory: str | Path) -> list[Path]:
    """Write bodies that differ only in template, shape components, joint regressor and contacts at rest.

    Args:
        bodies: one body a gender, all of one model; a single one is written whole.
        directory: made if missing; files in it are replaced.

    Returns:
        The files written.

    Raises:
        ValueError: the bodies differ in arrays that are stored once, or have other surface points than their model.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    names = [field.name for field in fields(BodyModelData) if field.name not in _NOT_ARRAYS]
    own_names = names if len(bodies) == 1 else [name for name in names if name in _OWN_FIELDS]
    written = []
    if len(bodies) > 1:
        shared = _pack_shared(bodies, [name for name in names if name not in _OWN_FIELDS])
        written.append(directory / shared_file_name(bodies[0].model_type))
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


def write_derived(body: BodyModelData, model_type: str, directory: str | Path) -> Path:
    """Write that one of :data:`DERIVED_TYPES` is made from an SMPL-X body in the same folder; returns the file."""
    if model_type not in DERIVED_TYPES or body.model_type != "smplx":
        raise ValueError(f"{model_type} is not made from {body.model_type}")
    path = Path(directory) / f"{model_type.upper()}_{body.gender.upper()}.npz"
    texts = {"model_type": model_type, "gender": body.gender, "name": body.name, SOURCE_KEY: body.model_type}
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


def write_vertex_maps(maps: Mapping[str, IntArray], directory: str | Path) -> Path:
    """Write the maps that :func:`smplifyx.body.correspondence.body_vertices` reads; return the file."""
    path = Path(directory) / VERTEX_MAP_FILE
    save_npz(path, {key: vertices.astype(np.uint16) for key, vertices in maps.items()})
    return path
