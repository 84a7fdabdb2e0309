"""Reads the compact format of the open bodies: one small file per gender, and one file of shared arrays.

Blend shapes are half-precision numbers times one scale per component; skinning weights and joint regressor are
sparse. ``SMPLX_<GENDER>.npz`` holds template, shape components, joint regressor and contacts at rest;
``shared.npz`` in the same folder holds the rest (``shared_smpl.npz`` and so on for other models). A model without
genders, such as a hand, is one file. SMPL and SMPL-H are derived from the SMPL-X file in the same folder when they
are read, see :mod:`.reduced_models`; their files only name it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from smplifyx.body.arrays import ArrayReader, NpzReader
from smplifyx.body.data import BodyModelData, FloatArray
from smplifyx.body.reduced_models import reduced_from_smplx
from smplifyx.skeleton import (
    GENDERS,
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
#: Key of a derived model's file; its value is the type of the model that it is derived from.
SOURCE_KEY = "made_from"
#: Models derived from SMPL-X when they are read.
DERIVED_TYPES = ("smplh", "smpl")
_TEXTS = ("model_type", "gender", "name")

Arrays = dict[str, Any]


def shared_file_name(model_type: str) -> str:
    """Name of the file that the genders of a model share."""
    return "shared.npz" if model_type == "smplx" else f"shared_{model_type}.npz"


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
    """Read one gender and the shared file in the same folder.

    Raises:
        InputError: a file is missing, damaged or of another version.
    """
    version = int(file.array(FORMAT_KEY, ()))
    if version != COMPACT_FORMAT:
        raise file.error(FORMAT_KEY, f"found version {version}, this program reads version {COMPACT_FORMAT}")
    skeleton = _skeleton(file)
    if SOURCE_KEY in file:
        return _read_derived(file, skeleton, n_betas)
    if "faces" in file:
        return _read(file, file, skeleton, n_betas, n_expressions)
    with NpzReader(file.path.parent / shared_file_name(skeleton.model_type)) as shared:
        return _read(file, shared, skeleton, n_betas, n_expressions)


def _read_derived(file: ArrayReader, skeleton: Skeleton, n_betas: int | None) -> BodyModelData:
    model_type, gender = skeleton.model_type, file.text("gender")
    if model_type not in DERIVED_TYPES or gender not in GENDERS or file.text(SOURCE_KEY) != "smplx":
        raise file.error(SOURCE_KEY, f"found a {gender} {model_type} made from {file.text(SOURCE_KEY)!r}")
    path = file.path.parent / f"SMPLX_{gender.upper()}.npz"
    if not path.is_file():
        raise file.error(SOURCE_KEY, f"this file is derived from {path.name}, which is missing in the same folder")
    with NpzReader(path) as body:
        if FORMAT_KEY not in body:
            raise body.error(
                FORMAT_KEY, f"the key is missing; {file.path.name} is derived from a compact file of this name"
            )
        return reduced_from_smplx(read_compact(body, n_betas, 0), model_type)


def _skeleton(file: ArrayReader) -> Skeleton:
    model_type, side = file.text("model_type"), file.text("side") if "side" in file else None
    if model_type not in MODEL_TYPES:
        raise file.error("model_type", f"found {model_type!r}, expected one of {', '.join(MODEL_TYPES)}")
    if side not in (SIDES if model_type == "mano" else (None,)):
        raise file.error("side", f"found {side!r}, which is not a side of {model_type}")
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
    """Shapes of the arrays that are stored unchanged; None means any length."""
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
