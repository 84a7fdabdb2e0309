"""Geometry of triangles and boxes, and the arrays of a body, for Warp kernels. Import late: this imports Warp."""

# Kernels are written in Warp's dialect, which only looks like typed Python: int(0) is a variable, 0 a constant.
# mypy: ignore-errors

import warp as wp

#: Two closed triangles collide unless an axis keeps them apart by more than this, relative to the axis' length.
_TOUCH = wp.constant(wp.float64(1e-12))


@wp.struct
class Body:
    """The arrays of ``SparseBody``: how coefficients and bones move each vertex."""

    at_rest: wp.array[wp.vec3]
    component_start: wp.array[int]
    component_index: wp.array[int]
    component_shape: wp.array[wp.vec3]
    bones: wp.array2d[int]
    weights: wp.array2d[wp.float32]


@wp.func
def _interval(axis: wp.vec3d, a: wp.vec3d, b: wp.vec3d, c: wp.vec3d) -> wp.vec2d:
    """Least and greatest coordinate of a triangle along an axis."""
    x, y, z = wp.dot(axis, a), wp.dot(axis, b), wp.dot(axis, c)
    return wp.vec2d(wp.min(x, wp.min(y, z)), wp.max(x, wp.max(y, z)))


@wp.func
def _apart(axis: wp.vec3d, first: wp.mat33d, second: wp.mat33d) -> wp.bool:
    """Whether the axis separates two triangles (rows are corners); an axis of no length separates nothing."""
    one = _interval(axis, first[0], first[1], first[2])
    other = _interval(axis, second[0], second[1], second[2])
    return wp.max(one[0] - other[1], other[0] - one[1]) > _TOUCH * wp.length(axis)


@wp.func
def _apart_in_plane(normal: wp.vec3d, first: wp.mat33d, second: wp.mat33d) -> wp.bool:
    """Separating axes within the plane of ``normal``, across each edge: they decide between coplanar triangles."""
    for i in range(3):
        if _apart(wp.cross(normal, first[(i + 1) % 3] - first[i]), first, second):
            return True
        if _apart(wp.cross(normal, second[(i + 1) % 3] - second[i]), first, second):
            return True
    return False


@wp.func
def _apart_as_lines(first: wp.mat33d, second: wp.mat33d) -> wp.bool:
    """Axes that matter when both triangles are degenerate: along and across segments, and between points."""
    between = (second[0] + second[1] + second[2] - first[0] - first[1] - first[2]) / wp.float64(3.0)
    if _apart(between, first, second):
        return True
    for i in range(3):
        for k in range(2):
            edge = first[(i + 1) % 3] - first[i]
            if k == 1:
                edge = second[(i + 1) % 3] - second[i]
            if _apart(edge, first, second):
                return True
            if _apart(between * wp.dot(edge, edge) - edge * wp.dot(edge, between), first, second):
                return True
            for j in range(3):
                other = second[(j + 1) % 3] - second[j]
                if k == 1:
                    other = first[(j + 1) % 3] - first[j]
                if _apart(wp.cross(edge, wp.cross(edge, other)), first, second):
                    return True
    return False


@wp.func
def triangles_intersect(first: wp.mat33d, second: wp.mat33d) -> wp.bool:
    """Separating-axis test of two closed triangles, degenerate ones included: touching counts as intersecting."""
    # Differences of the corners are all that matters; small numbers keep the products exact.
    origin = first[0]
    zero = wp.vec3d()
    a = wp.matrix_from_rows(zero, first[1] - origin, first[2] - origin)
    b = wp.matrix_from_rows(second[0] - origin, second[1] - origin, second[2] - origin)
    normal_a = wp.cross(a[1] - a[0], a[2] - a[0])
    normal_b = wp.cross(b[1] - b[0], b[2] - b[0])
    if _apart(normal_a, a, b) or _apart(normal_b, a, b):
        return False
    for i in range(3):
        edge = a[(i + 1) % 3] - a[i]
        for j in range(3):
            if _apart(wp.cross(edge, b[(j + 1) % 3] - b[j]), a, b):
                return False
    if _apart_in_plane(normal_a, a, b) or _apart_in_plane(normal_b, a, b):
        return False
    tiny = wp.float64(1e-24)
    size_a = wp.length_sq(a[1] - a[0]) + wp.length_sq(a[2] - a[0])
    size_b = wp.length_sq(b[1] - b[0]) + wp.length_sq(b[2] - b[0])
    flat_a = wp.length_sq(normal_a) <= tiny * size_a * size_a
    flat_b = wp.length_sq(normal_b) <= tiny * size_b * size_b
    if flat_a and flat_b:
        return not _apart_as_lines(a, b)
    return True


@wp.func
def corners(a: wp.vec3, b: wp.vec3, c: wp.vec3) -> wp.mat33d:
    """A triangle for :func:`triangles_intersect`."""
    return wp.matrix_from_rows(wp.vec3d(a), wp.vec3d(b), wp.vec3d(c))


@wp.func
def box_overlap(lower_a: wp.vec3, upper_a: wp.vec3, lower_b: wp.vec3, upper_b: wp.vec3) -> wp.bool:
    """Whether two closed boxes have a point in common."""
    return (
        lower_a[0] <= upper_b[0]
        and lower_b[0] <= upper_a[0]
        and lower_a[1] <= upper_b[1]
        and lower_b[1] <= upper_a[1]
        and lower_a[2] <= upper_b[2]
        and lower_b[2] <= upper_a[2]
    )


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
