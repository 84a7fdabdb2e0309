"""Warp kernels that bound clusters of triangles of posed meshes, and what may be close to them. Import late.

The loops over 16 clusters or triangles are plain C++, which compilers turn into vector instructions on a CPU.
"""

# Kernels are written in Warp's dialect, which only looks like typed Python: int(0) is a variable, 0 a constant.
# mypy: ignore-errors
# ruff: noqa: RUF046, SIM102, UP018

import warp as wp

from smplifyx.collision.clusters import LANES
from smplifyx.collision.kernels import box_overlap

_FAR = wp.constant(1e30)
#: Start of the C++ below.
_HEADER = f"constexpr int LANES = {LANES};"
#: C++ that finds the lowest bound of ``least`` [LANES] at the places marked in ``left``; -1 if it exceeds ``most``.
#: One number holds a bound, rounded down, and its place, so that the loop is a minimum of whole numbers.
_LOWEST = """
    constexpr float SCALE = 4194304.0f;
    int lowest = 0x7fffffff;
    for (int k = 0; k < LANES; ++k) {
      const int key = (int)(SCALE * (least[k] < 8.0f ? least[k] : 8.0f)) * LANES + k;
      const int allowed = left >> k & 1 ? key : 0x7fffffff;
      lowest = allowed < lowest ? allowed : lowest;
    }
    return lowest / LANES <= (int)(SCALE * most) ? lowest % LANES : -1;
"""


@wp.struct
class Limits:
    """Distances of the search, metres: see ``ContactShape``; ``outside`` is the greatest height of a vertex."""

    outside: float
    beside: float
    clearance: float
    soft: float


@wp.struct
class Mesh:
    """The triangles in clusters, and their vertices: see ``TriangleClusters``.

    ``faces`` are in the order of the clusters; ``around`` lists the places of the triangles around each vertex.
    ``may_touch`` is indexed by part and owned vertex, ``reaches`` by part.
    """

    faces: wp.array[wp.vec3i]
    triangles: wp.array[int]
    starts: wp.array[int]
    part_starts: wp.array[int]
    vertices: wp.array[int]
    vertex_starts: wp.array[int]
    owned: wp.array[int]
    owned_starts: wp.array[int]
    parts: wp.array[int]
    around: wp.array[int]
    around_starts: wp.array[int]
    colliding: wp.array2d[wp.uint8]
    may_touch: wp.array2d[wp.uint8]
    reaches: wp.array[float]


@wp.struct
class Box:
    """Two corners of a box along the axes."""

    lower: wp.vec3
    upper: wp.vec3


@wp.struct
class Work:
    """Arrays of each of the meshes that are searched at the same time.

    The boxes of clusters [6, K + LANES] and parts; the parts near each part; normal, centre and radius of the
    triangles of each cluster [K, 7, LANES]. Of each owned vertex the normal (0: not known yet), and of one other part
    the triangle that fits it best, by its place in the order of clusters. A vertex that looks for none has misfit 0.
    """

    boxes: wp.array3d[float]
    part_boxes: wp.array2d[Box]
    near: wp.array3d[int]
    n_near: wp.array2d[int]
    bounds: wp.array4d[float]
    normals: wp.array2d[wp.vec3]
    misfits: wp.array2d[float]
    heights: wp.array2d[float]
    triangles: wp.array2d[int]


@wp.func
def widened(box: Box, reach: float) -> Box:
    """A box with all sides further out by the reach."""
    by = wp.vec3(reach, reach, reach)
    return Box(box.lower - by, box.upper + by)


@wp.func
def meet(one: Box, other: Box) -> wp.bool:
    """Whether two boxes have a point in common."""
    return box_overlap(one.lower, one.upper, other.lower, other.upper)


@wp.func
def cluster_box(work: Work, slot: int, cluster: int) -> Box:
    """The box of a cluster."""
    return Box(
        wp.vec3(work.boxes[slot, 0, cluster], work.boxes[slot, 1, cluster], work.boxes[slot, 2, cluster]),
        wp.vec3(work.boxes[slot, 3, cluster], work.boxes[slot, 4, cluster], work.boxes[slot, 5, cluster]),
    )


@wp.func_native(
    """
    const float* const points = (const float*)posed.data + (size_t)row * posed.shape[1] * 3;
    const float* p = points + 3 * vertices.data[first];
    float low_x = p[0], low_y = p[1], low_z = p[2], high_x = p[0], high_y = p[1], high_z = p[2];
    for (int k = first + 1; k < end; ++k) {
      p = points + 3 * vertices.data[k];
      low_x = p[0] < low_x ? p[0] : low_x; high_x = p[0] > high_x ? p[0] : high_x;
      low_y = p[1] < low_y ? p[1] : low_y; high_y = p[1] > high_y ? p[1] : high_y;
      low_z = p[2] < low_z ? p[2] : low_z; high_z = p[2] > high_z ? p[2] : high_z;
    }
    const int stride = boxes.shape[2];
    float* const out = boxes.data + (size_t)slot * 6 * stride + cluster;
    out[0] = low_x; out[stride] = low_y; out[2 * stride] = low_z;
    out[3 * stride] = high_x; out[4 * stride] = high_y; out[5 * stride] = high_z;
    """
)
def _bound_cluster(
    posed: wp.array2d[wp.vec3],
    row: int,
    vertices: wp.array[int],
    first: int,
    end: int,
    boxes: wp.array3d[float],
    slot: int,
    cluster: int,
):
    """Set the box of a cluster."""
    ...


