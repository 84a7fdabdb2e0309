"""Warp kernels of the collision term: pose listed vertices, energies and gradients of pairs. Import late.

No kernel adds floats atomically: a row's sums have one order, whatever the device and the other rows.
"""

# Kernels are written in Warp's dialect, which only looks like typed Python: int(0) is a variable, 0 a constant.
# mypy: ignore-errors
# ruff: noqa: SIM102

import warp as wp

from smplifyx.collision.kernels import Body, box_overlap, corners, triangles_intersect

#: Triangles whose squared double area is less than this fraction of the product of two squared sides are flat.
FLATNESS = wp.constant(wp.float64(1e-10))
_ZERO = wp.constant(wp.float64(0.0))
_ONE = wp.constant(wp.float64(1.0))
_TWO = wp.constant(wp.float64(2.0))
_HALF = wp.constant(wp.float64(0.5))


@wp.struct
class Cones:
    """Shape of the distance field: height (metres), exponent, and whether vertices above the triangle count."""

    height: wp.float64
    exponent: int
    penalize_outside: int


@wp.struct
class FieldValue:
    """Energy of one direction of a pair, and gradients for the three vertices and the triangle (rows: corners)."""

    energy: wp.float64
    to_vertices: wp.mat33d
    to_triangle: wp.mat33d


@wp.struct
class PairValue:
    """Energy of a pair and gradients for the corners of both triangles (rows: corners)."""

    energy: wp.float64
    to_first: wp.mat33d
    to_second: wp.mat33d


@wp.func
def _field_energy(vertices: wp.mat33d, triangle: wp.mat33d, cones: Cones) -> FieldValue:
    """Energy of three vertices in the conic field of a triangle; a triangle without an area has no field."""
    value = FieldValue()
    # Circumcircle: centre ``third corner + arm``, radius ``|arm|``, normal along ``cross``.
    a = triangle[0] - triangle[2]
    b = triangle[1] - triangle[2]
    cross = wp.cross(a, b)
    squared_a, squared_b, squared = wp.length_sq(a), wp.length_sq(b), wp.length_sq(cross)
    if squared <= FLATNESS * squared_a * squared_b:
        return value
    span = squared_a * b - squared_b * a
    arm = wp.cross(span, cross) / (_TWO * squared)
    normal = cross / wp.sqrt(squared)
    radius = wp.length(arm)
    sigma = cones.height

    to_origin = wp.vec3d()
    to_normal = wp.vec3d()
    to_radius = wp.float64(0.0)
    for k in range(3):
        offset = vertices[k] - triangle[2] - arm
        height = wp.dot(offset, normal)
        from_axis = offset - height * normal
        distance = wp.length(from_axis)
        narrowing = _ONE - height / sigma
        width = radius * narrowing
        if height < sigma and distance < width and (cones.penalize_outside != 0 or height < _ZERO):
            # On the axis the field is 0 at the tip, 1 at depth sigma, and grows with the depth from there on.
            intensity = _ONE - sigma - height
            slope = -_ONE
            if height > -sigma:
                curvature = (_ONE - _TWO * sigma) / (wp.float64(4.0) * sigma * sigma)
                constant = (wp.float64(3.0) - _TWO * sigma) / wp.float64(4.0)
                intensity = constant - height / (_TWO * sigma) - curvature * height * height
                slope = -_HALF / sigma - _TWO * curvature * height
            closeness = _ONE - distance / width
            field = closeness * intensity
            power = wp.float64(1.0)
            for _ in range(cones.exponent - 1):
                power *= field
            value.energy += power * field
            to_field = wp.float64(cones.exponent) * power
            to_width = to_field * intensity * distance / (width * width)
            to_height = to_field * closeness * slope - to_width * radius / sigma
            to_offset = to_height * normal
            to_normal += to_height * offset
            if distance > _ZERO:
                outwards = from_axis * (-to_field * intensity / (width * distance))
                to_offset += outwards
                to_normal -= height * outwards
            to_radius += to_width * narrowing
            to_origin -= to_offset
            value.to_vertices[k] = to_offset

    to_arm = to_origin
    if radius > _ZERO:
        to_arm += arm * (to_radius / radius)
    to_product = to_arm / (_TWO * squared)
    to_span = wp.cross(cross, to_product)
    to_squared = -wp.dot(to_arm, arm) / squared - _HALF * wp.dot(to_normal, normal) / squared
    to_cross = wp.cross(to_product, span) + to_normal / wp.sqrt(squared) + _TWO * to_squared * cross
    to_a = wp.cross(b, to_cross) - squared_b * to_span + (_TWO * wp.dot(to_span, b)) * a
    to_b = wp.cross(to_cross, a) + squared_a * to_span - (_TWO * wp.dot(to_span, a)) * b
    value.to_triangle = wp.matrix_from_rows(to_a, to_b, to_origin - to_a - to_b)
    return value


