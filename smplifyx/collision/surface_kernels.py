"""Warp kernels of winding numbers of surfaces and distances to them. Import late: this imports Warp."""

# Kernels are written in Warp's dialect, which only looks like typed Python: int(0) is a variable, 0 a constant.
# mypy: ignore-errors
# ruff: noqa: SIM102, UP018

import warp as wp

from smplifyx.collision.kernels import closest_point

#: Distance, in radii of a cluster, beyond which its triangles count as one.
_FAR = wp.constant(2.0)
#: Winding numbers closer than this to the one they are compared with are summed from single triangles.
_DOUBT = wp.constant(0.1)
_TWO_PI = wp.constant(2.0 * wp.pi)


@wp.struct
class Surface:
    """A posed surface whose triangles are grouped in clusters, see ``TriangleClusters``.

    Attributes:
        vertices: [V] metres.
        triangles: [F] in the order of the clusters.
        starts: [K + 1] first triangle of each cluster.
        parts: [K] part of each cluster.
        centres, radii, areas: [K] centre, radius about it, and sum of the triangles' area vectors.
    """

    vertices: wp.array[wp.vec3]
    triangles: wp.array[wp.vec3i]
    starts: wp.array[int]
    parts: wp.array[int]
    centres: wp.array[wp.vec3]
    radii: wp.array[float]
    areas: wp.array[wp.vec3]


@wp.kernel(enable_backward=False)
def bound_clusters(surface: Surface) -> None:
    """Set centres, radii and areas from the vertices; thread (cluster)."""
    cluster = wp.tid()
    area = wp.vec3()
    centre = wp.vec3()
    total = float(0.0)
    for k in range(surface.starts[cluster], surface.starts[cluster + 1]):
        face = surface.triangles[k]
        a, b, c = surface.vertices[face[0]], surface.vertices[face[1]], surface.vertices[face[2]]
        own = 0.5 * wp.cross(b - a, c - a)
        size = wp.length(own) + 1.0e-12  # a cluster of triangles without an area has a centre, too
        area += own
        centre += size / 3.0 * (a + b + c)
        total += size
    centre = centre / total
    radius = float(0.0)
    for k in range(surface.starts[cluster], surface.starts[cluster + 1]):
        face = surface.triangles[k]
        for corner in range(3):
            radius = wp.max(radius, wp.length(surface.vertices[face[corner]] - centre))
    surface.centres[cluster] = centre
    surface.radii[cluster] = radius
    surface.areas[cluster] = area


@wp.func
def _plus_solid_angle(sum: wp.vec3, a: wp.vec3, b: wp.vec3, c: wp.vec3) -> wp.vec3:
    """Add half the signed solid angle of a triangle, seen from the origin (van Oosterom and Strackee 1983).

    A sum of angles is kept as its cosine, its sine, and the full turns to add, which saves an arc tangent each.
    """
    x, y, z = wp.length(a), wp.length(b), wp.length(c)
    cosine = x * y * z + wp.dot(a, b) * z + wp.dot(b, c) * x + wp.dot(c, a) * y
    sine = wp.dot(a, wp.cross(b, c))
    size = wp.sqrt(cosine * cosine + sine * sine)
    if size == 0.0:  # a corner is the origin
        return sum
    result = wp.vec3(sum[0] * cosine - sum[1] * sine, sum[0] * sine + sum[1] * cosine, sum[2] * size) / size
    if sum[1] >= 0.0 and sine > 0.0 and result[1] < 0.0:
        result[2] = sum[2] + 1.0
    elif sum[1] < 0.0 and sine < 0.0 and result[1] >= 0.0:
        result[2] = sum[2] - 1.0
    else:
        result[2] = sum[2]
    return result


@wp.func
def _winding_number(surface: Surface, point: wp.vec3, counts: wp.array[wp.uint8], far: float) -> float:
    """Winding number of those parts that count; clusters further away than ``far`` radii count as one triangle."""
    near = wp.vec3(1.0, 0.0, 0.0)
    total = float(0.0)
    for cluster in range(surface.parts.shape[0]):
        if counts[surface.parts[cluster]] != wp.uint8(0):
            offset = surface.centres[cluster] - point
            distance = wp.length(offset)
            if distance > far * surface.radii[cluster]:
                total += 0.5 * wp.dot(surface.areas[cluster], offset) / (distance * distance * distance)
            else:
                for k in range(surface.starts[cluster], surface.starts[cluster + 1]):
                    face = surface.triangles[k]
                    near = _plus_solid_angle(
                        near,
                        surface.vertices[face[0]] - point,
                        surface.vertices[face[1]] - point,
                        surface.vertices[face[2]] - point,
                    )
    return near[2] + (wp.atan2(near[1], near[0]) + total) / _TWO_PI


@wp.func
def _is_around(surface: Surface, point: wp.vec3, counts: wp.array[wp.uint8], number: float) -> wp.bool:
    """Whether the winding number is greater than ``number``."""
    winding = _winding_number(surface, point, counts, _FAR)
    if wp.abs(winding - number) < _DOUBT:
        winding = _winding_number(surface, point, counts, wp.inf)
    return winding > number


@wp.func
def _distance(surface: Surface, point: wp.vec3, counts: wp.array[wp.uint8]) -> float:
    """Distance to the triangles of the parts that count; infinite without any."""
    least = float(wp.inf)
    for cluster in range(surface.parts.shape[0]):
        if counts[surface.parts[cluster]] != wp.uint8(0):
            if wp.length(surface.centres[cluster] - point) - surface.radii[cluster] < least:
                for k in range(surface.starts[cluster], surface.starts[cluster + 1]):
                    face = surface.triangles[k]
                    nearest = closest_point(
                        wp.vec3(),
                        surface.vertices[face[0]] - point,
                        surface.vertices[face[1]] - point,
                        surface.vertices[face[2]] - point,
                    )
                    least = wp.min(least, wp.length(nearest))
    return least


@wp.kernel(enable_backward=False)
def mark_surrounded(
    surface: Surface,
    points: wp.array[wp.vec3],
    counts: wp.array2d[wp.uint8],
    number: float,
    surrounded: wp.array[wp.bool],
) -> None:
    """Whether the parts that count have a winding number greater than ``number``; thread (point)."""
    row = wp.tid()
    surrounded[row] = _is_around(surface, points[row], counts[row], number)


@wp.kernel(enable_backward=False)
def find_distances(
    surface: Surface,
    points: wp.array[wp.vec3],
    counts: wp.array2d[wp.uint8],
    distances: wp.array[float],
) -> None:
    """Distance to the parts that count; thread (point)."""
    row = wp.tid()
    distances[row] = _distance(surface, points[row], counts[row])
