"""The collisions of one body model, from the model's inputs."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from smplifyx.body.files import load_body_model_data
from smplifyx.body.model import BodyModel
from smplifyx.body.search import find_body_model
from smplifyx.collision.self_collision import SelfCollision
from smplifyx.config import CollisionConfig
from smplifyx.rotations import axis_angle_to_matrix
from smplifyx.synthetic.poses import mild_poses
from tests.collision.plain_penetration import depths

Inputs = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@pytest.fixture(scope="module")
def model() -> BodyModel:
    return BodyModel.from_data(load_body_model_data(find_body_model("smplx", "neutral")))


def collision_of(model: BodyModel, **settings: float) -> SelfCollision:
    data = load_body_model_data(find_body_model("smplx", "neutral"))
    return SelfCollision(data, model, CollisionConfig(**settings))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    """Five bodies; the third one is at rest, some others pass through themselves."""
    angles = torch.zeros(5, 55, 3)
    poses = mild_poses(5, spread=1.5, seed=1).body_pose
    angles[:, 1:22] = torch.as_tensor(poses, dtype=torch.float32).unflatten(1, (21, 3))
    angles[2] = 0
    betas = torch.randn(5, 10, generator=torch.Generator().manual_seed(0))
    return betas, torch.zeros(5, 10), axis_angle_to_matrix(angles)


def test_found_pairs_are_those_of_the_full_mesh(model: BodyModel, inputs: Inputs) -> None:
    collision = collision_of(model)
    found = collision.find(*inputs)
    output = model(*inputs)
    expected = collision.search(output.vertices - output.joints[:, :1])
    for row in range(5):
        one, other = (set(map(tuple, some.triangles[some.rows == row].tolist())) for some in (found, expected))
        assert len(one ^ other) <= 0.01 * len(other)  # rounding decides on pairs that hardly touch
    assert len(found.rows) > 100 and not (found.rows == 2).any()


def test_measured_bodies(model: BodyModel, inputs: Inputs) -> None:
    collision = collision_of(model)
    found = collision.find(*inputs)
    measured = collision.measure(*inputs)
    assert [one.n_pairs for one in measured] == np.bincount(found.rows.numpy(), minlength=5).tolist()
    assert measured[2].depth == 0 and max(one.depth for one in measured) > 0.005


def test_depths_are_those_of_all_single_triangles(model: BodyModel, inputs: Inputs) -> None:
    collision = collision_of(model)
    measured = collision.measure(*inputs)
    row = min((row for row, one in enumerate(measured) if one.depth > 0.0005), key=lambda row: measured[row].n_pairs)
    one = tuple(part[row : row + 1] for part in inputs)
    output = model(*one)
    vertices = (output.vertices - output.joints[:, :1])[0].double().numpy()
    pairs, chosen = collision.find(*one).triangles.numpy(), collision.pair_filter
    faces = load_body_model_data(find_body_model("smplx", "neutral")).faces.astype(np.int64)
    expected = depths(vertices, faces, chosen.labels, chosen.related_parts, pairs)
    np.testing.assert_allclose(measured[row].depths, expected, atol=1e-6)
    assert (expected > 0).sum() > 5
    assert {*np.flatnonzero(expected)} <= {*np.concatenate(measured[row].patches)}


def test_no_bodies(model: BodyModel, inputs: Inputs) -> None:
    nobody = tuple(part[:0] for part in inputs)
    assert collision_of(model).find(*nobody).triangles.shape == (0, 2)
    assert collision_of(model).measure(*nobody) == []


def test_rounds_become_stiffer_and_the_paper_has_none(model: BodyModel) -> None:
    assert collision_of(model, rounds=3).stiffnesses == pytest.approx([0.1, 0.1**0.5, 1.0])
    assert collision_of(model, rounds=1).stiffnesses == [1.0]
    paper = collision_of(model, rounds=0, cone_height=0.002)
    assert paper.stiffnesses == [] and paper.pair_term(2).cones.height == 0.002


def test_bodies_at_rest_have_no_contacts_and_crossing_ones_have(model: BodyModel, inputs: Inputs) -> None:
    collision = collision_of(model)
    contacts, touching = collision.contacts(*inputs)
    crossing = np.unique(collision.find(*inputs).rows.numpy())
    assert not touching[2] and touching[crossing].all() and len(contacts.weights) == int(touching.sum())
    nobody: Inputs = (inputs[0][:0], inputs[1][:0], inputs[2][:0])
    none, nowhere = collision.contacts(*nobody)
    assert not len(none.weights) and not len(nowhere)
