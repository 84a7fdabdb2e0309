"""Warp kernels of contacts: find them, their energies and gradients, directions of their curvature. Import late.

No kernel adds floats atomically: a row's sums have one order, whatever the device and the other rows.
"""

# Kernels are written in Warp's dialect, which only looks like typed Python: int(0) is a variable, 0 a constant.
# mypy: ignore-errors
# ruff: noqa: RUF046, UP018

import warp as wp

from smplifyx.collision.kernels import box_overlap, corners
from smplifyx.collision.term_kernels import FLATNESS, add_point

_ZERO = wp.constant(wp.float64(0.0))
_HALF = wp.constant(wp.float64(0.5))
_ONE = wp.constant(wp.float64(1.0))


@wp.struct
class Shape:
    """Energy as a function of depth: see ``ContactShape``."""

    clearance: wp.float64
    soft: wp.float64
    stiffness: wp.float64


@wp.struct
class Limits:
    """Distances of the search, metres: see ``ContactShape``; ``outside`` is the greatest height of a vertex."""

    outside: float
    beside: float
    clearance: float
    soft: float


@wp.struct
class Profile:
    """Energy of one contact, its slope, and its curvature, all positive and without the contact's weight."""

    energy: wp.float64
    slope: wp.float64
    curvature: wp.float64


@wp.func
def _profile(depth: wp.float64, shape: Shape) -> Profile:
    """For a positive depth. The slope rises to 1 within ``soft`` and stays."""
    value = Profile()
    if depth < shape.soft:
        value.energy = _HALF * depth * depth / shape.soft
        value.slope = depth / shape.soft
    else:
        value.energy = depth - _HALF * shape.soft
        value.slope = _ONE
    # That of the parabola of the same slope, which lies above the energy.
    value.curvature = value.slope / depth
    return value


@wp.struct
class Contact:
    """A vertex before or behind the plane of a triangle: how far it is too deep, and the derivatives of that.

    The derivative is minus the normal for the vertex, and the normal times ``to_corners`` for the corners.
    """

    depth: wp.float64
    normal: wp.vec3d
    to_corners: wp.vec3d


@wp.func
def _contact(posed: wp.array2d[wp.vec3], slot: int, vertex: int, face: wp.vec3i, shape: Shape) -> Contact:
    """A contact; one without a plane is not deep."""
    value = Contact()
    triangle = corners(posed[slot, face[0]], posed[slot, face[1]], posed[slot, face[2]])
    b = triangle[1] - triangle[0]
    c = triangle[2] - triangle[0]
    offset = wp.vec3d(posed[slot, vertex]) - triangle[0]
    cross = wp.cross(b, c)
    squared = wp.length_sq(cross)
    if squared > FLATNESS * wp.length_sq(b) * wp.length_sq(c):
        value.normal = cross / wp.sqrt(squared)
        value.depth = shape.clearance - wp.dot(value.normal, offset)
        to_b = wp.dot(wp.cross(offset, c), cross) / squared
        to_c = wp.dot(wp.cross(b, offset), cross) / squared
        value.to_corners = wp.vec3d(_ONE - to_b - to_c, to_b, to_c)
    return value


@wp.kernel(enable_backward=False)
def list_neighbours(
    part_lowers: wp.array[wp.vec3],
    part_uppers: wp.array[wp.vec3],
    colliding_parts: wp.array2d[wp.uint8],
    n_parts: int,
    reach: float,
    near: wp.array2d[int],
    n_near: wp.array[int],
) -> None:
    """For each part those that it may collide with and whose box, widened by the reach, meets its own."""
    row, part = wp.tid()
    place = row * n_parts + part
    wide = wp.vec3(reach, reach, reach)
    count = int(0)
    for other in range(n_parts):
        if colliding_parts[part, other] != wp.uint8(0):
            there = row * n_parts + other
            lower = part_lowers[there] - wide
            upper = part_uppers[there] + wide
            if box_overlap(part_lowers[place], part_uppers[place], lower, upper):
                near[place, count] = other
                count += 1
    n_near[place] = count


