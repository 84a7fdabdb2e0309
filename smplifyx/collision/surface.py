"""Winding numbers of surfaces and distances to them, for bodies that share their triangles, by Warp on the CPU."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smplifyx.body.data import FloatArray, IntArray
from smplifyx.collision.clusters import cluster_triangles
from smplifyx.warp_runtime import load_warp

BoolArray = NDArray[np.bool_]


class PosedSurface:
    """A surface that can be posed again and again; questions are about the latest pose.

    Far triangles are taken together (as Barill et al. 2018 do), but where that leaves a doubt each one is summed, so
    that the answers are those of exact winding numbers.

    Args:
        rest_vertices: [V, 3] any pose of the mesh.
        faces: [F, 3] its triangles, counter-clockwise seen from outside.
        part_labels: [F] part of each triangle.
    """

    def __init__(self, rest_vertices: FloatArray, faces: IntArray, part_labels: IntArray) -> None:
        self._warp = load_warp()
        self._kernels = importlib.import_module("smplifyx.collision.surface_kernels")
        faces, labels = np.asarray(faces, np.int32), np.asarray(part_labels, np.int64)
        self._n_parts, vertex_parts = int(labels.max()) + 1, np.zeros(len(rest_vertices), np.int64)
        vertex_parts[faces] = labels[:, None]
        clusters = cluster_triangles(rest_vertices, faces, labels, vertex_parts, self._n_parts)
        self._n_clusters = len(clusters.parts)
        surface = self._surface = self._kernels.Surface()
        surface.triangles = self._array(faces[clusters.triangles], self._warp.vec3i)
        surface.starts = self._array(clusters.starts.astype(np.int32), int)
        surface.parts = self._array(clusters.parts.astype(np.int32), int)
        surface.centres, surface.areas = (self._zeros(self._n_clusters, self._warp.vec3) for _ in range(2))
        surface.radii = self._zeros(self._n_clusters, float)
        self.pose(rest_vertices)

    def pose(self, vertices: FloatArray) -> None:
        """Move the vertices [V, 3], metres."""
        self._surface.vertices = self._array(np.asarray(vertices, np.float32), self._warp.vec3)
        self._launch(self._kernels.bound_clusters, self._n_clusters)

    def surrounds(self, points: FloatArray, number: float, parts: BoolArray | None = None) -> BoolArray:
        """Whether the winding number at points [N, 3] is greater than ``number``; [N].

        0 is outside of a closed surface, 1 inside, 2 where two of its parts overlap. On the surface it is the layer's
        share of the full solid angle (a half where flat) plus the layers around it.

        Args:
            points: metres.
            number: not a whole one, unless the points are on the surface.
            parts: [N, P] parts that count for each point; None for all.
        """
        surrounded = self._zeros(len(points), self._warp.bool)
        self._launch(self._kernels.mark_surrounded, len(points), *self._asked(points, parts), number, surrounded)
        return np.asarray(surrounded.numpy(), bool)

    def distances(self, points: FloatArray, parts: BoolArray | None = None) -> FloatArray:
        """Distances [N] of points [N, 3] to the triangles, metres; infinite where there are none.

        Args:
            points: metres.
            parts: as in :meth:`surrounds`.
        """
        distances = self._zeros(len(points), float)
        self._launch(self._kernels.find_distances, len(points), *self._asked(points, parts), distances)
        return np.asarray(distances.numpy(), np.float64)

    def _asked(self, points: FloatArray, parts: BoolArray | None) -> tuple[Any, Any]:
        if parts is None:
            parts = np.ones((1, self._n_parts), bool)
        counts = np.broadcast_to(parts[:, : self._n_parts], (len(points), self._n_parts))
        return (
            self._array(np.asarray(points, np.float32), self._warp.vec3),
            self._array(counts.astype(np.uint8), self._warp.uint8),
        )

    def _launch(self, kernel: Any, threads: int, *inputs: Any) -> None:
        self._warp.launch(kernel, threads, [self._surface, *inputs], device="cpu")

    def _zeros(self, length: int, dtype: Any) -> Any:
        return self._warp.zeros(length, dtype=dtype, device="cpu")

    def _array(self, values: np.ndarray, dtype: Any) -> Any:
        return self._warp.array(values, dtype=dtype, device="cpu")
