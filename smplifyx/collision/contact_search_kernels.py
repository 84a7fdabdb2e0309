"""Warp kernels that find contacts by clusters of triangles. Import late: this imports Warp.

A cluster's vertices look for triangles of each other part in the order of cheap bounds on their misfits, until no
bound is below the least misfit. The bounds decide about nothing else.
"""

# Kernels are written in Warp's dialect, which only looks like typed Python: int(0) is a variable, 0 a constant.
# mypy: ignore-errors
# ruff: noqa: UP018

import warp as wp

from smplifyx.collision.cluster_kernels import (
    Box,
    Limits,
    Mesh,
    Work,
    cluster_box,
    meet,
    meeting_clusters,
    most_promising,
    nearest_cluster,
    widened,
)
from smplifyx.collision.clusters import LANES
from smplifyx.collision.kernels import box_overlap, closest_point

_LANES = wp.constant(LANES)
_FAR = wp.constant(1e30)
#: A bound leaves a triangle out only where it is above the squared misfit by more than rounding.
_ROUNDING = wp.constant(1e-4)


@wp.struct
class Found:
    """The contact of each vertex of each row: its triangle (-1: none), height over it, weight, force and misfit.

    ``touching`` marks rows with a vertex that is pushed.
    """

    touching: wp.array[int]
    triangles: wp.array2d[int]
    heights: wp.array2d[float]
    weights: wp.array2d[float]
    forces: wp.array2d[float]
    misfits: wp.array2d[float]


@wp.func
def _normal(posed: wp.array2d[wp.vec3], row: int, mesh: Mesh, vertex: int) -> wp.vec3:
    """Mean normal of the triangles around a vertex, weighted by their areas; almost 0 where they have none.

    0 itself marks normals that are not known yet.
    """
    total = wp.vec3()
    for k in range(mesh.around_starts[vertex], mesh.around_starts[vertex + 1]):
        face = mesh.faces[mesh.around[k]]
        a = posed[row, face[0]]
        total += wp.cross(posed[row, face[1]] - a, posed[row, face[2]] - a)
    normal = wp.normalize(total)
    if wp.length_sq(normal) == 0.0:
        return wp.vec3(1.0e-12, 0.0, 0.0)
    return normal


@wp.func
def _ask(
    posed: wp.array2d[wp.vec3], row: int, slot: int, cluster: int, other: int, outside: float, mesh: Mesh, work: Work
) -> Box:
    """Begin the search of a cluster's vertices for triangles of another part; the box of those that may find one."""
    part = widened(work.part_boxes[slot, other], outside)
    lower = wp.vec3(_FAR, _FAR, _FAR)
    upper = -lower
    for k in range(mesh.owned_starts[cluster], mesh.owned_starts[cluster + 1]):
        point = posed[row, mesh.owned[k]]
        misfit = float(0.0)
        if mesh.may_touch[other, k] != wp.uint8(0) and box_overlap(point, point, part.lower, part.upper):
            misfit = 1.0
            lower = wp.min(lower, point)
            upper = wp.max(upper, point)
        work.misfits[slot, k] = misfit
        work.triangles[slot, k] = -1
    return Box(lower, upper)


@wp.func
def _try_triangle(
    posed: wp.array2d[wp.vec3],
    row: int,
    slot: int,
    k: int,
    place: int,
    reach: float,
    beside: float,
    mesh: Mesh,
    work: Work,
) -> None:
    """Let an owned vertex try a triangle."""
    face = mesh.faces[place]
    a = posed[row, face[0]]
    b = posed[row, face[1]]
    c = posed[row, face[2]]
    misfit = work.misfits[slot, k]
    upwards = wp.normalize(wp.cross(b - a, c - a))
    turned = wp.max(0.0, 1.0 + 2.0 * wp.dot(upwards, work.normals[slot, k]))
    if turned < misfit:
        point = posed[row, mesh.owned[k]]
        offset = point - closest_point(point, a, b, c)
        squared = wp.length_sq(offset)
        over = wp.dot(offset, upwards)
        past = wp.sqrt(wp.max(0.0, squared - over * over))
        total = wp.length(wp.vec3(turned, wp.sqrt(squared) / reach, past / beside))
        if total < misfit:
            work.misfits[slot, k] = total
            work.heights[slot, k] = over
            work.triangles[slot, k] = place


