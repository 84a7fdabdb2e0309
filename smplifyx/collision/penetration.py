"""Self-penetration of a body: number of colliding pairs, depth, shared volume."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smplifyx.collision.warp_runtime import load_warp

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.integer]
BoolArray = NDArray[np.bool_]

_POINTS_AT_ONCE = 2
#: A point just below an open piece of surface sees it fill more than half the full solid angle.
_HALF_AROUND = 0.5
#: Between the winding numbers of one layer (1) and of two (2).
_TWO_LAYERS = 1.5
#: Number of triangles around a vertex, nearest by their centres, that are measured exactly.
_NEAREST_TRIANGLES = 64


@dataclass(frozen=True)
class Penetration:
    """Self-penetration of one body.

    Attributes:
        n_pairs: colliding pairs of triangles.
        depth: distance from the deepest vertex of a part to the surface of the part it is in, metres.
        depths: [V] how deep each vertex lies inside another part, metres; 0 outside.
        patches: vertices of each connected piece of surface inside another part.
    """

    n_pairs: int
    depth: float
    depths: FloatArray
    patches: list[IntArray]


class PenetrationMeter:
    """Measure penetration on bodies that share their triangles.

    A vertex lies in another part where the closed surface goes around it more than once (generalised winding number,
    Jacobson et al. 2013). Only patches of such vertices that begin at a colliding pair count, so that the folds of
    armpits and elbows, whose pairs are filtered out, do not.

    Args:
        faces: [F, 3] triangles of a closed surface, counter-clockwise seen from outside.
        part_labels: [F] part of each triangle.
        related: [P, P] symmetric; parts that may overlap (themselves, neighbours).
        surrounded_twice: function of points [N, 3] and vertices [V, 3]: mask [N] of the points with a winding number
            above one; None for exact winding numbers, which are slow.
    """

    def __init__(
        self,
        faces: IntArray,
        part_labels: IntArray,
        related: BoolArray,
        surrounded_twice: Callable[[FloatArray, FloatArray], BoolArray] | None = None,
    ) -> None:
        self._faces = np.asarray(faces, np.int64)
        self._labels = np.asarray(part_labels, np.int64)
        self._related = np.asarray(related, bool)
        self._surrounded_twice = surrounded_twice or self._exactly_surrounded_twice
        n_vertices = int(self._faces.max()) + 1
        ends = np.concatenate([self._faces[:, [0, 1]], self._faces[:, [1, 2]], self._faces[:, [2, 0]]])
        ends = np.concatenate([ends, ends[:, ::-1]])
        ones = np.ones(len(ends), bool)
        from scipy.sparse import csr_array  # late, here and below: scipy takes long, and few bodies collide

        self._edges = csr_array((ones, (ends[:, 0], ends[:, 1])), shape=(n_vertices, n_vertices))
        self._vertex_part = np.zeros(n_vertices, np.int64)
        self._vertex_part[self._faces] = self._labels[:, None]

    def measure(self, vertices: FloatArray, pairs: IntArray) -> Penetration:
        """Measure one body.

        Args:
            vertices: [V, 3] metres.
            pairs: [N, 2] triangles that intersect, of parts that may not overlap.
        """
        vertices = np.asarray(vertices, np.float64)
        pairs = np.asarray(pairs, np.int64).reshape(-1, 2)
        patches = self._patches(self._inside(vertices, pairs))
        depths = np.zeros(len(vertices))
        for patch in patches:
            near = self._related[self._opposite(patch, pairs)].any(0)
            for part in np.unique(self._vertex_part[patch]):
                chosen = patch[self._vertex_part[patch] == part]
                surface = self._faces[(near & ~self._related[part])[self._labels]]
                depths[chosen] = _depths_below(vertices[chosen], vertices, surface)
        # The folds of a joint may begin at a pair too, but lie in no other part.
        deep = [patch for patch in patches if depths[patch].any()]
        return Penetration(len(pairs), float(depths.max()), depths, deep)

    def _inside(self, vertices: FloatArray, pairs: IntArray) -> BoolArray:
        """[V] vertices inside another part, found by walking inwards from the colliding pairs."""
        inside, known = np.zeros(len(vertices), bool), np.zeros(len(vertices), bool)
        frontier = np.unique(self._faces[pairs])
        while len(frontier):
            known[frontier] = True
            deep = frontier[self._surrounded_twice(vertices[frontier], vertices)]
            inside[deep] = True
            around = np.unique(self._edges[deep].indices)
            frontier = around[~known[around]]
        return inside

    def _exactly_surrounded_twice(self, points: FloatArray, vertices: FloatArray) -> BoolArray:
        return np.asarray(winding_numbers(points, vertices, self._faces) > 1)

    def _patches(self, inside: BoolArray) -> list[IntArray]:
        """The connected pieces of surface that the inner vertices form."""
        vertices = np.flatnonzero(inside)
        if not len(vertices):
            return []
        from scipy.sparse.csgraph import connected_components

        count, label = connected_components(self._edges[vertices][:, vertices], directed=False)
        return [vertices[label == k] for k in range(count)]

    def _opposite(self, patch: IntArray, pairs: IntArray) -> IntArray:
        """The parts that a patch collides with."""
        touches = np.asarray(np.isin(self._faces, patch).any(1))[pairs]
        others = np.concatenate([pairs[touches[:, 0], 1], pairs[touches[:, 1], 0]])
        return np.unique(self._labels[others])


def _depths_below(points: FloatArray, vertices: FloatArray, faces: IntArray) -> FloatArray:
    """Distance [N] of points [N, 3] to a piece of surface; 0 for points that it does not go around."""
    if not len(faces):
        return np.zeros(len(points))
    triangles = vertices[faces]
    count = min(_NEAREST_TRIANGLES, len(triangles))
    from scipy.spatial import cKDTree

    _, nearest = cKDTree(triangles.mean(1)).query(points, k=count)
    distances = point_triangle_distances(np.repeat(points, count, axis=0), triangles[nearest.reshape(-1)])
    below = winding_numbers(points, vertices, faces) > _HALF_AROUND
    return np.where(below, distances.reshape(-1, count).min(1), 0.0)


def overlap_volume(vertices: FloatArray, faces: IntArray, found: Penetration, n_points: int = 1500) -> float:
    """Volume (cubic metres) that parts share: where a closed surface goes around twice, near its deep vertices.

    A grid over the boxes of the triangles that reach into the overlap is asked for its winding numbers. Points
    further from the next patch than it is deep lie in the fold of a joint close by, and do not count.

    Args:
        vertices: [V, 3] metres.
        faces: [F, 3] triangles, counter-clockwise seen from outside.
        found: the body's penetration.
        n_points: approximate number of grid points; the error falls with it.
    """
    deep = [patch[found.depths[patch] > 0] for patch in found.patches]
    pieces = [vertices[faces[np.isin(faces, patch).any(1)]].reshape(-1, 3) for patch in deep]
    boxes = [(piece.min(0), piece.max(0)) for piece in pieces]
    boxes_volume = sum(float(np.prod(high - low)) for low, high in boxes)
    if not boxes_volume:
        return 0.0
    cell = (boxes_volume / n_points) ** (1 / 3)
    grids = [_cells(np.floor(low / cell), np.floor(high / cell)) for low, high in boxes]
    centres = (np.unique(np.concatenate(grids), axis=0) + 0.5) * cell
    inner, reach = np.concatenate(deep), np.concatenate([np.full(len(p), found.depths[p].max()) for p in deep])
    from scipy.spatial import cKDTree

    distances, nearest = cKDTree(vertices[inner]).query(centres)
    centres = centres[distances <= reach[nearest] + cell]
    if not len(centres):
        return 0.0
    return float((winding_numbers(centres, vertices, faces) > _TWO_LAYERS).sum() * cell**3)


def _cells(low: FloatArray, high: FloatArray) -> FloatArray:
    """[N, 3] whole-numbered cells from ``low`` to ``high``, both included."""
    axes = [np.arange(start, stop + 1) for start, stop in zip(low, high, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)


def winding_numbers(points: FloatArray, vertices: FloatArray, faces: IntArray) -> FloatArray:
    """Winding number of a closed surface at each point: 0 outside, 1 inside, 2 where two parts overlap.

    On the surface it is the layer's share of the full solid angle (a half where flat) plus the layers around it.

    Args:
        points: [N, 3] metres.
        vertices: [V, 3] metres.
        faces: [F, 3] triangles, counter-clockwise seen from outside.
    """
    # Single precision suffices to distinguish whole numbers.
    corners = torch.as_tensor(vertices[faces].transpose(1, 2, 0).astype(np.float32))  # [3 corners, 3 axes, F]
    chunks = torch.as_tensor(np.asarray(points, np.float32)).split(_POINTS_AT_ONCE)
    return np.asarray(torch.cat([_solid_angles(chunk, corners) for chunk in chunks]).numpy() / (2 * np.pi))


def _solid_angles(points: Tensor, corners: Tensor) -> Tensor:
    """Half the signed solid angle [N] of all triangles from each point (van Oosterom and Strackee 1983)."""
    a, b, c = (corner - points[:, :, None] for corner in corners)  # [N, 3, F]
    length_a, length_b, length_c = (side.square().sum(1).sqrt() for side in (a, b, c))
    volume = (a * torch.linalg.cross(b, c, dim=1)).sum(1)
    base = length_a * length_b * length_c
    base += (a * b).sum(1) * length_c + (b * c).sum(1) * length_a + (c * a).sum(1) * length_b
    return torch.atan2(volume, base).sum(1)


def point_triangle_distances(points: FloatArray, triangles: FloatArray) -> FloatArray:
    """Distance [N] of points [N, 3] to triangles [N, 3, 3]."""
    edges = np.roll(triangles, -1, axis=1) - triangles
    offsets = points[:, None] - triangles
    squared = np.maximum((edges**2).sum(-1), np.finfo(np.float64).tiny)
    place = np.clip((offsets * edges).sum(-1) / squared, 0.0, 1.0)
    to_edges = np.linalg.norm(offsets - place[..., None] * edges, axis=-1).min(1)
    normals = np.cross(edges[:, 0], edges[:, 1])
    lengths = np.linalg.norm(normals, axis=-1)
    over = (np.cross(edges, offsets) * normals[:, None]).sum(-1).min(1) >= 0
    to_plane = np.abs((offsets[:, 0] * normals).sum(-1)) / np.maximum(lengths, np.finfo(np.float64).tiny)
    return np.where(over & (lengths > 0), np.minimum(to_plane, to_edges), to_edges)


class FastWinding:
    """Winding numbers with far triangles taken together (Barill et al. 2018), by Warp, on the CPU.

    Args:
        faces: [F, 3] triangles of a closed surface, counter-clockwise seen from outside.
    """

    def __init__(self, faces: IntArray) -> None:
        self._warp = load_warp()
        self._kernel = importlib.import_module("smplifyx.collision.kernels").surrounded_twice
        self._indices = self._array(np.asarray(faces, np.int32).reshape(-1), int)
        self._latest: tuple[FloatArray, Any] | None = None

    def __call__(self, points: FloatArray, vertices: FloatArray) -> BoolArray:
        """Whether the surface of vertices [V, 3] goes around the points [N, 3] more than once; [N]."""
        warp = self._warp
        if self._latest is None or self._latest[0] is not vertices:
            corners = self._array(np.asarray(vertices, np.float32), warp.vec3)
            self._latest = vertices, warp.Mesh(points=corners, indices=self._indices, support_winding_number=True)
        mesh = self._latest[1]
        inside = warp.zeros(len(points), dtype=warp.uint8, device="cpu")
        reach = float(np.linalg.norm(np.ptp(np.concatenate([points, vertices]), axis=0)))
        asked = self._array(np.asarray(points, np.float32), warp.vec3)
        warp.launch(self._kernel, len(points), [mesh.id, asked, reach, inside], device="cpu")
        return np.asarray(inside.numpy() > 0)

    def _array(self, values: np.ndarray, dtype: Any) -> Any:
        return self._warp.array(values, dtype=dtype, device="cpu")
