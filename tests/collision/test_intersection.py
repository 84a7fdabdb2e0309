"""Intersections of triangles, against edges that are cut with triangles one by one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.collision.plain_penalty import intersection_length


def edges_cut(first: Tensor, second: Tensor) -> Tensor:
    """[P] whether an edge of the first triangle [P, 3, 3] passes through the second: 3 linear systems a pair."""
    cut = torch.zeros(len(first), dtype=torch.bool)
    for k in range(3):
        start, edge = first[:, k], first[:, (k + 1) % 3] - first[:, k]
        matrix = torch.stack([-edge, second[:, 1] - second[:, 0], second[:, 2] - second[:, 0]], -1)
        t, u, v = torch.linalg.solve(matrix, (start - second[:, 0])[..., None])[..., 0].unbind(-1)
        cut |= (t >= 0) & (t <= 1) & (u >= 0) & (v >= 0) & (u + v <= 1)
    return cut


@pytest.mark.parametrize("spread", [0.0, 0.5])
def test_the_same_pairs_meet_as_by_cut_edges(spread: float) -> None:
    generator = torch.Generator().manual_seed(3)
    first, second = torch.randn(2, 5000, 3, 3, generator=generator, dtype=torch.float64)
    second = second + spread
    meets = intersection_length(first, second) > 0
    assert 0.1 < meets.double().mean() < 0.5
    assert torch.equal(meets, edges_cut(first, second) | edges_cut(second, first))
    assert torch.equal(meets, intersection_length(second, first) > 0)


def test_length_is_that_of_the_common_segment() -> None:
    flat = torch.tensor([[[-1.0, -1.0, 0.0], [3.0, -1.0, 0.0], [-1.0, 3.0, 0.0]]])
    upright = torch.tensor([[[0.0, 0.0, -1.0], [0.5, 0.0, -1.0], [0.0, 0.0, 1.0]]])
    torch.testing.assert_close(intersection_length(flat, upright), torch.tensor([0.25]))


def test_length_grows_from_zero_at_the_first_touch() -> None:
    flat = torch.tensor([[[-1.0, -1.0, 0.0], [3.0, -1.0, 0.0], [-1.0, 3.0, 0.0]]], dtype=torch.float64)
    tip = torch.tensor([[[0.0, 0.0, 0.0], [0.5, 0.0, 1.0], [-0.5, 0.0, 1.0]]], dtype=torch.float64)
    depths = torch.tensor([-1e-3, -1e-9, 1e-9, 1e-3, 0.1], dtype=torch.float64)
    lengths = intersection_length(flat.expand(5, -1, -1), tip - depths[:, None, None] * torch.eye(3)[2])
    torch.testing.assert_close(lengths, depths.clamp(min=0))


def test_triangles_in_one_plane_and_without_area_count_as_apart() -> None:
    flat = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    line = torch.tensor([[0.2, 0.2, -1.0], [0.2, 0.2, 0.0], [0.2, 0.2, 1.0]])
    point = torch.full((3, 3), 0.25)
    lengths = intersection_length(flat.expand(3, -1, -1), torch.stack([flat + 0.1 * flat[1], line, point]))
    assert torch.equal(lengths, torch.zeros(3))
