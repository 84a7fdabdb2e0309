"""Where two triangles meet."""

from __future__ import annotations

import torch
from torch import Tensor


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
