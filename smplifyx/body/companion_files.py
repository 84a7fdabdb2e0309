"""What belongs to a body model but often lies in files of its own: hand poses for SMPL-H, landmarks for FLAME."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from smplifyx.body.arrays import ArrayReader, NpzReader, PickleReader
from smplifyx.body.data import BodyModelData
from smplifyx.errors import InputError
from smplifyx.files import atomic_path, write_bytes
from smplifyx.skeleton import Skeleton

_STATIC_EMBEDDING = "flame_static_embedding.pkl"
_DYNAMIC_EMBEDDING = "flame_dynamic_embedding.npy"


@dataclass(frozen=True)
class Location:
    """A pair of arrays: the open file and their keys in it.

    Attributes:
        file: the file.
        keys: components and mean of hand poses, or triangles and barycentric coordinates of landmarks.
    """

    file: ArrayReader
    keys: tuple[str, str]


def open_arrays(path: str | Path) -> ArrayReader:
    """Opens a file of arrays: ``.pkl`` and ``.npy`` as a pickle that may hold nothing else, all others as ``.npz``.

    Raises:
        InputError: the file is missing, damaged, or not of its kind.
    """
    path = Path(path)
    return PickleReader(path) if path.suffix.lower() in (".pkl", ".npy") else NpzReader(path)


def hand_location(file: ArrayReader, skeleton: Skeleton, side: str) -> Location:
    """Where the hand poses of one side are: in the file, or for SMPL-H in the MANO file beside it.

    Raises:
        InputError: nowhere.
    """
    if skeleton.side is not None:
        return Location(file, ("hands_components", "hands_mean"))
    own = Location(file, (f"hands_components{side[0]}", f"hands_mean{side[0]}"))
    if own.keys[0] in file or skeleton.model_type != "smplh":
        return own
    for path in _mano_paths(file.path, side):
        if path.is_file():
            return Location(open_arrays(path), ("hands_components", "hands_mean"))
    raise file.error(
        own.keys[0], f"the key is missing; expected shape (45, 45), or a file MANO_{side.upper()}.pkl beside this one"
    )


def _mano_paths(path: Path, side: str) -> Iterator[Path]:
    """Beside the file, or in a folder ``mano`` beside the folder of its model, with or without one of its gender."""
    for folder in (path.parent, path.parent.parent / "mano", path.parent.parent.parent / "mano"):
        for suffix in (".pkl", ".npz"):
            yield folder / f"MANO_{side.upper()}{suffix}"


def landmark_location(file: ArrayReader, skeleton: Skeleton) -> Location:
    """Where the 51 landmarks of the face are: in the file, or for FLAME in the one beside it.

    Raises:
        InputError: FLAME's file of them is missing.
    """
    own = Location(file, ("lmk_faces_idx", "lmk_bary_coords"))
    if own.keys[0] in file or skeleton.model_type != "flame":
        return own
    path = file.path.parent / _STATIC_EMBEDDING
    if not path.is_file():
        raise InputError(path, f"the file does not exist; {file.path.name} needs it for its landmarks")
    return Location(open_arrays(path), ("lmk_face_idx", "lmk_b_coords"))


def contour_location(file: ArrayReader, skeleton: Skeleton) -> Location | None:
    """Where the contour of the face is: in the file, or for FLAME in the one beside it; None if FLAME has none."""
    own = Location(file, ("dynamic_lmk_faces_idx", "dynamic_lmk_bary_coords"))
    if own.keys[0] in file or skeleton.model_type != "flame":
        return own
    path = file.path.parent / _DYNAMIC_EMBEDDING
    return Location(open_arrays(path), ("lmk_face_idx", "lmk_b_coords")) if path.is_file() else None


def write_embeddings(data: BodyModelData, folder: Path) -> None:
    """Write FLAME's landmarks and contour as its users' code reads them: pickled, in files of their own."""
    static = {"lmk_face_idx": data.landmark_faces, "lmk_b_coords": data.landmark_barycentric}
    write_bytes(folder / _STATIC_EMBEDDING, pickle.dumps(static, protocol=2))
    if data.contour_faces is None:
        return
    dynamic = np.array({"lmk_face_idx": data.contour_faces, "lmk_b_coords": data.contour_barycentric}, dtype=object)
    with atomic_path(folder / _DYNAMIC_EMBEDDING) as temporary:
        np.save(temporary, dynamic)
