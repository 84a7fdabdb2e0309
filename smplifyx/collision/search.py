"""Search for the colliding triangles of posed meshes with bounding-volume trees of NVIDIA Warp.

Warp runs the same source on the CPU and on CUDA, brings its own compiler and keeps what it compiled in the user's
cache folder. Its import and first compilation are put off until a search is made.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from smplifyx.body.data import FloatArray, IntArray
from smplifyx.collision.parts import PairFilter, pair_keys
from smplifyx.collision.warp_runtime import load_warp, torch_stream

#: Bodies in one tree. A GPU wants many threads at once; on a CPU one small tree stays in the cache.
_CUDA_ROWS = 32
_FAR = 1e30


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
        rest_vertices: [V, 3] any pose of the mesh; the trees are built from it once and then only refitted.
        faces: [F, 3] vertex numbers.
        pairs: what is left out.
        max_pairs: largest number of pairs per body; bounds the memory.
        device: where the meshes are.

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
    ) -> None:
        self._warp = load_warp()
        self._kernels = importlib.import_module("smplifyx.collision.kernels")
        self.device = torch.device(device)
        self.max_pairs = max_pairs
        #: [F, 3] the triangles.
        self.faces = torch.as_tensor(np.asarray(faces, np.int64), device=device)
        self._rest = torch.as_tensor(np.asarray(rest_vertices, np.float32), device=device)
        self._n_parts = len(pairs.colliding_parts)
        self._n_rows = 1 if self.device.type == "cpu" else _CUDA_ROWS
        self._n_triangles = len(faces)
        keys = np.unique(pair_keys(pairs.ignored_pairs, len(faces)))
        self._faces = self._array(np.asarray(faces, np.int32), self._warp.vec3i)
        self._labels = self._array(np.asarray(pairs.labels, np.int32), int)
        self._ignored = self._array(keys, self._warp.int64)
        self._colliding = self._array(pairs.colliding_parts.astype(np.uint8), self._warp.uint8)
        self._boxes, self._part_boxes = self._empty_boxes(self._n_triangles), self._empty_boxes(self._n_parts)
        self._near = self._zeros((self._n_rows * self._n_parts, self._n_parts))
        self._n_near = self._zeros(self._n_rows * self._n_parts)
        self._pairs = self._zeros((self._n_rows, max_pairs), self._warp.vec2i)
        self._counts = self._zeros(self._n_rows)
        with torch_stream(self._warp, self.device):
            self._bound(self._points(self._rest.expand(self._n_rows, -1, -1)), 0.0)
            self._tree = self._warp.Bvh(*self._boxes, groups=self._groups())

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
        """Pairs of as many meshes as one tree holds, or fewer."""
        with torch_stream(self._warp, self.device):
            points = self._points(vertices)
            self._counts.zero_()
            self._bound(points, margin or 0.0)
            self._tree.refit()
            self._launch(
                self._kernels.list_near_parts,
                (len(vertices), self._n_parts),
                [*self._part_boxes, self._colliding, self._n_parts, self._near, self._n_near],
            )
            self._launch(
                self._kernels.find_pairs,
                (len(vertices), self._n_triangles),
                [
                    self._tree.id, points, self._faces, self._labels, self._ignored, len(self._rest), self._n_parts,
                    int(margin is None), *self._boxes, *self._part_boxes, self._near, self._n_near,
                    self._pairs, self._counts,
                ],
            )  # fmt: skip
        return self._collect(len(vertices))

    def _points(self, vertices: Tensor) -> Any:
        """The meshes as Warp's array."""
        return self._warp.from_torch(self._finite(vertices).reshape(-1, 3), dtype=self._warp.vec3)

    def _finite(self, vertices: Tensor) -> Tensor:
        """The meshes, contiguous. One that is not finite is replaced by the rest pose, without collisions."""
        if self.device.type == "cpu" and bool(vertices.sum().isfinite()):
            return vertices.contiguous()
        finite = vertices.isfinite().flatten(1).all(1)
        return torch.where(finite[:, None, None], vertices, self._rest)

    def _bound(self, points: Any, margin: float) -> None:
        """Boxes of triangles and parts."""
        part_lowers, part_uppers = self._part_boxes
        part_lowers.fill_(_FAR)
        part_uppers.fill_(-_FAR)
        self._launch(
            self._kernels.bound_triangles,
            (points.shape[0] // len(self._rest), self._n_triangles),
            [
                points,
                self._faces,
                self._labels,
                len(self._rest),
                self._n_parts,
                margin,
                *self._boxes,
                *self._part_boxes,
            ],
        )

    def _collect(self, n_rows: int) -> TrianglePairs:
        counts = self._warp.to_torch(self._counts)[:n_rows].to(torch.int64)
        kept = counts.clamp(max=self.max_pairs)
        rows = torch.repeat_interleave(torch.arange(n_rows, device=self.device), kept)
        place = torch.arange(len(rows), device=self.device) - (kept.cumsum(0) - kept)[rows]
        triangles = self._warp.to_torch(self._pairs)[rows, place].to(torch.int64)
        if self.device.type == "cpu":
            return TrianglePairs(rows, triangles, counts > self.max_pairs)
        # Threads of a GPU finish in any order; the same input shall give the same sums.
        order = ((rows * self._n_triangles + triangles[:, 0]) * self._n_triangles + triangles[:, 1]).argsort()
        return TrianglePairs(rows[order], triangles[order], counts > self.max_pairs)

    def _groups(self) -> Any:
        """Each part of each body has a subtree of its own, so that a query never meets its own part."""
        labels = self._warp.to_torch(self._labels)
        rows = torch.arange(self._n_rows, dtype=torch.int32, device=self.device)
        groups = (rows[:, None] * self._n_parts + labels).reshape(-1).contiguous()
        return self._warp.from_torch(groups, dtype=self._warp.int32)

    def _array(self, values: np.ndarray, dtype: Any) -> Any:
        return self._warp.array(values, dtype=dtype, device=str(self.device))

    def _zeros(self, shape: int | tuple[int, int], dtype: Any = int) -> Any:
        return self._warp.zeros(shape, dtype=dtype, device=str(self.device))

    def _empty_boxes(self, n_boxes: int) -> tuple[Any, Any]:
        """Lower and upper corners for each row."""
        return tuple(self._zeros(self._n_rows * n_boxes, self._warp.vec3) for _ in range(2))

    def _launch(self, kernel: Any, threads: tuple[int, int], inputs: list[Any]) -> None:
        self._warp.launch(kernel, threads, inputs, device=str(self.device))


def rest_pairs(search: TriangleSearch, rest_vertices: FloatArray) -> IntArray:
    """[N, 2] pairs that intersect in the rest pose already: mouth, eyes, armpits."""
    vertices = torch.as_tensor(np.asarray(rest_vertices, np.float32), device=search.device)
    found: IntArray = search(vertices[None]).triangles.cpu().numpy()
    return found
