"""Where the vertices of the open hands and head lie on the open body."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from smplifyx.body.arrays import NpzReader, save_npz
from smplifyx.body.data import IntArray
from smplifyx.body.search import OPEN_BODY_DIR

#: Keys: ``mano_left``, ``mano_right``, ``flame``.
VERTEX_MAP_FILE = "vertex_maps.npz"


def body_vertices(model_type: str, side: str | None = None, directory: str | Path = OPEN_BODY_DIR) -> IntArray:
    """[N] the open body's vertex for each vertex of the open hand or head.

    The open SMPL-X, SMPL+H and SMPL bodies share one mesh; for them the map is the identity and not stored.

    Args:
        model_type: ``mano`` or ``flame``.
        side: ``left`` or ``right`` for ``mano``.
        directory: where the open body was built to.

    Raises:
        InputError: the file is missing or has no such map.
    """
    with NpzReader(Path(directory) / VERTEX_MAP_FILE) as file:
        return file.array(model_type if side is None else f"{model_type}_{side}", (None,)).astype(np.int64)


def write_vertex_maps(maps: dict[str, IntArray], directory: str | Path) -> Path:
    """Write the maps under the keys above; returns the file."""
    path = Path(directory) / VERTEX_MAP_FILE
    save_npz(path, {key: vertices.astype(np.uint16) for key, vertices in maps.items()})
    return path
