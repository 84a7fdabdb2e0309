"""Reads and writes body-model files: SMPL-X's own ``.npz`` layout and the compact store of the open body.

Only the keys named here are ever read, so the pickled objects that licensed files also carry are never unpickled.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from smplifyx.body.compact_files import FORMAT_KEY, read_compact, write_compact
from smplifyx.body.model_data import GENDERS, BodyModelData, FloatArray, IntArray
from smplifyx.body.npz_files import NpzReader, save_npz
from smplifyx.body.skeleton import (
    N_CONTOUR_LANDMARKS,
    N_CONTOUR_ROWS,
    N_FACE_LANDMARKS,
    N_JOINTS,
    N_SMPLX_VERTICES,
    SMPLX_EXTRA_POINT_VERTICES,
)
from smplifyx.errors import InputError

__all__ = ["load_body_model_data", "write_compact", "write_plain"]

#: Columns of ``shapedirs`` that describe the person's shape; the expressions follow.
_SHAPE_COLUMNS_V1_1 = 300
_SHAPE_COLUMNS_V1_0 = 10
_HAND_NUMBERS = 45
#: The name and licence of the body that is free; the licence of any other is its owner's affair.
OPEN_BODY_NAME = "open-body 1"
_OPEN_BODY_LICENSE = "CC0-1.0 (made from MakeHuman's free assets)"


@dataclass(frozen=True)
class _Columns:
    """How many shape and expression components to keep."""

    n_betas: int
    n_expressions: int

    def split(self, file: NpzReader, shapedirs: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The two blocks of ``shapedirs`` [V, 3, S + E], which differ between versions 1.0 and 1.1."""
        total = shapedirs.shape[2]
        first_expression = _SHAPE_COLUMNS_V1_1 if total > _SHAPE_COLUMNS_V1_1 else _SHAPE_COLUMNS_V1_0
        if self.n_betas > first_expression or first_expression + self.n_expressions > total:
            raise file.error(
                "shapedirs",
                f"found {total} columns, too few for {self.n_betas} shape and {self.n_expressions} expression ones",
            )
        expressions = shapedirs[..., first_expression : first_expression + self.n_expressions]
        return shapedirs[..., : self.n_betas].astype(np.float32), expressions.astype(np.float32)


def load_body_model_data(
    path: str | Path, gender: str | None = None, *, n_betas: int = 10, n_expressions: int = 10
) -> BodyModelData:
    """Load an SMPL-X body model: a licensed ``.npz`` (1.0 or 1.1), an exported one, or the compact open body.

    Args:
        path: the file.
        gender: of the body; read from the file or its name if not given.
        n_betas: how many of the first shape components to keep.
        n_expressions: how many of the first expression components to keep.

    Raises:
        InputError: the file is missing, damaged, or an array has another shape than SMPL-X's.
    """
    path = Path(path)
    if path.suffix == ".pkl":
        raise InputError(path, "pickled models are not read, because that runs code; take the .npz of the same model")
    with NpzReader(path) as file:
        if FORMAT_KEY in file:
            return read_compact(file, n_betas, n_expressions)
        return _read_plain(file, gender or _gender_of(file), _Columns(n_betas, n_expressions))


def _gender_of(file: NpzReader) -> str:
    name = file.text("gender") if "gender" in file else file.path.stem.rpartition("_")[2].lower()
    return name if name in GENDERS else "neutral"


def _read_plain(file: NpzReader, gender: str, columns: _Columns) -> BodyModelData:
    template = file.array("v_template", (None, 3))
    n = len(template)
    shapedirs, expressions = columns.split(file, file.array("shapedirs", (n, 3, None)))
    faces = _indices(file, "f", (None, 3), n)

    def floats(key: str, *shape: int) -> FloatArray:
        return file.array(key, shape).astype(np.float32)

    return BodyModelData(
        model_type="smplx",
        gender=gender,
        name=file.text("model_name") if "model_name" in file else file.path.stem,
        v_template=template.astype(np.float32),
        faces=faces,
        shapedirs=shapedirs,
        expression_dirs=expressions,
        posedirs=floats("posedirs", n, 3, 9 * (N_JOINTS - 1)),
        pose_projection=None,
        joint_regressor=floats("J_regressor", N_JOINTS, n),
        skinning_weights=floats("weights", n, N_JOINTS),
        parents=_parents(file),
        left_hand_components=floats("hands_componentsl", _HAND_NUMBERS, _HAND_NUMBERS),
        right_hand_components=floats("hands_componentsr", _HAND_NUMBERS, _HAND_NUMBERS),
        left_hand_mean=floats("hands_meanl", _HAND_NUMBERS),
        right_hand_mean=floats("hands_meanr", _HAND_NUMBERS),
        extra_point_vertices=_extra_points(file, n),
        landmark_faces=_indices(file, "lmk_faces_idx", (N_FACE_LANDMARKS,), len(faces)),
        landmark_barycentric=floats("lmk_bary_coords", N_FACE_LANDMARKS, 3),
        contour_faces=_indices(file, "dynamic_lmk_faces_idx", (N_CONTOUR_ROWS, N_CONTOUR_LANDMARKS), len(faces)),
        contour_barycentric=floats("dynamic_lmk_bary_coords", N_CONTOUR_ROWS, N_CONTOUR_LANDMARKS, 3),
        part_labels=_indices(file, "part_labels", (len(faces),), N_JOINTS) if "part_labels" in file else None,
        rest_contact_pairs=(
            _indices(file, "rest_contact_pairs", (None, 2), len(faces)) if "rest_contact_pairs" in file else None
        ),
    )


