"""Self-penetration of a body: number of colliding pairs, depth, shared volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smplifyx.body.data import FloatArray, IntArray
from smplifyx.collision.surface import PosedSurface

BoolArray = NDArray[np.bool_]

#: A vertex of the surface itself has about a half, in a crease up to one, and one more inside another part.
_SURROUNDED_TWICE = 1.0
#: A point just below an open piece of surface sees it fill more than half the full solid angle.
_HALF_AROUND = 0.5
#: Between the winding numbers of one layer (1) and of two (2).
_TWO_LAYERS = 1.5


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
        rest_vertices: [V, 3] any pose of the body.
        faces: [F, 3] triangles of a closed surface, counter-clockwise seen from outside.
        part_labels: [F] part of each triangle.
        related: [P, P] symmetric; parts that may overlap (themselves, neighbours).
    """

    def __init__(self, rest_vertices: FloatArray, faces: IntArray, part_labels: IntArray, related: BoolArray) -> None:
        #: In the pose of the body that was measured last.
        self.surface = PosedSurface(rest_vertices, faces, part_labels)
        self._faces = np.asarray(faces, np.int64)
        self._labels = np.asarray(part_labels, np.int64)
        self._related = np.asarray(related, bool)
        self._neighbours = _neighbours(self._faces, len(rest_vertices))
        self._vertex_part = np.zeros(len(rest_vertices), np.int64)
        self._vertex_part[self._faces] = self._labels[:, None]

    def measure(self, vertices: FloatArray, pairs: IntArray) -> Penetration:
        """Measure one body.

        Args:
            vertices: [V, 3] metres.
            pairs: [N, 2] triangles that intersect, of parts that may not overlap.
        """
        pairs = np.asarray(pairs, np.int64).reshape(-1, 2)
        depths = np.zeros(len(vertices))
        self.surface.pose(vertices)
        patches = self._patches(self._inside(vertices, pairs))
        if patches:
            inside, around = np.concatenate(patches), np.concatenate([self._around(one, pairs) for one in patches])
            depths[inside] = self._depths_below(vertices[inside], around)
        # The folds of a joint may begin at a pair too, but lie in no other part.
        deep = [patch for patch in patches if depths[patch].any()]
        return Penetration(len(pairs), float(depths.max()), depths, deep)

    def _inside(self, vertices: FloatArray, pairs: IntArray) -> BoolArray:
        """[V] vertices inside another part, found by walking inwards from the colliding pairs."""
        inside, known = np.zeros(len(vertices), bool), np.zeros(len(vertices), bool)
        frontier: IntArray = np.unique(self._faces[pairs])
        while len(frontier):
            known[frontier] = True
            deep = frontier[self.surface.surrounds(vertices[frontier], _SURROUNDED_TWICE)]
            inside[deep] = True
            around = np.unique(self._neighbours[deep])
            frontier = around[~known[around]]
        return inside

    def _patches(self, inside: BoolArray) -> list[IntArray]:
        """The connected pieces of surface that the inner vertices [V] form."""
        vertices: IntArray = np.flatnonzero(inside)
        first = np.where(inside, np.arange(len(inside)), len(inside))  # the first vertex of each one's piece, so far
        while True:
            own = first[vertices]
            nearer = np.minimum(own, first[self._neighbours[vertices]].min(1))
            if (nearer == own).all():
                return [vertices[nearer == one] for one in np.unique(nearer)]
            first[vertices] = first[nearer]

    def _around(self, patch: IntArray, pairs: IntArray) -> BoolArray:
        """[N, P] parts that each vertex [N] of a patch may lie in: those that it collides with, and neighbours."""
        touches = np.asarray(np.isin(self._faces[pairs], patch).any(2))
        others = np.concatenate([pairs[touches[:, 0], 1], pairs[touches[:, 1], 0]])
        near = self._related[self._labels[others]].any(0)
        return np.asarray(near & ~self._related[self._vertex_part[patch]])

    def _depths_below(self, points: FloatArray, parts: BoolArray) -> FloatArray:
        """Distance [N] of points [N, 3] to their parts [N, P]; 0 for points that these do not go around."""
        depths = np.zeros(len(points))
        below = self.surface.surrounds(points, _HALF_AROUND, parts)
        depths[below] = self.surface.distances(points[below], parts[below])
        return depths


def _neighbours(faces: IntArray, n_vertices: int) -> IntArray:
    """[V, K] vertices that share a triangle with each one; itself where it has fewer than others."""
    pairs = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    pairs = np.concatenate([pairs, pairs[:, ::-1]])
    vertex, other = np.divmod(np.unique(pairs @ [n_vertices, 1]), n_vertices)
    place = np.arange(len(vertex)) - np.searchsorted(vertex, vertex)
    neighbours = np.tile(np.arange(n_vertices)[:, None], int(place.max()) + 1)
    neighbours[vertex, place] = other
    return neighbours


def overlap_volume(
    surface: PosedSurface, vertices: FloatArray, faces: IntArray, found: Penetration, n_points: int = 1500
) -> float:
    """Volume (cubic metres) that parts share: where a closed surface goes around twice, near its deep vertices.

    A grid over the boxes of the triangles that reach into the overlap is asked for its winding numbers. Points
    further from the next patch than it is deep lie in the fold of a joint close by, and do not count.

    Args:
        surface: in the pose of the body.
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
    return float(surface.surrounds(centres, _TWO_LAYERS).sum() * cell**3)


def _cells(low: FloatArray, high: FloatArray) -> FloatArray:
    """[N, 3] whole-numbered cells from ``low`` to ``high``, both included."""
    axes = [np.arange(start, stop + 1) for start, stop in zip(low, high, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
