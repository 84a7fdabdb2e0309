"""Body parts of the surface's triangles, and the pairs of triangles that already touch in the rest pose."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from smplifyx.body.data import FloatArray, IntArray

#: Triangles closer than this in the rest pose count as touching (metres).
TOUCHING_DISTANCE = 2e-3

_EDGES = ((0, 1), (1, 2), (2, 0))
_TINY = 1e-12


def part_labels(skinning_weights: FloatArray, faces: IntArray) -> IntArray:
    """[F] the joint that moves each triangle most.

    Args:
        skinning_weights: [V, J] weights of the vertices.
        faces: [F, 3] vertex numbers.
    """
    return np.argmax(skinning_weights[faces].sum(axis=1), axis=1).astype(np.int64)


def rest_contact_pairs(
    vertices: FloatArray,
    faces: IntArray,
    labels: IntArray,
    parents: IntArray,
    distance: float = TOUCHING_DISTANCE,
) -> IntArray:
    """Triangle pairs that intersect or nearly touch in the rest pose and so say nothing about a pose.

    Pairs that a collision test leaves out anyway are not listed: those that share a vertex, lie in the same part, or
    lie in a part and its parent.

    Args:
        vertices: [V, 3] rest pose, metres.
        faces: [F, 3] vertex numbers.
        labels: [F] part of each triangle.
        parents: [J] parent of each part, -1 for the root.
        distance: largest gap of a pair that touches, metres.

    Returns:
        [N, 2] triangle numbers, the smaller one first, in ascending order.
    """
    triangles = np.asarray(vertices, dtype=np.float64)[faces]
    pairs = _near_pairs(triangles, distance)
    first, second = labels[pairs[:, 0]], labels[pairs[:, 1]]
    pairs = pairs[(first != second) & (parents[first] != second) & (parents[second] != first)]
    share_vertex = np.any(faces[pairs[:, 0]][:, :, None] == faces[pairs[:, 1]][:, None, :], axis=(1, 2))
    pairs = pairs[~share_vertex]
    gaps = triangle_distances(triangles[pairs[:, 0]], triangles[pairs[:, 1]])
    pairs = pairs[gaps <= distance]
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def _near_pairs(triangles: FloatArray, distance: float) -> IntArray:
    """[N, 2] pairs of triangles [F, 3, 3] whose boxes, grown by the distance, overlap."""
    low, high = triangles.min(axis=1), triangles.max(axis=1)
    centres, radii = (low + high) / 2, np.linalg.norm(high - low, axis=1) / 2
    # Every pair is found from its larger triangle, which keeps the many small ones of face and hands cheap.
    found = cKDTree(centres).query_ball_point(centres, 2 * radii + distance)
    lengths = np.array([len(neighbours) for neighbours in found])
    larger = np.repeat(np.arange(len(triangles)), lengths)
    smaller = np.concatenate([np.asarray(neighbours, dtype=np.int64) for neighbours in found])
    keep = (radii[smaller] < radii[larger]) | ((radii[smaller] == radii[larger]) & (smaller < larger))
    larger, smaller = larger[keep], smaller[keep]
    overlap = np.all((low[larger] <= high[smaller] + distance) & (low[smaller] <= high[larger] + distance), axis=1)
    return np.sort(np.stack([larger[overlap], smaller[overlap]], axis=1), axis=1)


def triangle_distances(first: FloatArray, second: FloatArray) -> FloatArray:
    """[N] smallest distance of the triangle pairs ``first`` and ``second``, both [N, 3, 3]; 0 where they intersect.

    Two triangles that do not cross are closest between two edges, or between a corner and the inside of the other.
    """
    smallest = np.full(len(first), np.inf)
    for a, b in _EDGES:
        for c, d in _EDGES:
            smallest = np.minimum(smallest, _segment_distances(first[:, a], first[:, b], second[:, c], second[:, d]))
    for one, other in ((first, second), (second, first)):
        for a, b in _EDGES:
            smallest = np.where(_edge_pierces(one[:, a], one[:, b], other), 0.0, smallest)
            smallest = np.minimum(smallest, _height_above(one[:, a], other))
    return smallest


def _dot(a: FloatArray, b: FloatArray) -> FloatArray:
    return np.einsum("nx,nx->n", a, b)


def _segment_distances(p: FloatArray, p_end: FloatArray, q: FloatArray, q_end: FloatArray) -> FloatArray:
    """[N] distance of the segments p..p_end and q..q_end, all [N, 3].

    Closest points of two segments as in Ericson, Real-Time Collision Detection, section 5.1.9.
    """
    u, v, w = p_end - p, q_end - q, p - q
    uu, vv, uv, uw, vw = _dot(u, u), _dot(v, v), _dot(u, v), _dot(u, w), _dot(v, w)
    denominator = uu * vv - uv * uv
    parallel = denominator < _TINY * uu * vv
    s = np.where(parallel, 0.0, np.clip((uv * vw - uw * vv) / np.where(parallel, 1.0, denominator), 0.0, 1.0))
    t = (uv * s + vw) / np.maximum(vv, _TINY**2)
    t_clipped = np.clip(t, 0.0, 1.0)
    s = np.where(t == t_clipped, s, np.clip((t_clipped * uv - uw) / np.maximum(uu, _TINY**2), 0.0, 1.0))
    return np.linalg.norm(w + s[:, None] * u - t_clipped[:, None] * v, axis=1)


def _inside(points: FloatArray, triangles: FloatArray) -> tuple[NDArray[np.bool_], FloatArray]:
    """Test whether points [N, 3] lie in the prism over their triangles [N, 3, 3]; also return unit normals [N, 3]."""
    normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    sides = [_dot(np.cross(triangles[:, b] - triangles[:, a], points - triangles[:, a]), normals) for a, b in _EDGES]
    lengths = np.linalg.norm(normals, axis=1)
    inside = np.all(np.array(sides) >= 0, axis=0) & (lengths > 0)
    return inside, normals / np.maximum(lengths, np.finfo(float).tiny)[:, None]


def _height_above(points: FloatArray, triangles: FloatArray) -> FloatArray:
    """[N] distance to the triangle's plane for points over its inside, infinite for the others."""
    inside, normals = _inside(points, triangles)
    return np.where(inside, np.abs(_dot(points - triangles[:, 0], normals)), np.inf)


def _edge_pierces(start: FloatArray, end: FloatArray, triangles: FloatArray) -> NDArray[np.bool_]:
    """[N] whether the segments start..end pass through their triangles."""
    _, normals = _inside(start, triangles)
    height_start, height_end = _dot(start - triangles[:, 0], normals), _dot(end - triangles[:, 0], normals)
    opposite = height_start * height_end < 0
    fraction = height_start / np.where(opposite, height_start - height_end, 1.0)
    inside, _ = _inside(start + fraction[:, None] * (end - start), triangles)
    return opposite & inside
