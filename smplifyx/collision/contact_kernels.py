"""Warp kernels of contacts: their energies and gradients, directions of their curvature. Import late.

No kernel adds floats atomically: a row's sums have one order, whatever the device and the other rows.
"""

# Kernels are written in Warp's dialect, which only looks like typed Python: int(0) is a variable, 0 a constant.
# mypy: ignore-errors

import warp as wp

from smplifyx.collision.kernels import corners
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
