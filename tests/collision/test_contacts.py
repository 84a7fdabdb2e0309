"""Contacts: they are found as by brute force, their energy has no steps, and its gradient and curvature are right."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from smplifyx.body.files import load_body_model_data
from smplifyx.body.model import BodyModel
from smplifyx.body.search import find_body_model
from smplifyx.collision.contact_term import ContactTerm
from smplifyx.collision.contacts import Contacts, ContactSearch, ContactShape
from smplifyx.collision.parts import PairFilter
from smplifyx.collision.penetration import point_triangle_distances
from smplifyx.collision.self_collision import SelfCollision
from smplifyx.collision.skinning import BoneStates, SparseSkinning, bone_states
from smplifyx.config import CollisionConfig
from smplifyx.rotations import axis_angle_to_matrix
from smplifyx.synthetic.poses import mild_poses

SHAPE = ContactShape()
#: Any two of the three parts may collide.
COLLIDING = ~np.eye(3, dtype=bool)


def ball(centre: tuple[float, float, float], radius: float, n_rings: int) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and triangles, counter-clockwise seen from outside, of a sphere without its poles."""
    angles = np.linspace(0.3, np.pi - 0.3, n_rings)[:, None]
    around = np.linspace(0, 2 * np.pi, 2 * n_rings, endpoint=False)[None]
    places = np.stack(np.broadcast_arrays(np.sin(angles) * np.cos(around), np.sin(angles) * np.sin(around),
                                          np.cos(angles)), -1)  # fmt: skip
    number = np.arange(n_rings * 2 * n_rings).reshape(n_rings, -1)
    a, b = number[:-1], np.roll(number, -1, axis=1)[:-1]
    c, d = number[1:], np.roll(number, -1, axis=1)[1:]
    triangles = np.concatenate([np.stack([a, c, d], -1).reshape(-1, 3), np.stack([a, d, b], -1).reshape(-1, 3)])
    return (np.array(centre) + radius * places).reshape(-1, 3), triangles


class Balls:
    """Three balls, far apart at rest."""

    def __init__(self) -> None:
        parts = [ball((0.0, 0.0, 0.0), 0.05, 12), ball((1.0, 0.0, 0.0), 0.03, 9), ball((2.0, 0.0, 0.0), 0.01, 6)]
        starts = np.cumsum([0, *(len(vertices) for vertices, _ in parts)])
        self.vertices = np.concatenate([vertices for vertices, _ in parts])
        self.faces = np.concatenate([faces + start for (_, faces), start in zip(parts, starts, strict=False)])
        self.part = np.repeat(np.arange(3), np.diff(starts))
        labels = self.part[self.faces[:, 0]]
        chosen = PairFilter(labels, COLLIDING, np.zeros((0, 2), np.int64))
        self.search = ContactSearch(self.vertices, self.faces, chosen)

    def placed(self, *offsets: tuple[float, float, float]) -> torch.Tensor:
        """[1, V, 3] with the balls' centres elsewhere."""
        moved = self.vertices + (np.array(offsets) - np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0]]))[self.part]
        return torch.as_tensor(moved, dtype=torch.float32)[None]


@pytest.fixture(scope="module")
def balls() -> Balls:
    return Balls()


