"""Read the compact format of the open bodies: one small file per gender, and one file of shared arrays.

Blend shapes are half-precision numbers times one scale per component; skinning weights and joint regressor are
sparse. ``SMPLX_<GENDER>.npz`` holds template, shape components, joint regressor and contacts at rest;
``shared.npz`` in the same folder holds the rest (``shared_smpl.npz`` and so on for other models). A model without
genders, such as a hand, is one file. SMPL and SMPL+H are derived from the SMPL-X file in the same folder when they
are read, see :func:`reduced_from_smplx`; their files only name it. Joints that they lack are merged into others:
posed by shared joints only, a body has the same vertices in all three models.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smplifyx.body.arrays import MAX_DENSE, ArrayReader, NpzReader
from smplifyx.body.data import BodyModelData, FloatArray
from smplifyx.skeleton import (
    GENDERS,
    JOINT_NAMES,
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
#: The fingers that SMPL's joint ``left_hand`` turns about the middle of their knuckles.
_FINGERS = ("index", "middle", "pinky", "ring")
_N_ROTATION_ENTRIES = 9


def shared_file_name(model_type: str) -> str:
    """Name of the file that the genders of a model share."""
    return "shared.npz" if model_type == "smplx" else f"shared_{model_type}.npz"


def _unpack_blend_shapes(file: ArrayReader, name: str) -> FloatArray:
    scale = file.array(f"{name}_scale", (None,))
    scaled = file.array(name, (len(scale), None, 3))
    return np.multiply(scaled, scale[:, None, None], dtype=np.float32).transpose(1, 2, 0)


def _unpack_sparse(file: ArrayReader, name: str) -> FloatArray:
    n_rows, n_columns = (int(n) for n in file.array(f"{name}_shape", (2,)))
    if not 0 <= n_rows * n_columns <= MAX_DENSE or n_rows < 0:
        raise file.error(f"{name}_shape", f"found {n_rows} x {n_columns}, expected a matrix of a body model")
    counts = _whole(file, f"{name}_counts", n_rows, MAX_DENSE)
    columns = _whole(file, f"{name}_columns", int(counts.sum()), n_columns)
    matrix = np.zeros((n_rows, n_columns), np.float32)
    matrix[np.repeat(np.arange(n_rows), counts), columns] = file.array(f"{name}_values", columns.shape)
    return matrix


def _whole(file: ArrayReader, key: str, length: int, end: int) -> NDArray[np.integer[Any]]:
    """Read whole numbers from 0 to below ``end``."""
    numbers = file.array(key, (length,))
    if numbers.dtype.kind not in "iu" or (length and not 0 <= int(numbers.min()) <= int(numbers.max()) < end):
        raise file.error(key, f"expected whole numbers from 0 to {end - 1}")
    return numbers


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
        return _read(file, _shared_arrays(file, skeleton), skeleton, n_betas, n_expressions)
    shared = _arrays_of_shared_file(file.path.parent / shared_file_name(skeleton.model_type), skeleton)
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


def _arrays_of_shared_file(path: Path, skeleton: Skeleton) -> Arrays:
    """Read a shared file; a file that has not changed since is not read again."""
    try:
        found = path.stat()
        version: tuple[int, ...] = found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
    except OSError:  # reading it says why
        version = ()
    return _read_shared_file(path, version, skeleton.model_type)


@lru_cache(maxsize=2)
def _read_shared_file(path: Path, version: tuple[int, ...], model_type: str) -> Arrays:
    """The large arrays of a process are kept once for all genders; ``version`` distinguishes changes of the file."""
    with NpzReader(path) as file:
        return _shared_arrays(file, skeleton_of(model_type))


def _shared_arrays(file: ArrayReader, skeleton: Skeleton) -> Arrays:
    """The arrays that do not depend on the gender."""
    return {
        "skinning_weights": _unpack_sparse(file, "skinning_weights"),
        "expression_dirs": _unpack_blend_shapes(file, "expression_dirs"),
        "posedirs": _unpack_blend_shapes(file, "posedirs"),
        **_read_plain_arrays(file, _shared_shapes(skeleton), skeleton),
    }


def _read(
    file: ArrayReader, shared: Arrays, skeleton: Skeleton, n_betas: int | None, n_expressions: int | None
) -> BodyModelData:
    values: Mapping[str, Any] = {
        **{name: file.text(name) for name in _TEXTS},
        "side": skeleton.side,
        "extra_point_names": skeleton.extra_point_names,
        "v_template": file.array("v_template", (None, 3)),
        "shapedirs": _unpack_blend_shapes(file, "shapedirs")[..., :n_betas],
        "joint_regressor": _unpack_sparse(file, "joint_regressor").T,
        **shared,
        "expression_dirs": shared["expression_dirs"][..., :n_expressions],
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


def smplh_from_smplx(body: BodyModelData) -> BodyModelData:
    """Derive SMPL+H: jaw and eyes move with the head; no expressions."""
    joined = {"jaw": "head", "left_eye_smplhf": "head", "right_eye_smplhf": "head"}
    return _without_face(_join_joints(body, "smplh", joined))


def smpl_from_smplx(body: BodyModelData) -> BodyModelData:
    """Derive SMPL: one joint per hand, at the middle of the knuckles, moves all fingers and the thumb.

    Its pose blend shapes are those of the four knuckles, rotated alike; at rest the hand is open as in the T-pose.
    """
    left, right = (
        {name: f"{side}_hand" for name in JOINT_NAMES if name.startswith(side) and name[-1] in "123"}
        for side in ("left", "right")
    )
    joined = {"jaw": "head", "left_eye_smplhf": "head", "right_eye_smplhf": "head", **left, **right}
    body = _without_face(_join_joints(body, "smpl", joined))
    return dataclasses.replace(
        body,
        left_hand_components=None,
        right_hand_components=None,
        left_hand_mean=None,
        right_hand_mean=None,
    )


def reduced_from_smplx(body: BodyModelData, model_type: str) -> BodyModelData:
    """:func:`smplh_from_smplx` or :func:`smpl_from_smplx`; raises ``KeyError`` for another layout."""
    return {"smplh": smplh_from_smplx, "smpl": smpl_from_smplx}[model_type](body)


def _without_face(body: BodyModelData) -> BodyModelData:
    return dataclasses.replace(
        body,
        expression_dirs=np.zeros((body.n_vertices, 3, 0), body.expression_dirs.dtype),
        landmark_faces=None,
        landmark_barycentric=None,
        contour_faces=None,
        contour_barycentric=None,
    )


def _join_joints(body: BodyModelData, model_type: str, joined: Mapping[str, str]) -> BodyModelData:
    """Merge joints of SMPL-X into the joints of another model.

    Args:
        body: with SMPL-X's joints.
        model_type: of the result.
        joined: for each removed joint, the joint that takes over its skinning weights.
    """
    names = skeleton_of(model_type).joint_names
    place = np.array([names.index(joined.get(name, name)) for name in JOINT_NAMES])
    membership = np.zeros((len(JOINT_NAMES), len(names)))
    membership[np.arange(len(JOINT_NAMES)), place] = 1
    leading = _leading_joints(names)
    posedirs, projection = _pose_shapes(body, leading)
    return dataclasses.replace(
        body,
        model_type=model_type,
        joint_regressor=np.stack([body.joint_regressor[members].mean(axis=0) for members in leading]),
        skinning_weights=(body.skinning_weights @ membership).astype(body.skinning_weights.dtype),
        parents=np.array(skeleton_of(model_type).parents),
        part_labels=None if body.part_labels is None else place[body.part_labels],
        posedirs=posedirs,
        pose_projection=projection,
    )


def _leading_joints(names: Sequence[str]) -> list[list[int]]:
    """For each joint, the joints of SMPL-X whose location and pose blend shapes it takes over."""
    leading = []
    for name in names:
        side = name.removesuffix("_hand")
        sources = [name] if name in JOINT_NAMES else [f"{side}_{finger}1" for finger in _FINGERS]
        leading.append([JOINT_NAMES.index(source) for source in sources])
    return leading


def _pose_shapes(body: BodyModelData, leading: list[list[int]]) -> tuple[FloatArray, FloatArray | None]:
    """``posedirs`` and ``pose_projection`` for joints that rotate all their leading joints alike."""

    def joined(blocks: FloatArray) -> FloatArray:  # [..., 9 (J - 1)] of SMPL-X -> of the new joints
        by_joint = blocks.reshape(*blocks.shape[:-1], -1, _N_ROTATION_ENTRIES)
        sums = [by_joint[..., np.array(members) - 1, :].sum(axis=-2) for members in leading[1:]]
        return np.stack(sums, axis=-2).reshape(*blocks.shape[:-1], -1)

    if body.pose_projection is None:
        return joined(body.posedirs), None
    projection = joined(body.pose_projection)
    used = np.any(projection != 0, axis=1)
    return body.posedirs[..., used], projection[used]
