"""Search for the colliding triangles of posed meshes with the boxes of their clusters, by NVIDIA Warp.

Warp runs the same source on the CPU and on CUDA, brings its own compiler and keeps what it compiled in the user's
cache folder. Its import and first compilation are put off until a search is made.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from smplifyx.body.data import FloatArray, IntArray
from smplifyx.collision.clusters import LANES, TriangleClusters, cluster_triangles
from smplifyx.collision.parts import PairFilter, pair_keys
from smplifyx.warp_runtime import load_warp, torch_stream

#: Bodies searched together. A GPU wants many threads at once; the boxes of a few bodies stay in a CPU's cache.
_ROWS, _CUDA_ROWS = 8, 32


@dataclass(frozen=True)
class TrianglePairs:
    """Pairs of triangles of several bodies, ordered by body.

    Attributes:
        rows: [N] which body.
        triangles: [N, 2] the smaller number first.
        truncated: [B] bodies with more pairs than were allowed; the rest of their pairs is missing.
    """

    rows: Tensor
    triangles: Tensor
    truncated: Tensor

    def of(self, bodies: Tensor) -> TrianglePairs:
        """Only the bodies that are marked [B], numbered anew."""
        kept = bodies[self.rows].nonzero()[:, 0]
        number = bodies.cumsum(0) - 1
        return TrianglePairs(number[self.rows[kept]], self.triangles[kept], self.truncated[bodies])


class TriangleSearch:
    """Search meshes that share their triangles.

    Args:
        rest_vertices: [V, 3] any pose of the mesh; neighbours are clustered by it once.
        faces: [F, 3] vertex numbers.
        pairs: the filter of pairs.
        max_pairs: largest number of pairs per body; bounds the memory.
        device: where the meshes are.
        clusters: of the triangles, from a search of the same mesh and parts; None: made.

    Raises:
        UsageError: Warp cannot be imported.
    """

    def __init__(
        self,
        rest_vertices: FloatArray,
        faces: IntArray,
        pairs: PairFilter,
        max_pairs: int = 65536,
        device: torch.device | str = "cpu",
        clusters: TriangleClusters | None = None,
    ) -> None:
        self._warp = load_warp()
        self._kernels = importlib.import_module("smplifyx.collision.cluster_kernels")
        self._find_pairs = importlib.import_module("smplifyx.collision.pair_kernels").find_pairs
        self.device = torch.device(device)
        self.max_pairs = max_pairs
        #: [F, 3] the triangles.
        self.faces = torch.as_tensor(np.asarray(faces, np.int64), device=device)
        self._rest = torch.as_tensor(np.asarray(rest_vertices, np.float32), device=device)
        self._n_parts = len(pairs.colliding_parts)
        self._n_rows = _ROWS if self.device.type == "cpu" else _CUDA_ROWS
        self._n_triangles = len(faces)
        faces, labels = np.asarray(faces, np.int64), np.asarray(pairs.labels, np.int64)
        self._ignored = self._array(np.unique(pair_keys(pairs.ignored_pairs, len(faces))), self._warp.int64)
        if clusters is None:
            vertex_parts = np.zeros(len(rest_vertices), np.int64)
            vertex_parts[faces] = labels[:, None]
            clusters = cluster_triangles(rest_vertices, faces, labels, vertex_parts, self._n_parts)
        #: Of the triangles.
        self.clusters = clusters
        self._n_clusters = len(clusters.parts)
        self._mesh = self._kernels.Mesh()
        self._mesh.faces = self._array(faces[self.clusters.triangles].astype(np.int32), self._warp.vec3i)
        for field in fields(self.clusters):
            setattr(self._mesh, field.name, self._array(getattr(self.clusters, field.name).astype(np.int32), int))
        self._mesh.colliding = self._array(pairs.colliding_parts.astype(np.uint8), self._warp.uint8)
        work = self._work = self._kernels.Work()
        work.boxes = self._zeros((self._n_rows, 6, self._n_clusters + LANES), float)
        work.part_boxes = self._zeros((self._n_rows, self._n_parts), self._kernels.Box)
        work.near = self._zeros((self._n_rows, self._n_parts, self._n_parts))
        work.n_near = self._zeros((self._n_rows, self._n_parts))
        self._all_rows = self._array(np.arange(self._n_rows, dtype=np.int32), int)
        self._pairs = self._zeros((self._n_rows, max_pairs), self._warp.vec2i)
        self._counts = self._zeros(self._n_rows)

    def __call__(self, vertices: Tensor, margin: float | None = None) -> TrianglePairs:
        """Pairs of the meshes [B, V, 3], metres.

        Args:
            vertices: posed vertices; gradients are not followed.
            margin: None for the triangles that intersect; touching counts. Otherwise the pairs whose boxes, each
                inflated by this many metres, overlap.
        """
        vertices = vertices.detach().to(torch.float32)
        if not len(vertices):
            empty = torch.zeros(0, dtype=torch.int64, device=self.device)
            return TrianglePairs(empty, empty.reshape(0, 2), empty.bool())
        found = [self._search(chunk, margin) for chunk in vertices.split(self._n_rows)]
        starts = range(0, len(vertices), self._n_rows)
        return TrianglePairs(
            torch.cat([pairs.rows + start for pairs, start in zip(found, starts, strict=True)]),
            torch.cat([pairs.triangles for pairs in found]),
            torch.cat([pairs.truncated for pairs in found]),
        )

    def _search(self, vertices: Tensor, margin: float | None) -> TrianglePairs:
        """Pairs of as many meshes as are searched together, or fewer."""
        kernels, n_rows, reach, limits = self._kernels, len(vertices), margin or 0.0, self._kernels.Limits()
        limits.outside = 2.001 * reach  # both boxes of a pair are widened; rounding loses none
        with torch_stream(self._warp, self.device):
            posed = self._warp.from_torch(self._finite(vertices), dtype=self._warp.vec3)
            self._counts.zero_()
            for kernel, n_threads, inputs in (
                (kernels.bound_clusters, self._n_clusters, [posed, self._all_rows, self._mesh, self._work]),
                (kernels.bound_parts, self._n_parts, [self._mesh, self._work]),
                (kernels.list_neighbours, self._n_parts, [self._mesh, limits, self._work]),
                (
                    self._find_pairs,
                    self._n_clusters,
                    [
                        posed, self._mesh, self._work, self._ignored, reach, int(margin is None), self._pairs,
                        self._counts,
                    ],
                ),
            ):  # fmt: skip
                self._warp.launch(kernel, (n_rows, n_threads), inputs, device=str(self.device))
        return self._collect(n_rows)

    def _finite(self, vertices: Tensor) -> Tensor:
        """The meshes, contiguous. One that is not finite is replaced by the rest pose, without collisions."""
        if self.device.type == "cpu" and bool(vertices.sum().isfinite()):
            return vertices.contiguous()
        finite = vertices.isfinite().flatten(1).all(1)
        return torch.where(finite[:, None, None], vertices, self._rest).contiguous()

    def _collect(self, n_rows: int) -> TrianglePairs:
        counts = self._warp.to_torch(self._counts)[:n_rows].to(torch.int64)
        kept = counts.clamp(max=self.max_pairs)
        rows = torch.repeat_interleave(torch.arange(n_rows, device=self.device), kept)
        place = torch.arange(len(rows), device=self.device) - (kept.cumsum(0) - kept)[rows]
        triangles = self._warp.to_torch(self._pairs)[rows, place].to(torch.int64)
        # Threads of a GPU finish in any order; the same input shall give the same sums.
        order = ((rows * self._n_triangles + triangles[:, 0]) * self._n_triangles + triangles[:, 1]).argsort()
        return TrianglePairs(rows[order], triangles[order], counts > self.max_pairs)

    def _array(self, values: np.ndarray, dtype: Any) -> Any:
        return self._warp.array(values, dtype=dtype, device=str(self.device))

    def _zeros(self, shape: int | tuple[int, ...], dtype: Any = int) -> Any:
        return self._warp.zeros(shape, dtype=dtype, device=str(self.device))


def rest_pairs(search: TriangleSearch, rest_vertices: FloatArray) -> IntArray:
    """[N, 2] pairs that intersect in the rest pose already: mouth, eyes, armpits."""
    vertices = torch.as_tensor(np.asarray(rest_vertices, np.float32), device=search.device)
    found: IntArray = search(vertices[None]).triangles.cpu().numpy()
    return found
