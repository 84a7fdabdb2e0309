"""Contacts: they are found as by brute force, their energy has no steps, and its gradient and curvature are right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh

from smplifyx.body.files import load_body_model_data
from smplifyx.body.model import BodyModel
from smplifyx.body.search import find_body_model
from smplifyx.collision.contact_term import ContactTerm
from smplifyx.collision.contacts import N_GROUPS, Contacts, ContactSearch, ContactShape
from smplifyx.collision.parts import PairFilter
from smplifyx.collision.self_collision import SelfCollision
from smplifyx.collision.skinning import BoneStates, SparseSkinning, bone_states
from smplifyx.config import CollisionConfig
from smplifyx.rotations import axis_angle_to_matrix
from smplifyx.synthetic.poses import mild_poses
from tests.bone_derivatives import bone_derivatives
from tests.collision.balls import Balls

SHAPE = ContactShape()


@pytest.fixture(scope="module")
def balls() -> Balls:
    return Balls()


def misfits(points: np.ndarray, normal: np.ndarray, vertex: int, corners: np.ndarray, reach: float) -> np.ndarray:
    """[F, 2] misfit of a vertex and triangles [F, 3, 3], by trimesh, and its height over their planes."""
    point = np.repeat(points[vertex][None], len(corners), 0)
    offset = point - trimesh.triangles.closest_point(corners, point)
    normals, _ = trimesh.triangles.normals(corners)
    height = (offset * normals).sum(1)
    distance = np.linalg.norm(offset, axis=1)
    turned = np.clip(1 + 2 * normals @ normal, 0, None)
    beside = np.sqrt(np.clip(distance**2 - height**2, 0, None)) / SHAPE.beside
    return np.stack([np.sqrt(turned**2 + (distance / reach) ** 2 + beside**2), height], 1)


def weight_of(misfit: np.ndarray) -> np.ndarray:
    rise = np.clip(3 - 3 * misfit, 0, 1)
    return rise**2 * (3 - 2 * rise)


def test_contacts_are_those_of_brute_force(balls):
    """Of each part the triangle of least misfit, of several parts the one that pushes most; weights and areas."""
    vertices = balls.placed((0, 0, 0), (0.071, 0.01, 0.004), (0.047, 0.015, 0.0))
    contacts, touching = balls.search.contacts([vertices])
    assert touching.tolist() == [True]
    n_pairs = int(contacts.found.n_pairs[0])
    found = dict(zip(contacts.found.pairs[0, :n_pairs, 0].tolist(), range(n_pairs), strict=True))
    points = vertices[0].double().numpy()
    mesh = trimesh.Trimesh(points, balls.faces, process=False)
    areas = np.bincount(balls.faces.ravel(), np.repeat(mesh.area_faces / 3, 3))
    normals = np.zeros_like(points)
    np.add.at(normals, balls.faces.ravel(), np.repeat(mesh.area_faces[:, None] * mesh.face_normals, 3, 0))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    corners, labels, in_two = points[balls.faces], balls.part[balls.faces[:, 0]], 0
    for vertex, own in enumerate(balls.part):
        by_part = []
        for part in set(range(3)) - {own}:
            faces = np.flatnonzero(labels == part)
            # Half of the thinnest side of the box around a ball without its poles.
            reach = min(SHAPE.reach, np.ptp(points[balls.part == part], axis=0).min() / 2)
            every = misfits(points, normals[vertex], vertex, corners[faces], reach)
            misfit, height = every[every[:, 0].argmin()]
            if misfit < 0.999 and height < SHAPE.clearance + SHAPE.slack - 1e-5:
                weight = float(weight_of(misfit))
                by_part.append((weight * np.clip((SHAPE.clearance - height) / SHAPE.soft, 0, 1), weight, misfit))
        if not by_part:
            if vertex in found:  # at the limit, where it weighs nothing
                assert float(contacts.weights[0, found[vertex]]) < 1e-5 * areas[vertex]
            continue
        in_two += len([one for one in by_part if one[0] > 0]) > 1
        force = max(one[0] for one in by_part)
        place = found[vertex]
        share = float(contacts.weights[0, place]) / areas[vertex]
        a, b, c = corners[int(contacts.found.pairs[0, place, 1])]
        normal = np.cross(b - a, c - a)
        height = (points[vertex] - a) @ normal / np.linalg.norm(normal)
        assert share * np.clip((SHAPE.clearance - height) / SHAPE.soft, 0, 1) == pytest.approx(force, abs=2e-3)
        if force == 0:
            assert share == pytest.approx(min(by_part, key=lambda one: one[2])[1], abs=2e-3)
        number = contacts.parts[0, place].item()
        other = labels[int(contacts.found.pairs[0, place, 1])]
        assert (number // 3, number % 3) == (min(own, other), max(own, other))
    assert len(found) > 20 and in_two > 0


def test_contacts_of_a_body_are_those_of_brute_force(body):
    """Of a sample: no other triangle of the part fits better, and the weight is that of the misfit."""
    _, posed = body.state(body.angles, body.betas)
    faces, labels, contacts = body.data.faces, body.collision.pair_filter.labels, body.contacts
    at_rest = trimesh.Trimesh(body.data.v_template, faces, process=False)
    areas = np.bincount(faces.ravel(), np.repeat(at_rest.area_faces / 3, 3))
    rng, least, most = np.random.default_rng(0), SHAPE.clearance + SHAPE.slack, SHAPE.reach
    for row, vertices in enumerate(posed):
        points = (vertices - vertices.mean(0)).double().numpy()
        mesh = trimesh.Trimesh(points, faces, process=False)
        for place in rng.choice(int(contacts.found.n_pairs[row]), 10, replace=False):
            vertex, triangle = contacts.found.pairs[row, place].tolist()
            around = (faces == vertex).any(1)
            normal = (mesh.face_normals[around] * mesh.area_faces[around, None]).sum(0)
            of_part = np.flatnonzero(labels == labels[triangle])
            thickness = np.ptp(at_rest.vertices[faces[of_part]].reshape(-1, 3), axis=0).min()
            reach = float(np.clip(thickness / 2, least, most))
            every = misfits(points, normal / np.linalg.norm(normal), vertex, points[faces[of_part]], reach)[:, 0]
            assert every[of_part == triangle] == pytest.approx(every.min(), abs=1e-3)
            share = float(contacts.weights[row, place]) / areas[vertex]
            assert share == pytest.approx(float(weight_of(every.min())), abs=3e-3)


def test_the_search_for_a_body_does_not_depend_on_its_neighbours(body):
    """Contacts to the bit, whatever else is in the batch and in which order."""
    inputs = body.betas, torch.zeros(len(body.betas), 10), axis_angle_to_matrix(body.angles)
    together, _ = body.collision.contacts(*inputs)
    for some in (torch.arange(len(body.betas)).flip(0), torch.tensor([1]), torch.tensor([0, 1] * 9)):
        alone, touching = body.collision.contacts(*(part[some] for part in inputs))
        assert touching.all()
        for row, other in enumerate(some.tolist()):
            count = int(together.found.n_pairs[other])
            assert int(alone.found.n_pairs[row]) == count
            assert torch.equal(alone.found.pairs[row, :count], together.found.pairs[other, :count])
            assert torch.equal(alone.weights[row, :count], together.weights[other, :count])


def test_a_mesh_that_is_not_finite_has_no_contacts(balls):
    vertices = balls.placed((0, 0, 0), (0.071, 0.01, 0.004), (0.047, 0.015, 0.0)).repeat(3, 1, 1)
    vertices[1, 5, 2] = torch.nan
    contacts, touching = balls.search.contacts([vertices])
    assert touching.tolist() == [True, False, True]
    assert torch.equal(contacts.found.pairs[0], contacts.found.pairs[1])


def test_a_vertex_whose_triangles_have_no_area_has_no_contact(balls):
    """The search of the others ends as before."""
    vertices = balls.placed((0, 0, 0), (0.071, 0.01, 0.004), (0.047, 0.015, 0.0)).repeat(2, 1, 1)
    contacts, _ = balls.search.contacts([vertices])
    vertex = int(contacts.found.pairs[0, :, 0].max())
    assert balls.part[vertex] == 2
    around = np.unique(balls.faces[(balls.faces == vertex).any(1)])
    vertices[1, around] = vertices[1, vertex].clone()
    contacts, touching = balls.search.contacts([vertices])
    before, after = (set(contacts.found.pairs[row, : contacts.found.n_pairs[row], 0].tolist()) for row in (0, 1))
    assert touching.all() and vertex in before and vertex not in after
    others = np.flatnonzero(balls.part < 2)
    assert before & set(others.tolist()) and len(after) > 0


@pytest.mark.parametrize(("angle", "expected"), [(85, None), (97, 0.822), (120, 1.0), (170, 1.0)])
def test_surfaces_have_to_face_each_other(angle, expected):
    """A small plate whose middle lies on a large one, and their normals at an angle."""

    def plate(size: float) -> np.ndarray:
        rim = size * np.array([[1, 1, 0], [-1, 1, 0], [-1, -1, 0], [1, -1, 0.0]])
        return np.concatenate([np.zeros((1, 3)), rim])

    turn = np.radians(angle)
    rotation = np.array([[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]])
    faces = np.array([[0, 1, 2], [0, 2, 3], [0, 3, 4], [0, 4, 1]])
    faces = np.concatenate([faces, faces + 5])
    chosen = PairFilter(np.repeat([0, 1], 4), ~np.eye(2, dtype=bool), np.zeros((0, 2), np.int64))
    at_rest = np.concatenate([plate(0.05), plate(0.001) + np.array([0, 0, 1.0])])
    search = ContactSearch(at_rest, faces, chosen)
    posed = np.concatenate([plate(0.05) - np.array([0.01, 0.02, 0]), plate(0.001) @ rotation.T])
    contacts, touching = search.contacts([torch.as_tensor(posed, dtype=torch.float32)[None]])
    pairs = contacts.found.pairs[0, : int(contacts.found.n_pairs[0])].tolist() if touching[0] else []
    weights = {vertex: float(contacts.weights[0, k]) for k, (vertex, _) in enumerate(pairs)}
    assert weights.get(5) == (None if expected is None else pytest.approx(expected * 0.002**2 / 3, rel=1e-2))


def test_nothing_pushes_in_the_rest_pose(body):
    """Whatever many parts a vertex is close to there."""
    contacts, touching = body.collision.search.contacts([torch.as_tensor(body.data.v_template).float()[None]])
    assert not touching.any() and contacts.weights.numel() == 0


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


def depths(contacts: Contacts, faces: np.ndarray, points: torch.Tensor, row: int = 0) -> torch.Tensor:
    """[P] how far the contacts of a body with vertices [V, 3] are below the clearance, by plain torch."""
    vertex, face = contacts.found.pairs[row, : int(contacts.found.n_pairs[row])].long().T
    a, b, c = points[torch.as_tensor(faces).long()[face]].unbind(1)
    normal = torch.linalg.cross(b - a, c - a)
    return SHAPE.clearance - ((points[vertex] - a) * normal / normal.norm(dim=1, keepdim=True)).sum(1)


def plain_energy(contacts: Contacts, faces: np.ndarray, points: torch.Tensor, row: int = 0) -> torch.Tensor:
    """Energy of the contacts of a body with vertices [V, 3]."""
    depth = depths(contacts, faces, points, row)
    energy = torch.where(depth < SHAPE.soft, depth.clamp_min(0).square() / (2 * SHAPE.soft), depth - SHAPE.soft / 2)
    return (contacts.weights[row, : len(depth)].double() * energy).sum() * SHAPE.stiffness


def test_energy_and_gradient_against_plain_torch(body):
    angles, betas = body.angles.clone().requires_grad_(), body.betas.clone().requires_grad_()
    state, vertices = body.state(angles, betas)
    rows = torch.arange(len(betas))
    energy = body.term()(state, rows)
    expected = torch.stack(
        [plain_energy(body.contacts, body.data.faces, one, row) for row, one in enumerate(vertices.double())]
    )
    assert len(energy) >= 3 and (expected > 0.1).sum() >= 3
    torch.testing.assert_close(energy.double(), expected, rtol=1e-3, atol=1e-4)
    found = torch.autograd.grad(energy.sum(), [angles, betas], retain_graph=True)
    for one, other in zip(found, torch.autograd.grad(expected.sum(), [angles, betas]), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=2e-3 * float(other.abs().max()))


def test_directions_are_the_curvature_of_one_contact(body):
    """A single contact that is not deep: the energy is a parabola in its depth, so g g' is nearly its Hessian."""
    state, vertices = body.state(body.angles, body.betas)
    depth = depths(body.contacts, body.data.faces, vertices[0].double())
    good = (depth > 0.2 * SHAPE.soft) & (depth < 0.8 * SHAPE.soft) & (body.contacts.weights[0, : len(depth)] > 0)
    place = int(good.nonzero()[0, 0])
    weights = torch.zeros_like(body.contacts.weights)
    weights[0, place] = body.contacts.weights[0, place]
    term = body.term(replace(body.contacts, weights=weights))
    rows = torch.arange(len(body.betas))
    directions = term.directions(state, rows, weight=2.0)
    assert directions.any(2).nonzero().tolist() == [[0, int(body.contacts.groups[0, place])]]
    energy, first = term.evaluation(rows, weight=2.0)(state)
    # E = w d^2 / 2 s has the gradient g = w d / s d', its direction is sqrt(w / s) d' = g / sqrt(2 E).
    expected = bone_derivatives(state, first, 20)[0] / (2 * energy[0]).sqrt()
    atol = 1e-4 * float(expected.abs().max())
    torch.testing.assert_close(directions[0].sum(0), expected, rtol=1e-3, atol=atol)