@wp.func
def pair_energy(first: wp.mat33d, second: wp.mat33d, cones: Cones) -> PairValue:
    """Energy and gradient of a pair that is taken to collide: each triangle's corners in the other's field."""
    # Small numbers keep the products exact.
    origin = first[0]
    zero = wp.vec3d()
    a = wp.matrix_from_rows(zero, first[1] - origin, first[2] - origin)
    b = wp.matrix_from_rows(second[0] - origin, second[1] - origin, second[2] - origin)
    one = _field_energy(a, b, cones)
    other = _field_energy(b, a, cones)
    value = PairValue()
    value.energy = one.energy + other.energy
    value.to_first = one.to_vertices + other.to_triangle
    value.to_second = other.to_vertices + one.to_triangle
    return value


@wp.kernel(enable_backward=False)
def skin(
    slots: wp.array[int],
    vertices: wp.array2d[int],
    n_vertices: wp.array[int],
    by_place: int,
    n_lanes: int,
    body: Body,
    coefficients: wp.array2d[wp.float32],
    rotations: wp.array2d[wp.mat33],
    positions: wp.array2d[wp.vec3],
    rest_joints: wp.array2d[wp.vec3],
    shaped: wp.array2d[wp.vec3],
    posed: wp.array2d[wp.vec3],
) -> None:
    """Shape and pose the listed vertices of each row; thread (row, lane), which takes each ``n_lanes``-th of them."""
    row, lane = wp.tid()
    slot = slots[row]
    for place in range(lane, n_vertices[slot], n_lanes):
        vertex = vertices[slot, place]
        point = body.at_rest[vertex]
        for k in range(body.component_start[vertex], body.component_start[vertex + 1]):
            point += coefficients[row, body.component_index[k]] * body.component_shape[k]
        moved = wp.vec3()
        for k in range(body.bones.shape[1]):
            weight = body.weights[vertex, k]
            if weight <= 0.0:
                break  # the largest come first
            bone = body.bones[vertex, k]
            moved += weight * (rotations[row, bone] * (point - rest_joints[row, bone]) + positions[row, bone])
        at = wp.where(by_place != 0, place, vertex)
        shaped[slot, at] = point
        posed[slot, at] = moved


@wp.func
def _posed_triangle(posed: wp.array2d[wp.vec3], slot: int, face: wp.vec3i) -> wp.mat33d:
    return corners(posed[slot, face[0]], posed[slot, face[1]], posed[slot, face[2]])


@wp.kernel(enable_backward=False)
def test_pairs(
    slots: wp.array[int],
    pairs: wp.array2d[wp.vec2i],
    n_pairs: wp.array[int],
    faces: wp.array[wp.vec3i],
    posed: wp.array2d[wp.vec3],
    meets: wp.array2d[wp.uint8],
) -> None:
    """Mark the pairs of each row that intersect; thread (row, place in the list)."""
    row, place = wp.tid()
    slot = slots[row]
    if place >= n_pairs[slot]:
        return
    pair = pairs[slot, place]
    first = faces[pair[0]]
    second = faces[pair[1]]
    a = posed[slot, first[0]]
    b = posed[slot, first[1]]
    c = posed[slot, first[2]]
    d = posed[slot, second[0]]
    e = posed[slot, second[1]]
    f = posed[slot, second[2]]
    near = box_overlap(
        wp.min(a, wp.min(b, c)), wp.max(a, wp.max(b, c)), wp.min(d, wp.min(e, f)), wp.max(d, wp.max(e, f))
    )
    if near and triangles_intersect(corners(a, b, c), corners(d, e, f)):
        meets[row, place] = wp.uint8(1)


