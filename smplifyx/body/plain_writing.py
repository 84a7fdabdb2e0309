"""Write bodies in the plain, dense layout that the licensed models share, for other code."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from smplifyx.body.arrays import save_npz
from smplifyx.body.data import BodyModelData
from smplifyx.body.plain_layout import DYNAMIC_EMBEDDING, LICENSE_KEY, STATIC_EMBEDDING
from smplifyx.files import atomic_path, write_bytes

#: Names of the open bodies begin with this.
_OPEN_PREFIX = "open-"
_OPEN_LICENSE = "CC0-1.0 (made from MakeHuman's free assets)"


def write_plain(data: BodyModelData, path: str | Path) -> None:
    """Write the dense layout of the licensed models in float32, which other code can load.

    Hand poses and landmarks are in the same file, under the keys of SMPL-X (of MANO for a hand). Extra keys hold
    data that other code derives from vertex numbers of the licensed mesh or from the file name:
    ``extra_point_vertices``, ``part_labels``, ``rest_contact_pairs``, ``n_shape_components``, ``model_name``,
    ``gender``, ``side`` and, of the open bodies, ``license``. Missing folders are made.

    Args:
        data: the body.
        path: ends with ``.npz``, or with ``.pkl`` for code that only reads pickles; FLAME's landmarks are then
            written to the two separate files that such code expects beside it.
    """
    path = Path(path)
    arrays = _plain_arrays(data)
    if path.suffix != ".pkl":
        save_npz(path, arrays)
        return
    write_bytes(path, pickle.dumps(arrays, protocol=2))
    if data.model_type == "flame":
        _write_embeddings(data, path.parent)


def _plain_arrays(data: BodyModelData) -> dict[str, Any]:
    posedirs = data.posedirs if data.pose_projection is None else data.posedirs @ data.pose_projection
    arrays: dict[str, Any] = {
        "v_template": data.v_template,
        "f": data.faces.astype(np.uint32),
        "shapedirs": np.concatenate([data.shapedirs, data.expression_dirs], axis=2),
        "posedirs": posedirs,
        "J_regressor": data.joint_regressor,
        "weights": data.skinning_weights,
        "kintree_table": np.stack([data.parents, np.arange(data.n_joints)]).astype(np.int64),
        **_hand_arrays(data),
        "lmk_faces_idx": data.landmark_faces,
        "lmk_bary_coords": data.landmark_barycentric,
        "dynamic_lmk_faces_idx": data.contour_faces,
        "dynamic_lmk_bary_coords": data.contour_barycentric,
        "extra_point_vertices": data.extra_point_vertices,
        "part_labels": data.part_labels,
        "rest_contact_pairs": data.rest_contact_pairs,
        "n_shape_components": np.asarray(data.shapedirs.shape[2]),
        "model_name": np.asarray(data.name),
        "gender": np.asarray(data.gender),
        "side": None if data.side is None else np.asarray(data.side),
        LICENSE_KEY: np.asarray(_OPEN_LICENSE) if data.name.startswith(_OPEN_PREFIX) else None,
    }
    arrays = {key: value for key, value in arrays.items() if value is not None}
    floating = {key: value.astype(np.float32) for key, value in arrays.items() if value.dtype.kind == "f"}
    return {**arrays, **floating}


def _hand_arrays(data: BodyModelData) -> dict[str, Any]:
    arrays: dict[str, Any] = {}
    for side in data.skeleton.hand_sides:
        letter = "" if data.side else side[0]
        arrays[f"hands_components{letter}"], arrays[f"hands_mean{letter}"] = data.hand(side)
    return arrays


def _write_embeddings(data: BodyModelData, folder: Path) -> None:
    """Write FLAME's landmarks and contour as pickles in separate files, as other code expects."""
    static = {"lmk_face_idx": data.landmark_faces, "lmk_b_coords": data.landmark_barycentric}
    write_bytes(folder / STATIC_EMBEDDING, pickle.dumps(static, protocol=2))
    if data.contour_faces is None:
        return
    dynamic = np.array({"lmk_face_idx": data.contour_faces, "lmk_b_coords": data.contour_barycentric}, dtype=object)
    with atomic_path(folder / DYNAMIC_EMBEDDING) as temporary:
        np.save(temporary, dynamic)
