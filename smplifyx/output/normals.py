"""Smooth normals."""

from __future__ import annotations

import numpy as np


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals `[V, 3]`: the sum of the adjoining triangles' normals, weighted by their areas.

    A vertex without triangles gets the zero vector.
    """
    corners = vertices[faces].astype(np.float64)
    weighted = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    index = np.asarray(faces).ravel()
    repeated = np.repeat(weighted, 3, axis=0)
    normals = np.stack([np.bincount(index, repeated[:, axis], len(vertices)) for axis in range(3)], axis=1)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-20)
