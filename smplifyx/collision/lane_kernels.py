"""Pose whole meshes on the CPU, with the meshes in the lanes of vector registers. Import late: this imports Warp."""

# mypy: ignore-errors

import warp as wp

#: Meshes in the lanes of a vector register.
LANES = 8


@wp.func_native(
    f"""
    constexpr int LANES = {LANES};
    typedef float vf __attribute__((vector_size(4 * LANES), aligned(4)));
    const int n_vertices = at_rest.shape[0], n_bones = bones.shape[1];
    const vf* const amount = (const vf*)coefficients.data + (size_t)tile * coefficients.shape[1];
    const vf* const moves = (const vf*)transforms.data + (size_t)tile * transforms.shape[1];
    const int n_lanes = n_rows - tile * LANES < LANES ? n_rows - tile * LANES : LANES;
    float* out = (float*)posed.data + (size_t)tile * LANES * n_vertices * 3;
    for (int vertex = 0; vertex < n_vertices; ++vertex, out += 3) {{
      vf x = vf{{}} + at_rest.data[vertex][0], y = vf{{}} + at_rest.data[vertex][1];
      vf z = vf{{}} + at_rest.data[vertex][2];
      for (int k = component_start.data[vertex]; k < component_start.data[vertex + 1]; ++k) {{
        const vf by = amount[component_index.data[k]];
        x += by * component_shape.data[k][0];
        y += by * component_shape.data[k][1];
        z += by * component_shape.data[k][2];
      }}
      vf to[3] = {{}};
      for (int k = 0; k < n_bones; ++k) {{
        const float weight = weights.data[(size_t)vertex * n_bones + k];
        if (!(weight > 0.0f)) break;  // the largest come first
        const vf* const m = moves + 12 * bones.data[(size_t)vertex * n_bones + k];
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
    at_rest: wp.array[wp.vec3],
    component_start: wp.array[int],
    component_index: wp.array[int],
    component_shape: wp.array[wp.vec3],
    bones: wp.array2d[int],
    weights: wp.array2d[wp.float32],
    coefficients: wp.array3d[wp.float32],
    transforms: wp.array3d[wp.float32],
    posed: wp.array2d[wp.vec3],
):
    """Shape and pose all vertices of the meshes of a tile, as ``skin`` does those of one."""
    ...


@wp.kernel(enable_backward=False)
def pose_meshes(
    n_rows: int,
    at_rest: wp.array[wp.vec3],
    component_start: wp.array[int],
    component_index: wp.array[int],
    component_shape: wp.array[wp.vec3],
    bones: wp.array2d[int],
    weights: wp.array2d[wp.float32],
    coefficients: wp.array3d[wp.float32],
    transforms: wp.array3d[wp.float32],
    posed: wp.array2d[wp.vec3],
) -> None:
    """Pose whole meshes; thread (tile of meshes).

    ``coefficients`` [T, C, LANES] and ``transforms`` [T, 12 J, LANES] are those of tiles, the last one padded.
    """
    _pose(
        wp.tid(), n_rows, at_rest, component_start, component_index, component_shape, bones, weights, coefficients,
        transforms, posed,
    )  # fmt: skip