def test_contacts_are_the_closest_triangles_that_face_a_vertex(balls):
    vertices = balls.placed((0, 0, 0), (0.071, 0.01, 0.004), (0.03, 0.05, 0.0))
    contacts, touching = balls.search.contacts([vertices])
    assert touching.tolist() == [True]
    n_pairs = int(contacts.found.n_pairs[0])
    found = {int(vertex): int(face) for vertex, face in contacts.found.pairs[0, :n_pairs]}
    points = vertices[0].double().numpy()
    corners = points[balls.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    at_vertex = np.zeros_like(points)
    np.add.at(at_vertex, balls.faces.ravel(), np.repeat(normals, 3, axis=0))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    inside = 0
    for vertex, face in found.items():
        faces = np.flatnonzero(
            (balls.part[balls.faces[:, 0]] != balls.part[vertex]) & (normals @ at_vertex[vertex] < 0)
        )
        distances = point_triangle_distances(np.repeat(points[vertex][None], len(faces), 0), corners[faces])
        own = distances[faces == face]
        assert len(own) == 1 and own[0] <= distances.min() * 1.001 + 1e-7
        inside += (points[vertex] - corners[face, 0]) @ normals[face] < 0
    assert inside > 10
    # Nobody who is inside another ball, and faces its surface, is left out.
    for other, centre, radius in ((0, (0, 0, 0), 0.05), (1, (0.071, 0.01, 0.004), 0.03)):
        offset = points - np.array(centre)
        depth = radius - np.linalg.norm(offset, axis=1)
        against = -(offset * at_vertex).sum(1) / np.linalg.norm(offset, axis=1) / np.linalg.norm(at_vertex, axis=1)
        clear = (balls.part != other) & (depth > 0.003) & (depth < 0.008) & (against > 0.5)
        assert clear.any() and set(np.flatnonzero(clear)) <= set(found)


def test_balls_far_apart_or_at_rest_do_not_touch(balls):
    contacts, touching = balls.search.contacts(
        [balls.placed((0, 0, 0), (1, 0, 0), (2, 0, 0)), balls.placed((0, 0, 0), (0.09, 0, 0), (2, 0, 0))]
    )
    assert touching.tolist() == [False, False] and contacts.weights.shape[0] == 0


class Body:
    """The open body with parts that pass through each other."""

    def __init__(self) -> None:
        self.data = load_body_model_data(find_body_model("smplx", "neutral"))
        self.model = BodyModel.from_data(self.data)
        self.collision = SelfCollision(self.data, self.model, CollisionConfig())
        self.skinning = SparseSkinning(self.model, self.data.faces, torch.device("cpu"))
        angles = torch.zeros(4, 55, 3)
        poses = mild_poses(4, spread=1.5, seed=1).body_pose
        angles[:, 1:22] = torch.as_tensor(poses, dtype=torch.float32).unflatten(1, (21, 3))
        self.angles, self.betas = angles, torch.randn(4, 10, generator=torch.manual_seed(0))
        self.contacts, touching = self.collision.contacts(
            self.betas, torch.zeros(4, 10), axis_angle_to_matrix(self.angles)
        )
        self.angles, self.betas = self.angles[touching], self.betas[touching]

    def state(self, angles: torch.Tensor, betas: torch.Tensor) -> tuple[BoneStates, torch.Tensor]:
        rotations, expression = axis_angle_to_matrix(angles), torch.zeros(len(betas), 10)
        output = self.model(betas, expression, rotations)
        return bone_states(self.model, betas, expression, rotations, output), output.vertices

    def term(self, contacts: Contacts | None = None) -> ContactTerm:
        return ContactTerm(self.skinning, contacts or self.contacts, SHAPE)


@pytest.fixture(scope="module")
def body() -> Body:
    return Body()


def plain_energy(body: Body, vertices: torch.Tensor) -> torch.Tensor:
    """Energies [B] of the contacts, by plain torch in double precision."""
    found, faces = body.contacts.found, torch.as_tensor(body.data.faces).long()
    energies = []
    for row, corners in enumerate(vertices.double()):
        n_pairs = int(found.n_pairs[row])
        vertex, face = found.pairs[row, :n_pairs].long().T
        a, b, c = corners[faces[face]].unbind(1)
        normal = torch.linalg.cross(b - a, c - a)
        depth = SHAPE.clearance - ((corners[vertex] - a) * normal / normal.norm(dim=1, keepdim=True)).sum(1)
        deepest = SHAPE.clearance + SHAPE.reach
        half = deepest / 2
        rising = depth.clamp(0, SHAPE.soft).square() / (2 * SHAPE.soft)
        level = depth.clamp(SHAPE.soft, half) - SHAPE.soft
        beyond = depth.clamp(half, deepest) - half
        energy = rising + level + beyond - beyond.square() / (2 * half)
        energies.append((body.contacts.weights[row, :n_pairs].double() * energy).sum() * SHAPE.stiffness)
    return torch.stack(energies)


def test_energy_and_gradient_against_plain_torch(body):
    angles, betas = body.angles.clone().requires_grad_(), body.betas.clone().requires_grad_()
    state, vertices = body.state(angles, betas)
    rows = torch.arange(len(betas))
    energy, expected = body.term()(state, rows), plain_energy(body, vertices)
    assert len(energy) >= 3 and (expected > 0.1).sum() >= 3
    torch.testing.assert_close(energy.double(), expected, rtol=1e-3, atol=1e-4)
    found = torch.autograd.grad(energy.sum(), [angles, betas], retain_graph=True)
    for one, other in zip(found, torch.autograd.grad(expected.sum(), [angles, betas]), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=2e-3 * float(other.abs().max()))


def test_directions_are_the_curvature_of_one_contact(body):
    """A single contact that is not deep: the energy is a parabola in its depth, so g g' is nearly its Hessian."""
    state, vertices = body.state(body.angles, body.betas)
    found, faces = body.contacts.found, body.data.faces
    for place in range(int(found.n_pairs[0])):
        vertex, face = found.pairs[0, place].tolist()
        a, b, c = vertices[0, faces[face]].double()
        normal = torch.linalg.cross(b - a, c - a)
        depth = SHAPE.clearance - float(((vertices[0, vertex] - a) @ normal) / normal.norm())
        if 0.2 * SHAPE.soft < depth < 0.8 * SHAPE.soft and body.contacts.weights[0, place] > 0:
            break
    else:
        pytest.fail("no contact that is not deep")
    weights = torch.zeros_like(body.contacts.weights)
    weights[0, place] = body.contacts.weights[0, place]
    term = body.term(Contacts(found, weights, body.contacts.parts))
    rows = torch.arange(len(body.betas))
    owner, _, gradient = term.directions(state, rows)
    assert owner.tolist() == [0]
    energy, first = term.evaluation(rows)(state)
    # E = w d^2 / 2 s has the gradient g = w d / s d', its direction is sqrt(w / s) d' = g / sqrt(2 E).
    expected = first.rotations[0] / (2 * energy[0]).sqrt()
    torch.testing.assert_close(gradient.rotations[0], expected, rtol=1e-3, atol=1e-4 * float(expected.abs().max()))


def test_a_body_does_not_depend_on_its_neighbours(body):
    """Energy, gradient and directions to the bit, whatever else is in the batch and in which order."""
    state, _ = body.state(body.angles, body.betas)
    rows = torch.arange(len(body.betas))
    energy, gradient = body.term().evaluation(rows)(state)
    owner, number, directions = body.term().directions(state, rows)
    for some in (rows[-1:], rows.flip(0)):
        own_energy, own_gradient = body.term().evaluation(some)(state.index(some))
        assert torch.equal(own_energy, energy[some]) and torch.equal(own_gradient.rotations, gradient.rotations[some])
        own, own_number, own_directions = body.term().directions(state.index(some), some)
        for k, row in enumerate(some.tolist()):
            assert torch.equal(own_directions.rotations[own == k], directions.rotations[owner == row])
            assert torch.equal(own_number[own == k], number[owner == row])


def test_groups_are_pairs_of_parts_and_the_rest_is_joined(body):
    contacts = body.contacts
    for row, count in enumerate(contacts.found.n_pairs.tolist()):
        groups, parts = contacts.groups[row, :count], contacts.parts[row, :count]
        largest = int(torch.bincount(groups[groups < 7]).max())
        assert largest == int(parts.unique(return_counts=True)[1].max())
        for group in range(7):
            assert len(parts[groups == group].unique()) <= 1


def test_the_force_on_a_ball_that_sinks_in_has_no_steps(balls):
    """Contacts are found anew at each place, as at the start of each round."""
    forces = []
    for gap in np.arange(0.006, -0.009, -0.0001):
        placed = balls.placed((0, 0, 0), (0.08 + gap, 0, 0), (2, 0, 0))
        contacts, touching = balls.search.contacts([placed])
        forces.append(_force(balls, contacts, placed[0].double()) if touching[0] else 0.0)
    assert forces[0] == 0 and max(forces) > 1000
    assert np.abs(np.diff(forces)).max() < 0.04 * max(forces)


def _force(balls: Balls, contacts: Contacts, points: torch.Tensor) -> float:
    """Sum of the slopes of all contacts' energies."""
    vertex, face = contacts.found.pairs[0, : int(contacts.found.n_pairs[0])].long().T
    a, b, c = points[torch.as_tensor(balls.faces)[face]].unbind(1)
    normal = torch.linalg.cross(b - a, c - a)
    depth = SHAPE.clearance - ((points[vertex] - a) * normal / normal.norm(dim=1, keepdim=True)).sum(1)
    deepest = SHAPE.clearance + SHAPE.reach
    slope = torch.minimum(depth / SHAPE.soft, 2 - 2 * depth / deepest).clamp(0, 1)
    return float((contacts.weights[0, : len(depth)].double() * slope).sum()) * SHAPE.stiffness
