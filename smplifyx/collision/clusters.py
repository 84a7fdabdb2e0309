"""Clusters of neighbouring triangles, whose boxes stand for them in a search."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smplifyx.body.data import FloatArray, IntArray

#: Most triangles of a cluster: as many as a vector register of the widest processors has lanes.
LANES = 16


@dataclass(frozen=True)
class TriangleClusters:
    """Clusters of triangles of one part each, ordered by part.

    Attributes:
        triangles: [F] their numbers, cluster by cluster.
        starts: [K + 1] place where each cluster begins.
        part_starts: [P + 1] number of each part's first cluster.
        vertices: [M] vertices of each cluster's triangles, cluster by cluster.
        vertex_starts: [K + 1] place where those of each cluster begin.
        owned: [N] the vertices again, each in one cluster only, of the part that it belongs to.
        owned_starts: [K + 1] place where those of each cluster begin.
        parts: [K] part of each cluster.
    """

    triangles: IntArray
    starts: IntArray
    part_starts: IntArray
    vertices: IntArray
    vertex_starts: IntArray
    owned: IntArray
    owned_starts: IntArray
    parts: IntArray


def cluster_triangles(
    vertices: FloatArray, faces: IntArray, labels: IntArray, vertex_parts: IntArray, n_parts: int
) -> TriangleClusters:
    """Divide each part's triangles in halves along their longest side until they are few.

    Args:
        vertices: [V, 3] any pose of the mesh.
        faces: [F, 3] vertex numbers.
        labels: [F] part of each triangle.
        vertex_parts: [V] part of each vertex, that of one of its triangles.
        n_parts: P.
    """
    # Coordinate by coordinate, which is several times as fast as along the last axis.
    coordinates = np.asarray(vertices, np.float64).T
    order = labels.argsort(kind="stable")
    centres = sum(coordinates[:, corner] for corner in faces[order].T) / 3
    starts = np.flatnonzero(np.diff(labels[order], prepend=-1))
    while True:
        sizes = np.diff(starts, append=len(order))
        if sizes.max(initial=0) <= LANES:
            break
        group, places = np.repeat(np.arange(len(starts)), sizes), np.arange(len(order))
        lower, upper = (
            np.stack([bound.reduceat(one, starts) for one in centres]) for bound in (np.minimum, np.maximum)
        )
        axis = (upper - lower).argmax(0)
        side = np.maximum((upper - lower).max(0), np.finfo(np.float64).tiny)
        along = (centres[axis[group], places] - lower[axis, np.arange(len(starts))][group]) / side[group]
        moved = (2 * group + along).argsort(kind="stable")
        order, centres = order[moved], centres[:, moved]
        halves = (starts + (sizes + 1) // 2)[sizes > LANES]
        starts = np.sort(np.concatenate([starts, halves]))
    cluster = np.repeat(np.arange(len(starts)), sizes)
    parts = labels[order[starts]]
    # Vertices in the order of their clusters, each once in each.
    keys = np.repeat(cluster, 3) * len(vertices) + faces[order].ravel()
    keys.sort()
    keys = keys[np.diff(keys, prepend=-1) > 0]
    own_cluster, vertex = np.divmod(keys, len(vertices))
    in_part = parts[own_cluster] == vertex_parts[vertex]
    _, first = np.unique(vertex[in_part], return_index=True)
    first.sort()
    bounds = np.arange(len(starts) + 1)
    return TriangleClusters(
        triangles=order,
        starts=np.append(starts, len(order)),
        part_starts=np.searchsorted(parts, np.arange(n_parts + 1)),
        vertices=vertex,
        vertex_starts=np.searchsorted(own_cluster, bounds),
        owned=vertex[in_part][first],
        owned_starts=np.searchsorted(own_cluster[in_part][first], bounds),
        parts=parts,
    )