def _indices(file: NpzReader, key: str, shape: tuple[int | None, ...], limit: int) -> IntArray:
    numbers = file.array(key, shape).astype(np.int64)
    if numbers.size and (numbers.min() < 0 or numbers.max() >= limit):
        raise file.error(key, f"found numbers from {numbers.min()} to {numbers.max()}, expected 0 to {limit - 1}")
    return numbers


def _parents(file: NpzReader) -> IntArray:
    parents = file.array("kintree_table", (2, N_JOINTS))[0].astype(np.int64)
    # The root's parent is stored as the largest unsigned 32-bit number.
    parents[0] = -1
    if (parents[1:] < 0).any() or (parents[1:] >= np.arange(1, N_JOINTS)).any():
        raise file.error("kintree_table", "a joint comes before its parent; expected SMPL-X's 55 joints")
    return parents


def _extra_points(file: NpzReader, n_vertices: int) -> IntArray:
    if "extra_point_vertices" in file:
        return _indices(file, "extra_point_vertices", (len(SMPLX_EXTRA_POINT_VERTICES),), n_vertices)
    if n_vertices != N_SMPLX_VERTICES:
        raise file.error(
            "extra_point_vertices",
            f"the key is missing, and a mesh of {n_vertices} vertices has no known points ({N_SMPLX_VERTICES} has)",
        )
    return np.asarray(SMPLX_EXTRA_POINT_VERTICES)


def write_plain(data: BodyModelData, path: str | Path) -> None:
    """Write SMPL-X's dense layout in float32, which other SMPL-X code loads.

    Extra keys carry what such code knows by vertex number of the licensed mesh: ``extra_point_vertices``,
    ``part_labels``, ``rest_contact_pairs``, ``model_name``, ``gender`` and, of the open body, ``license``. Missing
    folders are made.
    """
    posedirs = data.posedirs if data.pose_projection is None else data.posedirs @ data.pose_projection
    arrays: dict[str, Any] = {
        "v_template": data.v_template,
        "f": data.faces.astype(np.uint32),
        "shapedirs": np.concatenate([data.shapedirs, data.expression_dirs], axis=2),
        "posedirs": posedirs,
        "J_regressor": data.joint_regressor,
        "weights": data.skinning_weights,
        "kintree_table": np.stack([data.parents, np.arange(data.n_joints)]).astype(np.int64),
        "hands_componentsl": data.left_hand_components,
        "hands_componentsr": data.right_hand_components,
        "hands_meanl": data.left_hand_mean,
        "hands_meanr": data.right_hand_mean,
        "lmk_faces_idx": data.landmark_faces,
        "lmk_bary_coords": data.landmark_barycentric,
        "dynamic_lmk_faces_idx": data.contour_faces,
        "dynamic_lmk_bary_coords": data.contour_barycentric,
        "extra_point_vertices": data.extra_point_vertices,
        "part_labels": data.part_labels,
        "rest_contact_pairs": data.rest_contact_pairs,
        "model_name": np.asarray(data.name),
        "gender": np.asarray(data.gender),
        "license": np.asarray(_OPEN_BODY_LICENSE) if data.name == OPEN_BODY_NAME else None,
    }
    arrays = {key: value for key, value in arrays.items() if value is not None}
    floating = {key: value.astype(np.float32) for key, value in arrays.items() if value.dtype.kind == "f"}
    save_npz(path, {**arrays, **floating})
