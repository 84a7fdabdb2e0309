"""Warp kernel that finds the pairs of colliding triangles. Import late: this imports Warp."""

# Kernels are written in Warp's dialect, which only looks like typed Python: int(0) is a variable, 0 a constant.
# mypy: ignore-errors
# ruff: noqa: SIM102, SIM110

import warp as wp

from smplifyx.collision.cluster_kernels import Box, Mesh, Work, cluster_box, meet, meeting_clusters, widened
from smplifyx.collision.clusters import LANES
from smplifyx.collision.kernels import corners, triangles_intersect

_LANES = wp.constant(LANES)


@wp.func
def _share_vertex(a: wp.vec3i, b: wp.vec3i) -> wp.bool:
    for i in range(3):
        if a[i] == b[0] or a[i] == b[1] or a[i] == b[2]:
            return True
    return False


@wp.func
def _contains(keys: wp.array[wp.int64], key: wp.int64) -> wp.bool:
    """Whether ascending ``keys`` hold ``key``."""
    place = wp.lower_bound(keys, key)
    if place >= keys.shape[0]:
        return False
    return keys[place] == key


@wp.func
def _triangle_box(posed: wp.array2d[wp.vec3], row: int, face: wp.vec3i, margin: float) -> Box:
    """A triangle's box, widened by the margin."""
    a, b, c = posed[row, face[0]], posed[row, face[1]], posed[row, face[2]]
    return widened(Box(wp.min(a, wp.min(b, c)), wp.max(a, wp.max(b, c))), margin)


@wp.func
def _intersect(posed: wp.array2d[wp.vec3], row: int, first: wp.vec3i, second: wp.vec3i) -> wp.bool:
    """Whether two triangles of a row intersect."""
    return triangles_intersect(
        corners(posed[row, first[0]], posed[row, first[1]], posed[row, first[2]]),
        corners(posed[row, second[0]], posed[row, second[1]], posed[row, second[2]]),
    )


@wp.func
def _add_pairs(
    posed: wp.array2d[wp.vec3],
    row: int,
    cluster: int,
    other: int,
    mesh: Mesh,
    other_box: Box,
    ignored: wp.array[wp.int64],
    margin: float,
    exact: int,
    pairs: wp.array2d[wp.vec2i],
    counts: wp.array[int],
) -> None:
    """Add the pairs of triangles of two clusters, the second of which is in a box."""
    for k in range(mesh.starts[cluster], mesh.starts[cluster + 1]):
        face = mesh.faces[k]
        box = _triangle_box(posed, row, face, margin)
        if meet(box, other_box):
            for n in range(mesh.starts[other], mesh.starts[other + 1]):
                other_face = mesh.faces[n]
                if meet(box, _triangle_box(posed, row, other_face, margin)):
                    first = wp.min(mesh.triangles[k], mesh.triangles[n])
                    second = wp.max(mesh.triangles[k], mesh.triangles[n])
                    key = wp.int64(first) * wp.int64(mesh.faces.shape[0]) + wp.int64(second)
                    if not _share_vertex(face, other_face) and not _contains(ignored, key):
                        if exact == 0 or _intersect(posed, row, face, other_face):
                            place = wp.atomic_add(counts, row, 1)
                            if place < pairs.shape[1]:
                                pairs[row, place] = wp.vec2i(first, second)


@wp.kernel(enable_backward=False)
def find_pairs(
    posed: wp.array2d[wp.vec3],
    mesh: Mesh,
    work: Work,
    ignored: wp.array[wp.int64],
    margin: float,
    exact: int,
    pairs: wp.array2d[wp.vec2i],
    counts: wp.array[int],
) -> None:
    """Triangles whose boxes, widened by the margin, overlap (``exact``: that intersect) after the filter.

    Thread (row, cluster). ``counts`` includes the pairs for which ``pairs`` has no room.
    """
    row, cluster = wp.tid()
    part = mesh.parts[cluster]
    box = widened(cluster_box(work, row, cluster), margin)
    both = widened(box, 1.001 * margin)  # rounding loses no pair
    for k in range(work.n_near[row, part]):
        other = work.near[row, part, k]
        if other > part and meet(both, work.part_boxes[row, other]):
            end = mesh.part_starts[other + 1]
            for block in range(mesh.part_starts[other], end, _LANES):
                marks = meeting_clusters(work.boxes, row, block, both)
                for lane in range(wp.min(_LANES, end - block)):
                    if (marks >> lane) & 1 != 0:
                        there = block + lane
                        other_box = widened(cluster_box(work, row, there), margin)
                        _add_pairs(posed, row, cluster, there, mesh, other_box, ignored, margin, exact, pairs, counts)