@wp.kernel(enable_backward=False)
def add_pairs(
    slots: wp.array[int],
    pairs: wp.array2d[wp.vec2i],
    n_pairs: wp.array[int],
    meets: wp.array2d[wp.uint8],
    faces: wp.array[wp.vec3i],
    posed: wp.array2d[wp.vec3],
    cones: Cones,
    to_posed: wp.array2d[wp.vec3],
    energies: wp.array[wp.float64],
) -> None:
    """Energy of each row's pairs that intersect, and its gradient by vertex; thread (row)."""
    row = wp.tid()
    slot = slots[row]
    total = wp.float64(0.0)
    for place in range(n_pairs[slot]):
        if meets[row, place] != wp.uint8(0):
            first = faces[pairs[slot, place][0]]
            second = faces[pairs[slot, place][1]]
            value = pair_energy(_posed_triangle(posed, slot, first), _posed_triangle(posed, slot, second), cones)
            if value.energy > _ZERO:
                total += value.energy
                for k in range(3):
                    to_posed[slot, first[k]] = to_posed[slot, first[k]] + wp.vec3(value.to_first[k])
                    to_posed[slot, second[k]] = to_posed[slot, second[k]] + wp.vec3(value.to_second[k])
    energies[row] = total


@wp.kernel(enable_backward=False)
def add_vertices(
    slots: wp.array[int],
    vertices: wp.array2d[int],
    n_vertices: wp.array[int],
    by_place: int,
    n_lanes: int,
    body: Body,
    rotations: wp.array2d[wp.mat33],
    rest_joints: wp.array2d[wp.vec3],
    shaped: wp.array2d[wp.vec3],
    to_posed: wp.array2d[wp.vec3],
    to_coefficients: wp.array3d[wp.float32],
    to_rotations: wp.array3d[wp.mat33],
    to_positions: wp.array3d[wp.vec3],
    to_rest_joints: wp.array3d[wp.vec3],
) -> None:
    """Propagate gradients for posed vertices to coefficients and bones, and clear them; thread (row, lane).

    A lane takes every ``n_lanes``-th vertex and has sums of its own.
    """
    row, lane = wp.tid()
    slot = slots[row]
    for place in range(lane, n_vertices[slot], n_lanes):
        vertex = vertices[slot, place]
        at = wp.where(by_place != 0, place, vertex)
        gradient = to_posed[slot, at]
        if gradient[0] != 0.0 or gradient[1] != 0.0 or gradient[2] != 0.0:
            to_posed[slot, at] = wp.vec3()
            to_shaped = wp.vec3()
            for k in range(body.bones.shape[1]):
                weight = body.weights[vertex, k]
                if weight <= 0.0:
                    break
                bone = body.bones[vertex, k]
                pull = weight * gradient
                back = wp.transpose(rotations[row, bone]) * pull
                to_shaped += back
                arm = shaped[slot, at] - rest_joints[row, bone]
                to_rotations[row, lane, bone] = to_rotations[row, lane, bone] + wp.outer(pull, arm)
                to_positions[row, lane, bone] = to_positions[row, lane, bone] + pull
                to_rest_joints[row, lane, bone] = to_rest_joints[row, lane, bone] - back
            for k in range(body.component_start[vertex], body.component_start[vertex + 1]):
                number = body.component_index[k]
                to_coefficients[row, lane, number] += wp.dot(to_shaped, body.component_shape[k])


@wp.kernel(enable_backward=False)
def loose_pairs(
    first: wp.array[wp.mat33d],
    second: wp.array[wp.mat33d],
    only_meeting: int,
    cones: Cones,
    energies: wp.array[wp.float64],
    to_first: wp.array[wp.mat33d],
    to_second: wp.array[wp.mat33d],
) -> None:
    """Energies and gradients of pairs that are no part of a body; thread (pair)."""
    pair = wp.tid()
    if only_meeting != 0:
        if not triangles_intersect(first[pair], second[pair]):
            return
    value = pair_energy(first[pair], second[pair], cones)
    energies[pair] = value.energy
    to_first[pair] = value.to_first
    to_second[pair] = value.to_second