@wp.func_native(
    _HEADER
    + """
    const int stride = boxes.shape[2];
    const float* const p = boxes.data + (size_t)slot * 6 * stride + first;
    const float low_x = box.lower[0], low_y = box.lower[1], low_z = box.lower[2];
    const float high_x = box.upper[0], high_y = box.upper[1], high_z = box.upper[2];
    int marks = 0;
    for (int k = 0; k < LANES; ++k) {
      const bool meets = (p[k] <= high_x) & (p[stride + k] <= high_y) & (p[2 * stride + k] <= high_z)
        & (p[3 * stride + k] >= low_x) & (p[4 * stride + k] >= low_y) & (p[5 * stride + k] >= low_z);
      marks |= meets ? 1 << k : 0;
    }
    return marks;
    """
)
def meeting_clusters(boxes: wp.array3d[float], slot: int, first: int, box: Box) -> int:
    """Those of ``LANES`` clusters from ``first`` on, one a bit, whose box meets another one."""
    ...


@wp.func_native(
    _HEADER
    + """
    const float px = point[0], py = point[1], pz = point[2];
    const int stride = boxes.shape[2];
    const float* const p = boxes.data + (size_t)slot * 6 * stride + first;
    float least[LANES];
    for (int k = 0; k < LANES; ++k) {
      const float low_x = p[k] - px, low_y = p[stride + k] - py, low_z = p[2 * stride + k] - pz;
      const float high_x = px - p[3 * stride + k], high_y = py - p[4 * stride + k], high_z = pz - p[5 * stride + k];
      float x = low_x > high_x ? low_x : high_x;
      float y = low_y > high_y ? low_y : high_y;
      float z = low_z > high_z ? low_z : high_z;
      x = x > 0.0f ? x : 0.0f; y = y > 0.0f ? y : 0.0f; z = z > 0.0f ? z : 0.0f;
      least[k] = (x * x + y * y + z * z) * per_reach;
    }
    """
    + _LOWEST
)
def nearest_cluster(
    boxes: wp.array3d[float], slot: int, first: int, point: wp.vec3, per_reach: float, most: float, left: int
) -> int:
    """The nearest of the clusters ``left`` of ``LANES`` from ``first`` on, by their boxes.

    -1 if even its squared distance, times ``per_reach``, is above ``most``.
    """
    ...


@wp.func_native(
    _HEADER
    + """
    const float px = point[0], py = point[1], pz = point[2], ux = normal[0], uy = normal[1], uz = normal[2];
    const float* const p = bounds.data + ((size_t)slot * bounds.shape[1] + cluster) * 7 * LANES;
    const float known = ux != 0.0f || uy != 0.0f || uz != 0.0f ? 1.0f : 0.0f;
    float least[LANES];
    for (int k = 0; k < LANES; ++k) {
      const float nx = p[k], ny = p[LANES + k], nz = p[2 * LANES + k];
      const float dx = px - p[3 * LANES + k], dy = py - p[4 * LANES + k], dz = pz - p[5 * LANES + k];
      const float height = dx * nx + dy * ny + dz * nz;
      const float squared = height * height;
      const float within = dx * dx + dy * dy + dz * dz - squared;
      float aside = wp::sqrt(within > 0.0f ? within : 0.0f) - p[6 * LANES + k];
      aside = aside > 0.0f ? aside : 0.0f;
      float turned = known * (1.0f + 2.0f * (nx * ux + ny * uy + nz * uz));
      turned = turned > 0.0f ? turned : 0.0f;
      least[k] = squared * per_reach + aside * aside * per_beside + turned * turned;
    }
    """
    + _LOWEST
)
def most_promising(
    bounds: wp.array4d[float],
    slot: int,
    cluster: int,
    point: wp.vec3,
    normal: wp.vec3,
    per_reach: float,
    per_beside: float,
    most: float,
    left: int,
) -> int:
    """The triangle of those ``left`` of a cluster whose squared misfit has the lowest bound; -1 if above ``most``.

    A triangle lies in a disk of its radius in its plane: a point is at least as far from it as from the disk.
    """
    ...


