"""Correspondence between the surfaces of two bodies, vertex by vertex."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smplifyx.body.arrays import NpzReader
from smplifyx.body.data import BodyModelData, FloatArray, IntArray
from smplifyx.body.search import OPEN_BODY_DIR

#: Number of triangles, nearest by their centres, whose distance to a point is computed exactly.
_N_CANDIDATES = 32
#: A vertex has no counterpart where the surface is farther away (metres) or faces another way (cosine).
_LARGEST_GAP = 0.02
_LEAST_COSINE = 0.5
#: In the folder of the open bodies; keys: ``mano_left``, ``mano_right``, ``flame``.
VERTEX_MAP_FILE = "vertex_maps.npz"


@dataclass(frozen=True)
class SurfaceMap:
    """For each of N target vertices, a point of a source surface.

    Attributes:
        corners: [N, 3] vertices of the source.
        weights: [N, 3] their shares; rows sum to one.
        matched: [N] whether the vertex has a counterpart; points of other vertices are undefined.
    """

    corners: IntArray
    weights: FloatArray
    matched: NDArray[np.bool_]

    def points(self, vertices: Tensor) -> Tensor:
        """Interpolate points [B, N, 3] on source bodies with vertices [B, V, 3]."""
        weights = torch.as_tensor(self.weights).to(vertices)
        corners = torch.as_tensor(self.corners, device=vertices.device)
        return torch.einsum("bnkc,nk->bnc", vertices[:, corners], weights)


def same_mesh(first: BodyModelData, second: BodyModelData) -> bool:
    """Return whether the two models share one mesh: the same triangles and number of vertices."""
    return first.n_vertices == second.n_vertices and np.array_equal(first.faces, second.faces)


def identity_map(n_vertices: int) -> SurfaceMap:
    """Map each vertex to itself."""
    corners = np.repeat(np.arange(n_vertices)[:, None], 3, axis=1)
    weights = np.tile([1.0, 0.0, 0.0], (n_vertices, 1))
    return SurfaceMap(corners, weights, np.ones(n_vertices, bool))


def nearest_surface_map(
    target_vertices: FloatArray, target_faces: IntArray, source_vertices: FloatArray, source_faces: IntArray
) -> SurfaceMap:
    """Map each vertex of a target to the nearest point of a source surface, both at rest.

    Args:
        target_vertices: [N, 3] metres.
        target_faces: [F, 3].
        source_vertices: [V, 3] metres.
        source_faces: [G, 3].
    """
    import trimesh  # late: both take long, and a fit does not need them
    from scipy.spatial import cKDTree

    target = np.asarray(target_vertices, np.float64)
    triangles = np.asarray(source_vertices, np.float64)[source_faces]
    count = min(_N_CANDIDATES, len(triangles))
    _, candidates = cKDTree(triangles.mean(axis=1)).query(target, k=count)
    candidates = candidates.reshape(len(target), count)
    repeated = np.repeat(target, count, axis=0)
    closest = trimesh.triangles.closest_point(triangles[candidates.ravel()], repeated)
    gaps = np.linalg.norm(closest - repeated, axis=1).reshape(candidates.shape)
    best = gaps.argmin(axis=1)
    rows = np.arange(len(target))
    faces, gap = candidates[rows, best], gaps[rows, best]
    points = closest.reshape(*candidates.shape, 3)[rows, best]
    weights = trimesh.triangles.points_to_barycentric(triangles[faces], points)
    cosine = np.einsum("nc,nc->n", _vertex_normals(target, target_faces), _unit(_normals(triangles))[faces])
    matched = (gap < _LARGEST_GAP) & (cosine > _LEAST_COSINE) & np.isfinite(weights).all(axis=1)
    return SurfaceMap(np.asarray(source_faces)[faces], np.where(matched[:, None], weights, 0.0), matched)


def _normals(triangles: FloatArray) -> FloatArray:
    return np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])


def _unit(vectors: FloatArray) -> FloatArray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), np.finfo(float).tiny)


def _vertex_normals(vertices: FloatArray, faces: IntArray) -> FloatArray:
    sums = np.zeros_like(vertices)
    normals = _normals(vertices[faces])
    for corner in range(3):
        np.add.at(sums, faces[:, corner], normals)
    return _unit(sums)


def body_vertices(model_type: str, side: str | None = None, directory: str | Path = OPEN_BODY_DIR) -> IntArray:
    """Return the open body's vertex [N] for each vertex of the open hand or head.

    The open SMPL-X, SMPL+H and SMPL bodies share one mesh; for them the map is the identity and not stored.

    Args:
        model_type: ``mano`` or ``flame``.
        side: ``left`` or ``right`` for ``mano``.
        directory: folder of the open bodies.

    Raises:
        InputError: the file is missing or has no such map.
    """
    with NpzReader(Path(directory) / VERTEX_MAP_FILE) as file:
        return file.array(model_type if side is None else f"{model_type}_{side}", (None,)).astype(np.int64)