@wp.func
def _try_block(
    posed: wp.array2d[wp.vec3],
    row: int,
    slot: int,
    cluster: int,
    block: int,
    marks: int,
    reach: float,
    beside: float,
    mesh: Mesh,
    work: Work,
) -> None:
    """Let a cluster's vertices try the triangles of the marked ones of 16 other clusters, the nearest first."""
    per_reach = 1.0 / (reach * reach)
    per_beside = 1.0 / (beside * beside) + per_reach
    for k in range(mesh.owned_starts[cluster], mesh.owned_starts[cluster + 1]):
        if work.misfits[slot, k] > 0.0:
            vertex = mesh.owned[k]
            point = posed[row, vertex]
            clusters_left = marks
            while clusters_left != 0:
                most = work.misfits[slot, k] * work.misfits[slot, k] + _ROUNDING
                nearest = nearest_cluster(work.boxes, slot, block, point, per_reach, most, clusters_left)
                if nearest < 0:
                    clusters_left = 0
                else:
                    clusters_left = clusters_left & ~(1 << nearest)
                    start = mesh.starts[block + nearest]
                    left = (1 << (mesh.starts[block + nearest + 1] - start)) - 1
                    while left != 0:
                        normal = work.normals[slot, k]
                        most = work.misfits[slot, k] * work.misfits[slot, k] + _ROUNDING
                        first = most_promising(
                            work.bounds, slot, block + nearest, point, normal, per_reach, per_beside, most, left
                        )
                        if first < 0:
                            left = 0
                        elif wp.length_sq(normal) == 0.0:
                            work.normals[slot, k] = _normal(posed, row, mesh, vertex)
                        else:
                            _try_triangle(posed, row, slot, k, start + first, reach, beside, mesh, work)
                            left = left & ~(1 << first)


@wp.func
def _keep(row: int, slot: int, k: int, limits: Limits, mesh: Mesh, work: Work, found: Found) -> None:
    """Keep an owned vertex' contact with one part if it pushes more than those before; if none does, the best fit."""
    place = work.triangles[slot, k]
    height = work.heights[slot, k]
    if place >= 0 and height <= limits.outside:
        vertex = mesh.owned[k]
        misfit = work.misfits[slot, k]
        rise = wp.min(1.0, 3.0 * (1.0 - misfit))
        weight = rise * rise * (3.0 - 2.0 * rise)
        force = weight * wp.clamp((limits.clearance - height) / limits.soft, 0.0, 1.0)
        is_first = found.triangles[row, vertex] < 0
        most_force = found.forces[row, vertex]
        if is_first or force > most_force or (most_force == 0.0 and misfit < found.misfits[row, vertex]):
            found.forces[row, vertex] = force
            found.misfits[row, vertex] = misfit
            found.triangles[row, vertex] = mesh.triangles[place]
            found.heights[row, vertex] = height
            found.weights[row, vertex] = weight
            if force > 0.0:
                found.touching[row] = 1


@wp.kernel(enable_backward=False)
def find_contacts(
    posed: wp.array2d[wp.vec3], rows: wp.array[int], mesh: Mesh, limits: Limits, work: Work, found: Found
) -> None:
    """The contact of each vertex; see ``ContactSearch``; thread (mesh, cluster of the vertices)."""
    slot, cluster = wp.tid()
    row = rows[slot]
    first = mesh.owned_starts[cluster]
    end = mesh.owned_starts[cluster + 1]
    box = widened(cluster_box(work, slot, cluster), limits.outside)
    part = mesh.parts[cluster]
    has_begun = wp.bool(False)
    for n in range(work.n_near[slot, part]):
        other = work.near[slot, part, n]
        if meet(box, work.part_boxes[slot, other]):
            if not has_begun:
                has_begun = wp.bool(True)
                for k in range(first, end):
                    work.normals[slot, k] = wp.vec3()
            asking = _ask(posed, row, slot, cluster, other, limits.outside, mesh, work)
            if asking.lower[0] <= asking.upper[0]:
                reach = mesh.reaches[other]
                asking = widened(asking, reach)
                end_there = mesh.part_starts[other + 1]
                for block in range(mesh.part_starts[other], end_there, _LANES):
                    marks = meeting_clusters(work.boxes, slot, block, asking)
                    if end_there - block < _LANES:
                        marks = marks & ((1 << (end_there - block)) - 1)
                    if marks != 0:
                        _try_block(posed, row, slot, cluster, block, marks, reach, limits.beside, mesh, work)
                for k in range(first, end):
                    _keep(row, slot, k, limits, mesh, work, found)
