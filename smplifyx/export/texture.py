"""Texture coordinates of the open body: those of MakeHuman's base mesh."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from smplifyx.body.data import BodyModelData
from smplifyx.body.search import OPEN_BODY_DIR

#: Written by ``tools/build_bodies.py``.
TEXTURE_FILE = "texture_coordinates.npz"
_LARGEST = 65_535


@dataclass(frozen=True)
class TextureMap:
    """Texture coordinates of a mesh of V vertices and F triangles.

    Attributes:
        points: [U, 2] coordinates from 0 to 1, from the lower left; a vertex on a seam has several.
        vertices: [U] vertex of each point; the first V are the vertices in order.
        corners: [F, 3] point of each corner.
    """

    points: NDArray[np.float32]
    vertices: NDArray[np.int64]
    corners: NDArray[np.int64]


def texture_map(data: BodyModelData) -> TextureMap | None:
    """The texture coordinates of a whole open body; None for other bodies."""
    points, seams, corners = _stored()
    n_vertices = len(points) - len(seams)
    if (data.n_vertices, len(data.faces)) != (n_vertices, len(corners)):
        return None
    vertices = np.concatenate([np.arange(n_vertices), seams])
    return TextureMap(points, vertices, np.where(corners == 0, data.faces, corners))


@cache
def _stored() -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Points [U, 2], vertices of those after the first V, and corners [F, 3] with such a point; 0 elsewhere."""
    with np.load(OPEN_BODY_DIR / TEXTURE_FILE, allow_pickle=False) as stored:
        points = stored["points"].astype(np.float32) / _LARGEST
        return points, stored["seam_vertices"].astype(np.int64), stored["seam_corners"].astype(np.int64)


def packed_texture(
    points: NDArray[np.floating], corners: NDArray[np.integer], faces: NDArray[np.integer]
) -> dict[str, NDArray[np.uint16]]:
    """The arrays of the file.

    Args:
        points: [N, 2] from 0 to 1.
        corners: [F, 3] point of each corner.
        faces: [F, 3] vertex of each corner.
    """
    used, numbers = np.unique(corners, return_inverse=True)
    numbers = numbers.reshape(faces.shape)
    vertices = np.zeros(len(used), np.int64)
    vertices[numbers] = faces
    first = np.unique(vertices, return_index=True)[1]
    order = np.concatenate([first, np.setdiff1d(np.arange(len(used)), first)])
    placed = np.argsort(order)[numbers]
    return {
        "points": np.rint(points[used[order]] * _LARGEST).astype(np.uint16),
        "seam_vertices": vertices[order[len(first) :]].astype(np.uint16),
        "seam_corners": np.where(placed == faces, 0, placed).astype(np.uint16),
    }
