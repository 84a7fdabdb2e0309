"""The conic distance-field penalty of colliding triangles (Tzionas et al. 2016; Pavlakos et al. 2019, E_C).

Each triangle of a pair carries a cone-shaped distance field along its normal; the vertices of the other one pay for
where they stand in it.

Which pairs count. The cone widens without end behind its triangle, so a vertex on the far side of a thin part (a
finger) stands inside the field without touching anything: the field alone cannot tell a colliding pair from a near
one. Two ways follow.

- :func:`penalty` tests each pair at each call, as the paper does; one that does not intersect costs exactly zero, and
  callers may pass any superset of the colliding pairs. The energy then has steps: a vertex on its way in pays 0.3 to
  1 at once, and a moving arm gains and loses pairs all the time. Its slope says little about where it falls: over a
  hand that sinks into a belly it stays level while the gradient points out. Line searches end early on it.
- :func:`cone_energy` takes its pairs to collide. Kept the same through one minimisation, the pairs that collided at
  its start have a continuous energy with a true gradient, which falls to exactly zero as they come apart. Some such
  minimisations, each with the pairs that collide by then, get bodies out of themselves at less cost in keypoints and
  surface than any weight of the first way.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from smplifyx.collision.intersection import intersection_length

#: Triangles whose squared double area is less than this fraction of the product of two squared sides are flat.
_FLATNESS = 1e-10


@dataclass(frozen=True)
class ConeOptions:
    """Shape of the field.

    Attributes:
        height: height of the cone above its triangle (sigma), metres.
        penalize_outside: vertices in the cone above the triangle pay too.
        exponent: power of the field; 4 in the paper, 8 in effect in the released code.
    """

    height: float = 1e-4
    penalize_outside: bool = True
    exponent: int = 4


def penalty(triangles_a: Tensor, triangles_b: Tensor, options: ConeOptions) -> Tensor:
    """Energy of each pair of triangles, both directions summed; zero where the two do not intersect.

    Args:
        triangles_a: [P, 3, 3] corners, metres, counter-clockwise seen from outside.
        triangles_b: [P, 3, 3] the other triangle of each pair.
        options: shape of the field.

    Returns:
        [P] energies, differentiable in the corners.
    """
    with torch.no_grad():
        meets = intersection_length(triangles_a, triangles_b) > 0
    return torch.where(meets, cone_energy(triangles_a, triangles_b, options), 0.0)


def cone_energy(triangles_a: Tensor, triangles_b: Tensor, options: ConeOptions) -> Tensor:
    """Energy [P] of pairs that are taken to collide: as :func:`penalty`, but without its test and its steps."""
    # Both directions in one go: for some hundred pairs the calls cost more than the arithmetic.
    energy = _field_energy(torch.cat([triangles_a, triangles_b]), torch.cat([triangles_b, triangles_a]), options)
    return energy.view(2, -1).sum(0)


def _field_energy(vertices: Tensor, triangles: Tensor, options: ConeOptions) -> Tensor:
    """What the vertices [P, 3, 3] of one triangle pay in the field of the other [P, 3, 3]; [P]."""
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
