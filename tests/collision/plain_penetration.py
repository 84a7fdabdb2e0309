"""Winding numbers, distances and penetration in plain NumPy, a second witness of the kernels."""

from __future__ import annotations

import numpy as np


def winding_numbers(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Winding number [N] of a surface at points [N, 3], by an arc tangent for each triangle."""
    corners = vertices[faces].transpose(1, 2, 0).astype(np.float64)
    return np.array([_winding_number(corners - point[:, None]) for point in np.asarray(points, np.float64)])


def _winding_number(corners: np.ndarray) -> float:
    """At the origin, of triangles [3 corners, 3 axes, F]: solid angles by van Oosterom and Strackee (1983)."""
    a, b, c = corners
    x, y, z = np.sqrt((corners**2).sum(1))
    base = x * y * z + (a * b).sum(0) * z + (b * c).sum(0) * x + (c * a).sum(0) * y
    volume = sum(a[i] * (b[i - 2] * c[i - 1] - b[i - 1] * c[i - 2]) for i in range(3))
    return float(np.arctan2(volume, base).sum() / (2 * np.pi))


def point_triangle_distances(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
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


def distances(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Distance [N] of points [N, 3] to a surface."""
    triangles = vertices[faces].astype(np.float64)
    return np.array([point_triangle_distances(np.tile(p, (len(faces), 1)), triangles).min() for p in points])


def depths(
    vertices: np.ndarray, faces: np.ndarray, labels: np.ndarray, related: np.ndarray, pairs: np.ndarray
) -> np.ndarray:
    """How deep each vertex [V] lies inside another part, as docs/collisions.md says."""
    part_of = np.zeros(len(vertices), int)
    part_of[faces] = labels[:, None]
    neighbours: list[set[int]] = [set() for _ in vertices]
    for face in faces.tolist():
        for corner in face:
            neighbours[corner] |= set(face)
    known: dict[int, bool] = {}

    def is_inside(vertex: int) -> bool:
        if vertex not in known:
            known[vertex] = bool(winding_numbers(vertices[[vertex]], vertices, faces)[0] > 1)
        return known[vertex]

    result = np.zeros(len(vertices))
    waiting = {vertex for vertex in np.unique(faces[pairs]).tolist() if is_inside(vertex)}
    both = np.concatenate([pairs, pairs[:, ::-1]]).tolist()
    while waiting:
        patch, border = set(), {waiting.pop()}
        while border:
            patch |= border
            border = {other for vertex in border for other in neighbours[vertex] - patch if is_inside(other)}
        waiting -= patch
        met = [other for one, other in both if patch & {*faces[one].tolist()}]
        near = related[labels[met]].any(0)
        for vertex in patch:
            surface = faces[(near & ~related[part_of[vertex]])[labels]]
            if len(surface) and winding_numbers(vertices[[vertex]], vertices, surface)[0] > 0.5:
                result[vertex] = distances(vertices[[vertex]], vertices, surface)[0]
    return result
