"""Warp kernel that asks a mesh how often it goes around points. Import late."""

# Kernels are written in Warp's dialect, which only looks like typed Python.
# mypy: ignore-errors

import warp as wp

#: The far field of a branch of the tree stands for it from so many of its radii on.
_ACCURACY = wp.constant(2.0)
#: A vertex of the surface itself has about a half, in a crease up to one, and one more inside another part.
_SURROUNDED_TWICE = wp.constant(1.0)


@wp.kernel(enable_backward=False)
def surrounded_twice(mesh: wp.uint64, points: wp.array[wp.vec3], reach: float, inside: wp.array[wp.uint8]) -> None:
    """Marks points that the mesh, which ``reach`` covers, goes around more than once; thread (point)."""
    point = wp.tid()
    query = wp.mesh_query_point_sign_winding_number(mesh, points[point], reach, _ACCURACY, _SURROUNDED_TWICE)
    if query.sign < 0.0:
        inside[point] = wp.uint8(1)