@wp.func
def closest_point(p: wp.vec3, a: wp.vec3, b: wp.vec3, c: wp.vec3) -> wp.vec3:
    """The point of a triangle closest to p, by the region of its plane that p lies above."""
    ab = b - a
    ac = c - a
    along_ab, along_ac = wp.dot(ab, p - a), wp.dot(ac, p - a)
    if along_ab <= 0.0 and along_ac <= 0.0:
        return a
    from_b_ab, from_b_ac = wp.dot(ab, p - b), wp.dot(ac, p - b)
    if from_b_ab >= 0.0 and from_b_ac <= from_b_ab:
        return b
    from_c_ab, from_c_ac = wp.dot(ab, p - c), wp.dot(ac, p - c)
    if from_c_ac >= 0.0 and from_c_ab <= from_c_ac:
        return c
    area_c = along_ab * from_b_ac - from_b_ab * along_ac
    if area_c <= 0.0 and along_ab >= 0.0 and from_b_ab <= 0.0:
        return a + (along_ab / (along_ab - from_b_ab)) * ab
    area_b = from_c_ab * along_ac - along_ab * from_c_ac
    if area_b <= 0.0 and along_ac >= 0.0 and from_c_ac <= 0.0:
        return a + (along_ac / (along_ac - from_c_ac)) * ac
    area_a = from_b_ab * from_c_ac - from_c_ab * from_b_ac
    towards_c, towards_b = from_b_ac - from_b_ab, from_c_ab - from_c_ac
    if area_a <= 0.0 and towards_c >= 0.0 and towards_b >= 0.0:
        return b + (towards_c / (towards_c + towards_b)) * (c - b)
    return a + (area_b * ab + area_c * ac) / (area_a + area_b + area_c)


@wp.func
def _normal(
    positions: wp.array[wp.vec3], start: int, faces: wp.array[wp.vec3i], around: wp.array[int], first: int, last: int
) -> wp.vec3:
    """Mean normal of the triangles around a vertex, weighted by their areas."""
    total = wp.vec3()
    for k in range(first, last):
        face = faces[around[k]]
        a = positions[start + face[0]]
        total += wp.cross(positions[start + face[1]] - a, positions[start + face[2]] - a)
    return wp.normalize(total)


@wp.kernel(enable_backward=False)
def find_contacts(
    tree: wp.uint64,
    positions: wp.array[wp.vec3],
    faces: wp.array[wp.vec3i],
    around_start: wp.array[int],
    around: wp.array[int],
    vertex_parts: wp.array[int],
    may_touch: wp.array2d[wp.uint8],
    reaches: wp.array[float],
    limits: Limits,
    part_lowers: wp.array[wp.vec3],
    part_uppers: wp.array[wp.vec3],
    near: wp.array2d[int],
    n_near: wp.array[int],
    triangles: wp.array2d[int],
    heights: wp.array2d[float],
    weights: wp.array2d[float],
) -> None:
    """The triangle that each vertex has a contact with, its height over the plane, the weight; thread (row, vertex).

    See ``ContactSearch``.
    """
    row, vertex = wp.tid()
    n_vertices, n_parts = may_touch.shape[0], may_touch.shape[1]
    start = row * n_vertices
    point = positions[start + vertex]
    place = row * n_parts + vertex_parts[vertex]
    least_misfit = float(1.0)
    most_force = float(0.0)
    normal = wp.vec3()
    around_point = wp.vec3(limits.outside, limits.outside, limits.outside)
    for k in range(n_near[place]):
        other = near[place, k]
        group = row * n_parts + other
        if may_touch[vertex, other] != wp.uint8(0) and box_overlap(
            point - around_point, point + around_point, part_lowers[group], part_uppers[group]
        ):
            if wp.length_sq(normal) == 0.0:
                normal = _normal(positions, start, faces, around, around_start[vertex], around_start[vertex + 1])
            reach = reaches[other]
            misfit = float(1.0)
            height = float(0.0)
            triangle = int(-1)
            box = wp.vec3(reach, reach, reach)
            query = wp.bvh_query_aabb(tree, point - box, point + box, wp.bvh_get_group_root(tree, group))
            found = int(0)
            while wp.bvh_query_next(query, found):
                face = faces[found - row * faces.shape[0]]
                a = positions[start + face[0]]
                b = positions[start + face[1]]
                c = positions[start + face[2]]
                upwards = wp.normalize(wp.cross(b - a, c - a))
                turned = wp.max(0.0, 1.0 + 2.0 * wp.dot(upwards, normal))
                if turned < misfit:
                    offset = point - closest_point(point, a, b, c)
                    squared = wp.length_sq(offset)
                    over = wp.dot(offset, upwards)
                    beside = wp.sqrt(wp.max(0.0, squared - over * over))
                    total = wp.length(wp.vec3(turned, wp.sqrt(squared) / reach, beside / limits.beside))
                    if total < misfit:
                        misfit = total
                        height = over
                        triangle = found - row * faces.shape[0]
            if triangle >= 0 and height <= limits.outside:
                rise = wp.min(1.0, 3.0 * (1.0 - misfit))
                weight = rise * rise * (3.0 - 2.0 * rise)
                force = weight * wp.clamp((limits.clearance - height) / limits.soft, 0.0, 1.0)
                # Of several parts the one that pushes most; where none does, the best fit.
                if force > most_force or (most_force == 0.0 and misfit < least_misfit):
                    most_force = force
                    least_misfit = misfit
                    triangles[row, vertex] = triangle
                    heights[row, vertex] = height
                    weights[row, vertex] = weight


