"""The penalty in plain torch, differentiated by autograd: the twin of the Warp kernels."""

from __future__ import annotations

import torch
from torch import Tensor

from smplifyx.collision.skinning import ConeOptions

#: Triangles whose squared double area is less than this fraction of the product of two squared sides are flat.
_FLATNESS = 1e-10


def penalty(triangles_a: Tensor, triangles_b: Tensor, options: ConeOptions) -> Tensor:
    """Energies [P], zero where two triangles of [P, 3, 3] each do not intersect."""
    with torch.no_grad():
        meets = intersection_length(triangles_a, triangles_b) > 0
    return torch.where(meets, cone_energy(triangles_a, triangles_b, options), 0.0)


def cone_energy(triangles_a: Tensor, triangles_b: Tensor, options: ConeOptions) -> Tensor:
    """Energies [P] of pairs that are taken to collide."""
    energy = _field_energy(torch.cat([triangles_a, triangles_b]), torch.cat([triangles_b, triangles_a]), options)
    return energy.view(2, -1).sum(0)


def _field_energy(vertices: Tensor, triangles: Tensor, options: ConeOptions) -> Tensor:
    """Energies [P] of the vertices [P, 3, 3] of one triangle in the field of the other [P, 3, 3]."""
    origin, normal, radius = _circumcircle(triangles)
    offsets = vertices - origin[:, None]
    heights = (offsets * normal[:, None]).sum(-1)
    axis_distance = _safe_norm(offsets - heights[..., None] * normal[:, None])
    width = radius[:, None] * (1 - heights / options.height)
    inside = (heights < options.height) & (axis_distance < width)
    if not options.penalize_outside:
        inside = inside & (heights < 0)
    closeness = 1 - axis_distance / torch.where(inside, width, 1.0)
    field = closeness * _intensity(heights, options.height)
    return torch.where(inside, field, 0.0).pow(options.exponent).sum(1)


def _circumcircle(triangles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Centre [P, 3], unit normal [P, 3] and radius [P] of the circle through the corners [P, 3, 3].

    A triangle without an area has a circle of radius zero, whose cone holds nothing.
    """
    a, b = triangles[:, 0] - triangles[:, 2], triangles[:, 1] - triangles[:, 2]
    cross = torch.linalg.cross(a, b)
    squared_a, squared_b = a.square().sum(-1, keepdim=True), b.square().sum(-1, keepdim=True)
    squared = cross.square().sum(-1, keepdim=True)
    flat = squared <= _FLATNESS * squared_a * squared_b
    safe = torch.where(flat, 1.0, squared)
    arm = torch.linalg.cross(squared_a * b - squared_b * a, cross) / (2 * safe)
    arm = torch.where(flat, 0.0, arm)
    normal = torch.where(flat, 0.0, cross) * safe.rsqrt()
    return triangles[:, 2] + arm, normal, _safe_norm(arm)


def _safe_norm(vectors: Tensor) -> Tensor:
    """Length over the last axis, with gradient zero at zero."""
    squared = vectors.square().sum(-1)
    return torch.where(squared > 0, squared, 0.0) * torch.where(squared > 0, squared, 1.0).rsqrt()


def _intensity(heights: Tensor, sigma: float) -> Tensor:
    """The field on the cone's axis: 0 at the tip, 1 at depth sigma, from there on growing with the depth."""
    near = -(1 - 2 * sigma) / (4 * sigma**2) * heights.square() - heights / (2 * sigma) + (3 - 2 * sigma) / 4
    return torch.where(heights <= -sigma, 1 - sigma - heights, near)


def intersection_length(triangles_a: Tensor, triangles_b: Tensor) -> Tensor:
    """Length of the segment in which two triangles meet; exactly zero where they do not.

    Either triangle cuts the line in which their planes meet in an interval; the overlap of the two intervals is the
    answer (Moeller, "A fast triangle-triangle intersection test", 1997). Triangles in one plane, and triangles
    without an area, count as apart.

    Args:
        triangles_a: [P, 3, 3] corners, metres.
        triangles_b: [P, 3, 3] the other triangle of each pair.

    Returns:
        [P] lengths, metres.
    """
    origin = triangles_b[:, :1]
    corners_a, corners_b = triangles_a - origin, triangles_b - origin
    normals_a, normals_b = _normals(corners_a), _normals(corners_b)
    line = torch.nn.functional.normalize(torch.linalg.cross(normals_a, normals_b), dim=-1, eps=1e-30)
    heights_a = _along(corners_a, normals_b)
    heights_b = _along(corners_b - corners_a[:, :1], normals_a)
    start_a, end_a = _interval(_along(corners_a, line), heights_a)
    start_b, end_b = _interval(_along(corners_b, line), heights_b)
    return (torch.minimum(end_a, end_b) - torch.maximum(start_a, start_b)).clamp(min=0)


def _normals(triangles: Tensor) -> Tensor:
    """[P, 3] normals of triangles [P, 3, 3], as long as twice the area."""
    return torch.linalg.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])


def _along(corners: Tensor, direction: Tensor) -> Tensor:
    """[P, 3] coordinate of each corner [P, 3, 3] along a direction [P, 3]."""
    return (corners * direction[:, None]).sum(-1)


def _interval(positions: Tensor, heights: Tensor) -> tuple[Tensor, Tensor]:
    """Start and end [P] of what a triangle cuts from the line; an empty interval (start > end) if it misses it.

    Args:
        positions: [P, 3] where the corners are along the line.
        heights: [P, 3] their signed heights over the other triangle's plane.
    """
    next_positions, next_heights = positions.roll(-1, 1), heights.roll(-1, 1)
    crosses = (heights > 0) != (next_heights > 0)
    rise = torch.where(crosses, heights - next_heights, 1.0)
    cuts = positions + (next_positions - positions) * heights / rise
    start = torch.where(crosses, cuts, torch.inf).amin(1)
    end = torch.where(crosses, cuts, -torch.inf).amax(1)
    return start, end
