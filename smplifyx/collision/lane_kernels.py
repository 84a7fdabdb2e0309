"""Pose whole meshes on the CPU, with the meshes in the lanes of vector registers. Import late: this imports Warp."""

# mypy: ignore-errors

import warp as wp

from smplifyx.collision.kernels import Body

#: Meshes in the lanes of a vector register.
LANES = 8


@wp.func_native(
    f"""
    constexpr int LANES = {LANES};
    typedef float vf __attribute__((vector_size(4 * LANES), aligned(4)));
    const int n_vertices = body.at_rest.shape[0], n_bones = body.bones.shape[1];
    const vf* const amount = (const vf*)coefficients.data + (size_t)tile * coefficients.shape[1];
    const vf* const moves = (const vf*)transforms.data + (size_t)tile * transforms.shape[1];
    const int n_lanes = n_rows - tile * LANES < LANES ? n_rows - tile * LANES : LANES;
    float* out = (float*)posed.data + (size_t)tile * LANES * n_vertices * 3;
    for (int vertex = 0; vertex < n_vertices; ++vertex, out += 3) {{
      const auto& point = body.at_rest.data[vertex];
      vf x = vf{{}} + point[0], y = vf{{}} + point[1], z = vf{{}} + point[2];
      for (int k = body.component_start.data[vertex]; k < body.component_start.data[vertex + 1]; ++k) {{
        const vf by = amount[body.component_index.data[k]];
        const auto& shape = body.component_shape.data[k];
        x += by * shape[0];
        y += by * shape[1];
        z += by * shape[2];
      }}
      vf to[3] = {{}};
      for (int k = 0; k < n_bones; ++k) {{
        const float weight = body.weights.data[(size_t)vertex * n_bones + k];
        if (!(weight > 0.0f)) break;  // the largest come first
        const vf* const m = moves + 12 * body.bones.data[(size_t)vertex * n_bones + k];
        for (int i = 0; i < 3; ++i)
          to[i] += weight * (m[4 * i] * x + m[4 * i + 1] * y + m[4 * i + 2] * z + m[4 * i + 3]);
      }}
      for (int lane = 0; lane < n_lanes; ++lane)
        for (int i = 0; i < 3; ++i) out[(size_t)lane * n_vertices * 3 + i] = to[i][lane];
    }}
    """
)
def _pose(
    tile: int,
    n_rows: int,
    body: Body,
    coefficients: wp.array3d[wp.float32],
    transforms: wp.array3d[wp.float32],
    posed: wp.array2d[wp.vec3],
):
    """Shape and pose all vertices of the meshes of a tile, as ``skin`` does those of one."""
    ...


@wp.kernel(enable_backward=False)
def pose_meshes(
    n_rows: int,
    body: Body,
    coefficients: wp.array3d[wp.float32],
    transforms: wp.array3d[wp.float32],
    posed: wp.array2d[wp.vec3],
) -> None:
    """Pose whole meshes; thread (tile of meshes).

    ``coefficients`` [T, C, LANES] and ``transforms`` [T, 12 J, LANES] are those of tiles, the last one padded.
    """
    _pose(wp.tid(), n_rows, body, coefficients, transforms, posed)
