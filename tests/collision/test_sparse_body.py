"""The sparse body against the full one, and the bound on its movement against moved vertices."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from smplifyx.body.files import load_body_model_data
from smplifyx.body.model import BodyModel
from smplifyx.body.search import find_body_model
from smplifyx.collision.displacement import DisplacementBound
from smplifyx.collision.skinning import (
    BoneStates,
    SparseSkinning,
    VertexLists,
    bone_states,
)
from smplifyx.rotations import axis_angle_to_matrix
from tests.random_body import random_body_model

_BODIES = ("open", "dense", "low rank")


def _data(kind: str):
    if kind == "open":
        return load_body_model_data(find_body_model("smplx", "neutral"))
    return random_body_model(low_rank=kind == "low rank")


@pytest.fixture(scope="module", params=_BODIES)
def body(request):
    data = _data(request.param)
    return data, BodyModel.from_data(data, torch.float64)


def _inputs(n: int, seed: int, size: float = 1.0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> torch.Tensor:
        return size * torch.randn(*shape, generator=generator, dtype=torch.float64)

    return [random(n, 10), random(n, 10), axis_angle_to_matrix(0.4 * random(n, 55, 3)), random(n, 3)]


def _posed(model: BodyModel, inputs: list[torch.Tensor]) -> tuple[BoneStates, torch.Tensor]:
    output = model(*inputs)
    return bone_states(model, *inputs[:3], output), output.vertices - output.joints[:, :1]


def test_listed_vertices_are_those_of_the_full_body(body):
    data, model = body
    state, vertices = _posed(model, _inputs(3, 0))
    lists = VertexLists(5, data.n_vertices, torch.device("cpu"))
    slots = torch.tensor([4, 0, 2])
    used = torch.rand(3, data.n_vertices, generator=torch.manual_seed(1)) < 0.1
    lists.set(slots, used)
    lists.posed.zero_()
    SparseSkinning(model, data.faces, torch.device("cpu")).skin(state, lists, slots)
    for row, slot in enumerate(slots):
        np.testing.assert_allclose(lists.posed[slot][used[row]], vertices[row][used[row]], atol=3e-6)
        assert not lists.posed[slot][~used[row]].any()
    assert not lists.posed[1].any() and not lists.posed[3].any()


@pytest.mark.parametrize("n_bodies", [1, 9])
def test_whole_meshes_are_those_of_the_full_body(body, n_bodies):
    """One after the other in the lanes of registers, the last ones empty."""
    data, model = body
    state, vertices = _posed(model, _inputs(n_bodies, 3))
    skinning = SparseSkinning(model, data.faces, torch.device("cpu"))
    posed = skinning.pose(state)
    np.testing.assert_allclose(posed, vertices, atol=3e-6)
    assert torch.equal(skinning.pose(state.index(torch.tensor([n_bodies - 1]))), posed[-1:])


@pytest.mark.parametrize("step", [1e-3, 0.03, 1.0])
def test_no_vertex_moves_by_more_than_the_bound(body, step):
    _, model = body
    before = _inputs(8, 11)
    after = [tensor + change for tensor, change in zip(before, _inputs(8, 12, step), strict=True)]
    after[2] = before[2] @ axis_angle_to_matrix(0.4 * _inputs(8, 13, step)[2][:, :, 0])
    (old, old_vertices), (new, new_vertices) = _posed(model, before), _posed(model, after)
    moved = new_vertices @ new.rotations[:, 0] - old_vertices @ old.rotations[:, 0]
    most = moved.norm(dim=2).amax(1)
    bound = DisplacementBound(model)(old, new)
    assert (bound >= most - 1e-12).all()
    assert (bound < 30 * most).all()


def test_turning_and_shifting_the_body_as_a_whole_is_no_movement(body):
    _, model = body
    before = _inputs(4, 21)
    after = [tensor.clone() for tensor in before]
    after[2][:, 0] = axis_angle_to_matrix(torch.randn(4, 3, dtype=torch.float64, generator=torch.manual_seed(2)))
    after[3] += 5.0
    assert (DisplacementBound(model)(_posed(model, before)[0], _posed(model, after)[0]) < 1e-9).all()
