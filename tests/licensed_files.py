"""Writes body-model files in the licensed layouts, full size, with random but valid content of our own."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from smplifyx.skeleton import Skeleton, skeleton_of
from tests.python2_pickles import Chumpy, ChumpySelect, dump_python2

Arrays = dict[str, Any]
_N_FACES = 300
#: Columns of ``shapedirs`` in the newest release of each model.
N_COLUMNS = {"smplx": 400, "smplh": 16, "smpl": 300, "mano": 10, "flame": 400}


@dataclass(frozen=True)
class LicensedLike:
    """A model's arrays under the keys of its licensed file, and what FLAME keeps in files of its own."""

    skeleton: Skeleton
    arrays: Arrays
    landmarks: Arrays = field(default_factory=dict)
    contour: Arrays = field(default_factory=dict)


def licensed_like(
    model_type: str, side: str | None = None, *, seed: int = 0, n_columns: int | None = None
) -> LicensedLike:
    """Random arrays: every joint, vertex and component matters, shifts are of a body's order of magnitude."""
    generator = np.random.default_rng(seed)
    skeleton = skeleton_of(model_type, side)
    n, j = skeleton.n_licensed_vertices, skeleton.n_joints
    columns = N_COLUMNS[model_type] if n_columns is None else n_columns
    kintree = np.stack([np.array(skeleton.parents), np.arange(j)])
    kintree[0, 0] = np.iinfo(np.uint32).max
    arrays: Arrays = {
        "v_template": generator.normal(size=(n, 3)) * 0.3,
        "f": np.stack([generator.permutation(n)[:3] for _ in range(_N_FACES)]).astype(np.uint32),
        "shapedirs": 0.02 * generator.standard_normal((n, 3, columns), np.float32),
        "posedirs": 0.01 * generator.standard_normal((n, 3, 9 * (j - 1)), np.float32),
        "J_regressor": _sparse_rows(generator, j, n),
        "weights": _sparse_rows(generator, n, j, 4),
        "kintree_table": kintree,
    }
    letters = [""] if side else [hand[0] for hand in skeleton.hand_sides]
    for letter in letters:
        arrays[f"hands_components{letter}"] = np.linalg.qr(generator.normal(size=(45, 45)))[0]
        arrays[f"hands_mean{letter}"] = 0.2 * generator.normal(size=45)
        arrays[f"hands_coeffs{letter}"] = generator.normal(size=(20, 45))
    if skeleton.face_joint is None:
        return LicensedLike(skeleton, arrays)
    landmarks, contour = (_points_on_faces(generator, *shape) for shape in ((51,), (79, 17)))
    if model_type == "flame":
        return LicensedLike(skeleton, arrays, landmarks, contour)
    for prefix, points in (("", landmarks), ("dynamic_", contour)):
        arrays[f"{prefix}lmk_faces_idx"], arrays[f"{prefix}lmk_bary_coords"] = points.values()
    return LicensedLike(skeleton, arrays)


def _sparse_rows(generator: np.random.Generator, n_rows: int, n_columns: int, n_entries: int = 30) -> np.ndarray:
    """Rows that sum to one, with a few entries each."""
    n_entries = min(n_entries, n_columns)
    matrix = np.zeros((n_rows, n_columns))
    columns = generator.integers(0, n_columns, (n_rows, n_entries))
    np.add.at(matrix, (np.arange(n_rows)[:, None], columns), generator.random((n_rows, n_entries)))
    return matrix / matrix.sum(1, keepdims=True)


def _points_on_faces(generator: np.random.Generator, *shape: int) -> Arrays:
    weights = generator.random((*shape, 3))
    faces = generator.integers(0, _N_FACES, shape)
    return {"lmk_face_idx": faces, "lmk_b_coords": weights / weights.sum(-1, keepdims=True)}


def write_npz(model: LicensedLike, path: Path, **others: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **model.arrays, **others)
    return path


def write_python2(model: LicensedLike, path: Path) -> Path:
    """As the official pickles: chumpy for the mesh and blend shapes, a sparse regressor, byte strings."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = model.arrays
    columns = arrays["shapedirs"].shape[2]
    # The official shape components are the first ones out of more.
    more = np.concatenate([arrays["shapedirs"], np.full((*arrays["shapedirs"].shape[:2], 2), 9.0)], axis=2)
    chosen = np.arange(more.size).reshape(more.shape)[..., :columns]
    content = {
        **arrays,
        "v_template": Chumpy(arrays["v_template"]),
        "posedirs": Chumpy(arrays["posedirs"]),
        "shapedirs": ChumpySelect(Chumpy(more), chosen.reshape(-1), (*more.shape[:2], columns)),
        "J_regressor": scipy.sparse.csc_matrix(arrays["J_regressor"]),
        "J_regressor_prior": scipy.sparse.csc_matrix(arrays["J_regressor"]),
        "bs_style": "lbs",
        "bs_type": "lrotmin",
    }
    path.write_bytes(dump_python2(content))
    _write_embeddings(model, path.parent, dump_python2)
    return path


def write_plain_pickle(model: LicensedLike, path: Path) -> Path:
    """Without chumpy, for the smplx package, which would need chumpy for the official ones."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(model.arrays))
    _write_embeddings(model, path.parent, pickle.dumps)
    return path


def _write_embeddings(model: LicensedLike, folder: Path, dump: Any) -> None:
    if model.landmarks:
        (folder / "flame_static_embedding.pkl").write_bytes(dump(model.landmarks))
        np.save(folder / "flame_dynamic_embedding.npy", np.array(model.contour, dtype=object))
