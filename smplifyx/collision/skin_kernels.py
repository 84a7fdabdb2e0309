"""Warp kernels that pose single vertices, test pairs of triangles and take gradients back. Import late."""

# Kernels are written in Warp's dialect, which only looks like typed Python: int(0) is a variable, 0 a constant.
# mypy: ignore-errors

import warp as wp

from smplifyx.collision.kernels import box_overlap, corners, triangles_intersect


@wp.func
def _turned(transforms: wp.array3d[wp.float32], row: int, bone: int, point: wp.vec3) -> wp.vec3:
    """A point moved by one bone; the transform's rows are one after the other."""
    return wp.vec3(
        transforms[row, bone, 0] * point[0]
        + transforms[row, bone, 1] * point[1]
        + transforms[row, bone, 2] * point[2]
        + transforms[row, bone, 3],
        transforms[row, bone, 4] * point[0]
        + transforms[row, bone, 5] * point[1]
        + transforms[row, bone, 6] * point[2]
        + transforms[row, bone, 7],
        transforms[row, bone, 8] * point[0]
        + transforms[row, bone, 9] * point[1]
        + transforms[row, bone, 10] * point[2]
        + transforms[row, bone, 11],
    )


@wp.kernel(enable_backward=False)
def skin(
    slots: wp.array[int],
    vertices: wp.array2d[int],
    n_vertices: wp.array[int],
    at_rest: wp.array[wp.vec3],
    component_start: wp.array[int],
    component_index: wp.array[int],
    component_shape: wp.array[wp.vec3],
    bones: wp.array2d[int],
    weights: wp.array2d[wp.float32],
    coefficients: wp.array2d[wp.float32],
    transforms: wp.array3d[wp.float32],
    shaped: wp.array2d[wp.vec3],
    posed: wp.array2d[wp.vec3],
) -> None:
    """Shapes and poses the listed vertices of each row; thread (row, place in the list)."""
    row, place = wp.tid()
    slot = slots[row]
    if place >= n_vertices[slot]:
        return
    vertex = vertices[slot, place]
    point = at_rest[vertex]
    for k in range(component_start[vertex], component_start[vertex + 1]):
        point += coefficients[row, component_index[k]] * component_shape[k]
    moved = wp.vec3()
    for k in range(bones.shape[1]):
        if weights[vertex, k] > 0.0:
            moved += weights[vertex, k] * _turned(transforms, row, bones[vertex, k], point)
    shaped[slot, vertex] = point
    posed[slot, vertex] = moved


@wp.kernel(enable_backward=False)
def skin_gradient(
    rows: wp.array[int],
    slots: wp.array[int],
    vertices: wp.array[int],
    to_posed: wp.array[wp.vec3],
    component_start: wp.array[int],
    component_index: wp.array[int],
    component_shape: wp.array[wp.vec3],
    bones: wp.array2d[int],
    weights: wp.array2d[wp.float32],
    transforms: wp.array3d[wp.float32],
    shaped: wp.array2d[wp.vec3],
    to_coefficients: wp.array2d[wp.float32],
    to_transforms: wp.array3d[wp.float32],
) -> None:
    """Adds what a gradient for a posed vertex means for its row's coefficients and bones; thread (entry)."""
    entry = wp.tid()
    row = rows[entry]
    vertex = vertices[entry]
    gradient = to_posed[entry]
    point = shaped[slots[row], vertex]
    to_shaped = wp.vec3()
    for k in range(bones.shape[1]):
        weight = weights[vertex, k]
        if weight > 0.0:
            bone = bones[vertex, k]
            for i in range(3):
                pull = weight * gradient[i]
                for j in range(3):
                    to_shaped[j] += pull * transforms[row, bone, 4 * i + j]
                    wp.atomic_add(to_transforms, row, bone, 4 * i + j, pull * point[j])
                wp.atomic_add(to_transforms, row, bone, 4 * i + 3, pull)
    for k in range(component_start[vertex], component_start[vertex + 1]):
        wp.atomic_add(to_coefficients, row, component_index[k], wp.dot(to_shaped, component_shape[k]))


@wp.kernel(enable_backward=False)
def intersect(
    slots: wp.array[int],
    pairs: wp.array2d[wp.vec2i],
    n_pairs: wp.array[int],
    faces: wp.array[wp.vec3i],
    posed: wp.array2d[wp.vec3],
    hits: wp.array2d[wp.vec2i],
    n_hits: wp.array[int],
) -> None:
    """Keeps the candidates of each row that intersect; thread (row, place in the list)."""
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
    apart = not box_overlap(
        wp.min(a, wp.min(b, c)), wp.max(a, wp.max(b, c)), wp.min(d, wp.min(e, f)), wp.max(d, wp.max(e, f))
    )
    if apart:
        return
    if triangles_intersect(corners(a, b, c), corners(d, e, f)):
        hits[row, wp.atomic_add(n_hits, row, 1)] = pair
