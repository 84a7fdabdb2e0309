"""The conic field against its formulas written out vertex by vertex, and its gradients against differences."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from smplifyx.collision.penalty import cone_energy, penalty
from smplifyx.collision.skinning import ConeOptions
from tests.collision import plain_penalty
from tests.collision.plain_penalty import intersection_length

OPTIONS = [
    ConeOptions(),
    ConeOptions(exponent=8),
    ConeOptions(height=0.01),
    ConeOptions(height=0.01, penalize_outside=False),
    ConeOptions(height=0.01, exponent=2),
]


def meeting_pairs(n_pairs: int, size: float = 0.02, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random triangles [P, 3, 3] that intersect, as large as those of a body."""
    generator = torch.Generator().manual_seed(seed)
    first, second = size * torch.randn(2, 8 * n_pairs, 3, 3, generator=generator, dtype=torch.float64)
    meets = intersection_length(first, second) > 0
    return first[meets][:n_pairs], second[meets][:n_pairs]


def paper_energy(first: np.ndarray, second: np.ndarray, options: ConeOptions) -> float:
    """One pair, from the definition: circumcircle by a linear system, then each vertex in turn."""
    total, sigma = 0.0, options.height
    for triangle, other in ((first, second), (second, first)):
        normal = np.cross(triangle[1] - triangle[0], triangle[2] - triangle[0])
        normal /= np.linalg.norm(normal)
        # The centre is as far from all corners, and in their plane.
        rows = np.stack([2 * (triangle[1] - triangle[0]), 2 * (triangle[2] - triangle[0]), normal])
        squares = (triangle**2).sum(1)
        centre = np.linalg.solve(rows, [squares[1] - squares[0], squares[2] - squares[0], normal @ triangle[0]])
        radius = np.linalg.norm(triangle[0] - centre)
        for vertex in other:
            height = normal @ (vertex - centre)
            if height >= sigma or (height >= 0 and not options.penalize_outside):
                continue
            phi = np.linalg.norm(vertex - centre - height * normal) / (radius - radius / sigma * height)
            if phi >= 1:
                continue
            intensity = 1 - sigma - height
            if height > -sigma:
                intensity = -(1 - 2 * sigma) / (4 * sigma**2) * height**2 - height / (2 * sigma) + (3 - 2 * sigma) / 4
            total += ((1 - phi) * intensity) ** options.exponent
    return total


