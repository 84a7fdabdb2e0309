"""Warp kernels of contacts: their energies and gradients, directions of their curvature. Import late.

No kernel adds floats atomically: a row's sums have one order, whatever the device and the other rows.
"""

# Kernels are written in Warp's dialect, which only looks like typed Python: int(0) is a variable, 0 a constant.
# mypy: ignore-errors

import warp as wp

from smplifyx.collision.kernels import Body, corners
from smplifyx.collision.term_kernels import FLATNESS

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
def _contact(posed: wp.array2d[wp.vec3], slot: int, points: wp.vec4i, shape: Shape) -> Contact:
    """Contact of the first of four points with the triangle of the others; one without a plane is not deep."""
    value = Contact()
    triangle = corners(posed[slot, points[1]], posed[slot, points[2]], posed[slot, points[3]])
    b = triangle[1] - triangle[0]
    c = triangle[2] - triangle[0]
    offset = wp.vec3d(posed[slot, points[0]]) - triangle[0]
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
def add_contacts(
    slots: wp.array[int],
    points: wp.array2d[wp.vec4i],
    n_contacts: wp.array[int],
    weights: wp.array2d[float],
    shape: Shape,
    posed: wp.array2d[wp.vec3],
    to_posed: wp.array2d[wp.vec3],
    energies: wp.array[wp.float64],
) -> None:
    """Energy of each row's contacts (vertex, corners of the triangle), and its gradient by vertex; thread (row)."""
    row = wp.tid()
    slot = slots[row]
    total = wp.float64(0.0)
    for place in range(n_contacts[slot]):
        four = points[slot, place]
        contact = _contact(posed, slot, four, shape)
        if contact.depth > _ZERO:
            profile = _profile(contact.depth, shape)
            weight = shape.stiffness * wp.float64(weights[slot, place])
            total += weight * profile.energy
            pull = weight * profile.slope * contact.normal
            to_posed[slot, four[0]] = to_posed[slot, four[0]] - wp.vec3(pull)
            for k in range(3):
                corner = four[k + 1]
                to_posed[slot, corner] = to_posed[slot, corner] + wp.vec3(contact.to_corners[k] * pull)
    energies[row] = total


@wp.kernel(enable_backward=False)
def add_directions(
    slots: wp.array[int],
    vertices: wp.array2d[int],
    points: wp.array2d[wp.vec4i],
    n_contacts: wp.array[int],
    weights: wp.array2d[float],
    groups: wp.array2d[int],
    shape: Shape,
    body: Body,
    rotations: wp.array2d[wp.mat33],
    rest_joints: wp.array2d[wp.vec3],
    shaped: wp.array2d[wp.vec3],
    posed: wp.array2d[wp.vec3],
    to_turns: wp.array3d[wp.vec3],
    to_positions: wp.array3d[wp.vec3],
    to_rest_joints: wp.array3d[wp.vec3],
    to_shape: wp.array3d[float],
) -> None:
    """For each group of contacts the sum of curvature times gradient of the depth, by the root of all its curvature.

    Gradients for turns of the bones in the world, their positions, the joints at rest and the shape; thread (row,
    group).
    """
    row, group = wp.tid()
    slot = slots[row]
    total = wp.float64(0.0)
    for place in range(n_contacts[slot]):
        if groups[slot, place] == group:
            four = points[slot, place]
            contact = _contact(posed, slot, four, shape)
            if contact.depth > _ZERO:
                curvature = shape.stiffness * wp.float64(weights[slot, place])
                curvature *= _profile(contact.depth, shape).curvature
                total += curvature
                for k in range(4):
                    at = four[k]
                    vertex = vertices[slot, at]
                    gradient = wp.vec3(-curvature * contact.normal)
                    if k > 0:
                        gradient = wp.vec3(contact.to_corners[k - 1] * curvature * contact.normal)
                    to_shaped = wp.vec3()
                    for i in range(body.bones.shape[1]):
                        weight = body.weights[vertex, i]
                        if weight <= 0.0:
                            break
                        bone = body.bones[vertex, i]
                        pull = weight * gradient
                        arm = rotations[row, bone] * (shaped[slot, at] - rest_joints[row, bone])
                        back = wp.transpose(rotations[row, bone]) * pull
                        to_shaped += back
                        to_turns[row, group, bone] = to_turns[row, group, bone] + wp.cross(arm, pull)
                        to_positions[row, group, bone] = to_positions[row, group, bone] + pull
                        to_rest_joints[row, group, bone] = to_rest_joints[row, group, bone] - back
                    for i in range(body.component_start[vertex], body.component_start[vertex + 1]):
                        number = body.component_index[i]
                        if number < to_shape.shape[2]:
                            to_shape[row, group, number] += wp.dot(to_shaped, body.component_shape[i])
    if total > _ZERO:
        factor = float(_ONE / wp.sqrt(total))
        for bone in range(to_turns.shape[2]):
            to_turns[row, group, bone] = factor * to_turns[row, group, bone]
            to_positions[row, group, bone] = factor * to_positions[row, group, bone]
            to_rest_joints[row, group, bone] = factor * to_rest_joints[row, group, bone]
        for number in range(to_shape.shape[2]):
            to_shape[row, group, number] = factor * to_shape[row, group, number]