def test_the_direction_of_a_group_is_the_mean_of_its_contacts(body):
    """With the curvatures k and the derivatives d' of the depths it is sum(k d') / sqrt(sum(k))."""
    state, vertices = body.state(body.angles, body.betas)
    contacts, rows = body.contacts, torch.arange(len(body.betas))
    depth = depths(contacts, body.data.faces, vertices[0].double())
    curvature = (1 / depth.clamp_min(SHAPE.soft)) * contacts.weights[0, : len(depth)] * SHAPE.stiffness
    of_group = (contacts.groups[0, : len(depth)] == 0) & (depth > 1e-5) & (contacts.weights[0, : len(depth)] > 0)
    places = of_group.nonzero()[:, 0][:5]

    def direction(some: torch.Tensor) -> torch.Tensor:
        weights = torch.zeros_like(contacts.weights)
        weights[0, some] = contacts.weights[0, some]
        directions = body.term(replace(contacts, weights=weights)).directions(state, rows)
        assert directions.any(2).nonzero().tolist() == [[0, 0]]
        return directions[0, 0]

    assert len(places) > 1
    along = [k.sqrt() * direction(place[None]) for k, place in zip(curvature[places], places, strict=True)]
    expected = (sum(along) / curvature[places].sum().sqrt()).float()
    torch.testing.assert_close(direction(places), expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


def test_a_body_does_not_depend_on_its_neighbours(body):
    """Energy, gradient and directions to the bit, whatever else is in the batch and in which order."""
    state, _ = body.state(body.angles, body.betas)
    rows = torch.arange(len(body.betas))
    energy, gradient = body.term().evaluation(rows)(state)
    directions = body.term().directions(state, rows)
    for some in (rows[-1:], rows.flip(0)):
        own_energy, own_gradient = body.term().evaluation(some)(state.index(some))
        assert torch.equal(own_energy, energy[some]) and torch.equal(own_gradient.rotations, gradient.rotations[some])
        assert torch.equal(body.term().directions(state.index(some), some), directions[some])


def test_groups_are_pairs_of_parts_and_the_rest_is_joined(body):
    contacts = body.contacts
    many = replace(contacts, parts=contacts.found.pairs[..., 0] % (2 * N_GROUPS))  # of twice as many pairs of parts
    most_joined = 0
    for own in contacts, many:
        for row, count in enumerate(own.found.n_pairs.tolist()):
            groups, parts = own.groups[row, :count], own.parts[row, :count]
            largest = int(torch.bincount(groups[groups < N_GROUPS - 1]).max())
            assert largest == int(parts.unique(return_counts=True)[1].max())
            for group in range(N_GROUPS - 1):
                assert len(parts[groups == group].unique()) <= 1
            n_joined = len(parts[groups == N_GROUPS - 1].unique())
            assert n_joined == max(0, len(parts.unique()) - (N_GROUPS - 1))
            most_joined = max(most_joined, n_joined)
    assert most_joined > 1


@pytest.mark.parametrize("aside", [0.0, 0.021])
def test_energy_and_force_have_no_jumps_on_the_way_through(balls, aside):
    """The thin ball goes through the large one; contacts are found anew at each place, as at the start of a round.

    With ``aside`` it also passes the rim, where the surface of the large ball ends.
    """
    # The rim is at 0.3 radians from the axis.
    places = [(aside, 0.0, z) for z in np.arange(0.066, -0.002, -0.0001)]
    energies, forces = np.array([_energy_and_force(balls, place) for place in places]).T
    assert energies[0] == 0 and max(energies) > 0 and max(forces) > 0
    for values in (energies, forces):
        changes = np.abs(np.diff(values))
        assert changes.max() < 0.05 * values.max()


def _energy_and_force(balls: Balls, place: tuple[float, float, float]) -> tuple[float, float]:
    """Energy of the thin ball in the large one, and the length of its derivative by the thin ball's place."""
    vertices = balls.placed((0, 0, 0), (1, 0, 0), place)
    contacts, touching = balls.search.contacts([vertices])
    if not touching[0]:
        return 0.0, 0.0
    shift = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    moves = torch.as_tensor(balls.part == 2)[:, None] * shift
    energy = plain_energy(contacts, balls.faces, vertices[0].double() + moves)
    (force,) = torch.autograd.grad(energy, shift)
    return energy.item(), force.norm().item()


def test_flat_triangles_have_no_contact_energy(body):
    """They have no normal."""
    state, _ = body.state(body.angles, body.betas)
    flat, weights = body.contacts.points.clone(), torch.zeros_like(body.contacts.weights)
    flat[0, 0, 3], weights[0, 0] = flat[0, 0, 2], 1.0
    term = body.term(replace(body.contacts, points=flat, weights=weights))
    energy, gradient = term.evaluation(torch.arange(len(body.betas)))(state)
    assert float(energy.abs().max()) == 0 and float(gradient.rotations.abs().max()) == 0


def test_parts_that_are_further_apart_have_contacts_too(balls):
    search = ContactSearch(balls.vertices, balls.faces, balls.pairs, further=0.02)
    gap = 0.015
    apart = balls.placed((0, 0, 0), (0.05 + 0.03 + gap, 0, 0), (9, 0, 0))
    assert not balls.search.contacts([apart])[1].any()
    contacts, touching = search.contacts([apart])
    assert touching.all() and contacts.found.n_pairs.item() > 0 and contacts.weights.max() > 0
    vertex, triangle = contacts.found.pairs[0, : contacts.found.n_pairs.item()].long().unbind(1)
    assert set(balls.part[vertex]) == {0, 1}
    assert (torch.as_tensor(balls.part)[vertex] != torch.as_tensor(balls.part[balls.faces[triangle, 0]])).all()
    far = balls.placed((0, 0, 0), (0.05 + 0.03 + 0.03, 0, 0), (9, 0, 0))
    assert not search.contacts([far])[1].any()