@pytest.mark.parametrize("options", OPTIONS)
def test_energy_is_the_papers(options: ConeOptions) -> None:
    first, second = meeting_pairs(60)
    expected = [paper_energy(a.numpy(), b.numpy(), options) for a, b in zip(first, second, strict=True)]
    assert np.count_nonzero(expected) > 40
    np.testing.assert_allclose(penalty(first, second, options), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("options", OPTIONS)
def test_gradients_against_finite_differences(options: ConeOptions) -> None:
    first, second = meeting_pairs(20, seed=1)
    inputs = (first.requires_grad_(), second.requires_grad_())
    step = 1e-4 * options.height
    assert torch.autograd.gradcheck(lambda a, b: penalty(a, b, options), inputs, eps=step, rtol=1e-4, atol=1e-3)


def upright_over_flat(height: float, x: float = 0.0) -> tuple[Tensor, Tensor]:
    """A long upright triangle pierces a flat one about the origin; its tip is at a height over (x, 0)."""
    angles = torch.arange(3, dtype=torch.float64) * 2 * torch.pi / 3
    flat = 0.02 * torch.stack([angles.cos(), angles.sin(), torch.zeros(3)], 1)
    upright = torch.tensor([[x, 0.0, height], [x + 0.001, 0.001, 0.3], [x - 0.001, 0.001, 0.3]], dtype=torch.float64)
    return flat[None], upright[None]


def test_the_field_is_continuous_across_its_branches() -> None:
    sigma = 1e-3
    options = ConeOptions(height=sigma)
    below, above = (penalty(*upright_over_flat(-sigma + step), options) for step in (-1e-9, 1e-9))
    torch.testing.assert_close(below, above, rtol=1e-4, atol=0.0)


def test_the_first_touch_is_a_step() -> None:
    """A vertex on the plane is a quarter of the way down the cone's field already."""
    assert float(penalty(*upright_over_flat(1e-9), ConeOptions(height=1e-3))) == 0.0
    assert float(penalty(*upright_over_flat(-1e-9), ConeOptions(height=1e-3))) > 0.75**4


def test_near_but_apart_costs_exactly_nothing() -> None:
    options = ConeOptions(height=0.01)
    flat, tip = upright_over_flat(0.001)
    assert float(penalty(flat, tip, options)) == 0.0
    # Behind the far side of a thin part: in the cone, which widens without end, but touching nothing.
    assert float(penalty(flat, tip - 0.5, options)) == 0.0


def test_masked_pairs_have_zero_gradients() -> None:
    generator = torch.Generator().manual_seed(5)
    first, second = 0.01 * torch.randn(2, 2000, 3, 3, generator=generator, dtype=torch.float64)
    apart = intersection_length(first, second) == 0
    first.requires_grad_()
    (gradient,) = torch.autograd.grad(penalty(first, second, ConeOptions()).sum(), first)
    assert gradient.isfinite().all()
    assert not gradient[apart].any()
    assert gradient[~apart].any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_degenerate_triangles_have_finite_values_and_gradients(dtype: torch.dtype) -> None:
    point = torch.zeros(3, 3)
    line = torch.tensor([[0.0, 0.0, -1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    sliver = line + torch.tensor([[0.0, 0.0, 0.0], [1e-7, 0.0, 0.0], [0.0, 0.0, 0.0]])
    flat = torch.tensor([[1.0, 0.0, 0.0], [-1.0, 1.0, 0.0], [-1.0, -1.0, 0.0]])
    shapes = 0.02 * torch.stack([point, line, sliver, flat, flat.roll(1, 0), torch.eye(3)]).to(dtype)
    combinations = list(itertools.product(range(len(shapes)), repeat=2))
    first = shapes[[i for i, _ in combinations]].requires_grad_()
    second = shapes[[j for _, j in combinations]].requires_grad_()
    for options in OPTIONS:
        energy = penalty(first, second, options)
        gradients = torch.autograd.grad(energy.sum(), (first, second))
        assert energy.isfinite().all()
        assert all(gradient.isfinite().all() for gradient in gradients)


def test_energy_does_not_depend_on_order_place_or_precision() -> None:
    first, second = meeting_pairs(200, seed=2)
    options = ConeOptions(height=0.005)
    energy = penalty(first, second, options)
    torch.testing.assert_close(penalty(second, first, options), energy)
    torch.testing.assert_close(penalty(first.roll(1, 1), second.roll(2, 1), options), energy)
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))[0]
    turn = turn * torch.linalg.det(turn)
    moved = penalty(first @ turn.T + 1.0, second @ turn.T + 1.0, options)
    torch.testing.assert_close(moved, energy, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(penalty(first.float(), second.float(), options).double(), energy, rtol=1e-2, atol=1e-4)


def test_the_gradient_pushes_a_tip_out() -> None:
    flat, tip = upright_over_flat(-0.004)
    tip.requires_grad_()
    (gradient,) = torch.autograd.grad(penalty(flat, tip, ConeOptions(height=0.01)).sum(), tip)
    assert float(gradient[0, 0, 2]) < 0


def test_no_pairs() -> None:
    none = torch.zeros(0, 3, 3)
    assert penalty(none, none, ConeOptions()).shape == (0,)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("apart", [False, True])
def test_kernels_against_plain_torch(options: ConeOptions, apart: bool) -> None:
    """Energies and gradients of pairs that meet, and of any pairs where all are taken to collide."""
    first, second = meeting_pairs(200, seed=3)
    if apart:
        first = first + 0.01 * torch.randn(len(first), 1, 3, generator=torch.Generator().manual_seed(4)).double()
    found, expected = [], []
    for module, results in ((None, found), (plain_penalty, expected)):
        one, other = first.clone().requires_grad_(), second.clone().requires_grad_()
        energy = (module.cone_energy if module else cone_energy)(one, other, options)
        weights = torch.linspace(0.5, 2.0, len(energy), dtype=torch.float64)
        results += [energy.detach(), *torch.autograd.grad((weights * energy).sum(), (one, other))]
    assert (expected[0] > 0).sum() > 100
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12 * float(other.abs().max()))


def test_touching_triangles_count_as_intersecting() -> None:
    """The penalty and the reported pairs follow one test (they followed two, which disagreed here)."""
    flat, upright = upright_over_flat(0.0)
    assert float(penalty(flat, upright, ConeOptions(height=0.01))) > 0
    assert float(penalty(upright, flat, ConeOptions(height=0.01))) > 0
