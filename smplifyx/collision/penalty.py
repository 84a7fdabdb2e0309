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

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from smplifyx.collision.candidates import CandidateCache
from smplifyx.collision.skinning import BoneStates, SparseSkinning, VertexEntries

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


#: Energies [P] of pairs of triangles, two times [P, 3, 3].
PairEnergy = Callable[[Tensor, Tensor, ConeOptions], Tensor]


class CollisionTerm:
    """Energy of the triangles that pass through each other, body by body.

    With kept candidates, only pairs that intersect count, and they are told exactly at each evaluation. Gradients
    flow through the corners of those pairs; that a pair begins or ceases to intersect is a step in the energy, as in
    the paper. With held pairs there are no steps.

    Args:
        skinning: of the full body.
        candidates: kept for the rows that are asked for.
        cones: shape of the distance field.
        pair_energy: what a pair costs; :func:`cone_energy` for held pairs.
    """

    def __init__(
        self,
        skinning: SparseSkinning,
        candidates: CandidateCache,
        cones: ConeOptions,
        pair_energy: PairEnergy = penalty,
    ) -> None:
        self.skinning, self.candidates, self.cones, self.pair_energy = skinning, candidates, cones, pair_energy

    def __call__(self, state: BoneStates, rows: Tensor) -> Tensor:
        """Energies [B] of bodies that own the rows [B] of the candidates."""
        energy: Tensor = _Energy.apply(
            state.coefficients, state.rotations, state.positions, state.rest_joints, self, rows
        )
        return energy


class _Energy(torch.autograd.Function):
    """The gradient is taken along with the energy: few triangles have any, and they are at hand then."""

    @staticmethod
    def forward(
        ctx: Any,
        coefficients: Tensor,
        rotations: Tensor,
        positions: Tensor,
        rest_joints: Tensor,
        term: CollisionTerm,
        rows: Tensor,
    ) -> Tensor:
        state = BoneStates(coefficients, rotations, positions, rest_joints)
        hits = term.candidates.intersecting(state, rows)
        with torch.enable_grad():
            corners = hits.corners.to(coefficients.dtype).requires_grad_()
            energies = term.pair_energy(corners[:, 0], corners[:, 1], term.cones)
            (to_corners,) = torch.autograd.grad(energies.sum(), corners)
        entries = VertexEntries(
            rows=hits.rows.repeat_interleave(6),
            slots=rows,
            vertices=hits.vertices.flatten(),
            gradients=to_corners.reshape(-1, 3),
        )
        to_coefficients, to_transforms = term.skinning.gradient(state, term.candidates.lists, entries)
        ctx.save_for_backward(
            to_coefficients.to(coefficients), to_transforms.to(coefficients), rotations, rest_joints
        )
        return energies.new_zeros(len(rows)).index_add(0, hits.rows, energies.detach())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_energy: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, None, None]:
        """A bone's transform is its rotation and ``position - rotation rest_joint``."""
        to_coefficients, to_transforms, rotations, rest_joints = ctx.saved_tensors
        to_transforms = to_transforms * to_energy[:, None, None, None]
        to_offsets = to_transforms[..., 3]
        return (
            to_coefficients * to_energy[:, None],
            to_transforms[..., :3] - to_offsets[..., None] * rest_joints[..., None, :],
            to_offsets,
            -(rotations.transpose(2, 3) @ to_offsets[..., None])[..., 0],
            None,
            None,
        )