@wp.kernel(enable_backward=False)
def add_contacts(
    slots: wp.array[int],
    pairs: wp.array2d[wp.vec2i],
    n_pairs: wp.array[int],
    weights: wp.array2d[float],
    shape: Shape,
    faces: wp.array[wp.vec3i],
    posed: wp.array2d[wp.vec3],
    to_posed: wp.array2d[wp.vec3],
    energies: wp.array[wp.float64],
) -> None:
    """Energy of each row's contacts (vertex, triangle), and its gradient by vertex; thread (row)."""
    row = wp.tid()
    slot = slots[row]
    total = wp.float64(0.0)
    for place in range(n_pairs[slot]):
        vertex = pairs[slot, place][0]
        face = faces[pairs[slot, place][1]]
        contact = _contact(posed, slot, vertex, face, shape)
        if contact.depth > _ZERO:
            profile = _profile(contact.depth, shape)
            weight = shape.stiffness * wp.float64(weights[slot, place])
            total += weight * profile.energy
            pull = weight * profile.slope * contact.normal
            to_posed[slot, vertex] = to_posed[slot, vertex] - wp.vec3(pull)
            for k in range(3):
                to_posed[slot, face[k]] = to_posed[slot, face[k]] + wp.vec3(contact.to_corners[k] * pull)
    energies[row] = total


@wp.kernel(enable_backward=False)
def add_directions(
    slots: wp.array[int],
    pairs: wp.array2d[wp.vec2i],
    n_pairs: wp.array[int],
    weights: wp.array2d[float],
    groups: wp.array2d[int],
    shape: Shape,
    faces: wp.array[wp.vec3i],
    component_start: wp.array[int],
    component_index: wp.array[int],
    component_shape: wp.array[wp.vec3],
    bones: wp.array2d[int],
    bone_weights: wp.array2d[wp.float32],
    transforms: wp.array3d[wp.float32],
    shaped: wp.array2d[wp.vec3],
    posed: wp.array2d[wp.vec3],
    to_coefficients: wp.array3d[wp.float32],
    to_transforms: wp.array4d[wp.float32],
    curvatures: wp.array2d[float],
) -> None:
    """Sums over each group of contacts of their curvature, and of it times the gradient of the depth.

    Thread (row, group).
    """
    row, group = wp.tid()
    slot = slots[row]
    for place in range(n_pairs[slot]):
        if groups[slot, place] == group:
            vertex = pairs[slot, place][0]
            face = faces[pairs[slot, place][1]]
            contact = _contact(posed, slot, vertex, face, shape)
            if contact.depth > _ZERO:
                curvature = shape.stiffness * wp.float64(weights[slot, place])
                curvature *= _profile(contact.depth, shape).curvature
                curvatures[row, group] = curvatures[row, group] + float(curvature)
                for k in range(4):
                    point = vertex
                    pull = -curvature * contact.normal
                    if k > 0:
                        point = face[k - 1]
                        pull = contact.to_corners[k - 1] * curvature * contact.normal
                    add_point(
                        row, group, slot, point, wp.vec3(pull), component_start, component_index, component_shape,
                        bones, bone_weights, transforms, shaped, to_coefficients, to_transforms,
                    )  # fmt: skip