@wp.func_native(
    _HEADER
    + """
    const float* const points = (const float*)posed.data + (size_t)row * posed.shape[1] * 3;
    float x[9][LANES];
    for (int k = 0; k < LANES; ++k) {
      const auto face = faces.data[k < count ? start + k : start];
      for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j) x[3 * i + j][k] = points[3 * face[i] + j];
    }
    float* const out = bounds.data + ((size_t)slot * bounds.shape[1] + cluster) * 7 * LANES;
    for (int k = 0; k < LANES; ++k) {
      const float bx = x[3][k] - x[0][k], by = x[4][k] - x[1][k], bz = x[5][k] - x[2][k];
      const float cx = x[6][k] - x[0][k], cy = x[7][k] - x[1][k], cz = x[8][k] - x[2][k];
      const float nx = by * cz - bz * cy, ny = bz * cx - bx * cz, nz = bx * cy - by * cx;
      const float squared = nx * nx + ny * ny + nz * nz;
      const float scale = squared > 0.0f ? 1.0f / wp::sqrt(squared) : 0.0f;
      const float mx = (bx + cx) / 3.0f, my = (by + cy) / 3.0f, mz = (bz + cz) / 3.0f;
      const float to_a = mx * mx + my * my + mz * mz;
      const float to_b = (bx - mx) * (bx - mx) + (by - my) * (by - my) + (bz - mz) * (bz - mz);
      const float to_c = (cx - mx) * (cx - mx) + (cy - my) * (cy - my) + (cz - mz) * (cz - mz);
      const float to_ab = to_a > to_b ? to_a : to_b;
      out[k] = nx * scale; out[LANES + k] = ny * scale; out[2 * LANES + k] = nz * scale;
      out[3 * LANES + k] = x[0][k] + mx; out[4 * LANES + k] = x[1][k] + my; out[5 * LANES + k] = x[2][k] + mz;
      out[6 * LANES + k] = wp::sqrt(to_ab > to_c ? to_ab : to_c);
    }
    """
)
def _bound_triangles(
    posed: wp.array2d[wp.vec3],
    row: int,
    faces: wp.array[wp.vec3i],
    start: int,
    count: int,
    bounds: wp.array4d[float],
    slot: int,
    cluster: int,
):
    """Set normal, centre and radius of each triangle of a cluster."""
    ...


@wp.kernel(enable_backward=False)
def bound_clusters(posed: wp.array2d[wp.vec3], rows: wp.array[int], mesh: Mesh, work: Work) -> None:
    """Boxes of the clusters; thread (mesh, cluster)."""
    slot, cluster = wp.tid()
    first = mesh.vertex_starts[cluster]
    end = mesh.vertex_starts[cluster + 1]
    _bound_cluster(posed, rows[slot], mesh.vertices, first, end, work.boxes, slot, cluster)


@wp.kernel(enable_backward=False)
def bound_parts(mesh: Mesh, work: Work) -> None:
    """Boxes of the parts; thread (mesh, part)."""
    slot, part = wp.tid()
    box = Box(wp.vec3(_FAR, _FAR, _FAR), wp.vec3(-_FAR, -_FAR, -_FAR))
    for cluster in range(mesh.part_starts[part], mesh.part_starts[part + 1]):
        own = cluster_box(work, slot, cluster)
        box.lower = wp.min(box.lower, own.lower)
        box.upper = wp.max(box.upper, own.upper)
    work.part_boxes[slot, part] = box


@wp.kernel(enable_backward=False)
def list_neighbours(mesh: Mesh, limits: Limits, work: Work) -> None:
    """For each part those that it may collide with and whose box, widened by a vertex' height, meets its own.

    Thread (mesh, part).
    """
    slot, part = wp.tid()
    box = widened(work.part_boxes[slot, part], limits.outside)
    count = int(0)
    for other in range(mesh.colliding.shape[0]):
        if mesh.colliding[part, other] != wp.uint8(0):
            if meet(box, work.part_boxes[slot, other]):
                work.near[slot, part, count] = other
                count += 1
    work.n_near[slot, part] = count


@wp.kernel(enable_backward=False)
def bound_triangles(posed: wp.array2d[wp.vec3], rows: wp.array[int], mesh: Mesh, limits: Limits, work: Work) -> None:
    """Bounds of the triangles that a vertex of another part may be close to; thread (mesh, cluster)."""
    slot, cluster = wp.tid()
    part = mesh.parts[cluster]
    own = work.part_boxes[slot, part]
    box = widened(cluster_box(work, slot, cluster), mesh.reaches[part])
    for k in range(work.n_near[slot, part]):
        # The vertices of the other part that look for triangles of this one are in both parts' boxes.
        other = work.part_boxes[slot, work.near[slot, part, k]]
        wide = widened(own, limits.outside)
        if meet(box, Box(wp.max(other.lower, wide.lower), wp.min(other.upper, wide.upper))):
            start = mesh.starts[cluster]
            count = mesh.starts[cluster + 1] - start
            _bound_triangles(posed, rows[slot], mesh.faces, start, count, work.bounds, slot, cluster)
            return
