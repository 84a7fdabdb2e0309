"""The collision term: its value, its gradient, and that kept candidates miss nothing."""

from __future__ import annotations

import pytest
import torch

from smplifyx.body.files import load_body_model_data
from smplifyx.body.model import BodyModel
from smplifyx.body.search import find_body_model
from smplifyx.collision.candidates import CandidateCache
from smplifyx.collision.displacement import DisplacementBound
from smplifyx.collision.parts import body_parts, pair_filter
from smplifyx.collision.penalty import CollisionTerm
from smplifyx.collision.search import TriangleSearch
from smplifyx.collision.skinning import BoneStates, ConeOptions, SparseSkinning, bone_states
from smplifyx.rotations import axis_angle_to_matrix
from smplifyx.synthetic.poses import mild_poses
from tests.collision.plain_penalty import cone_energy

_CONES = ConeOptions(height=0.01)


class _Body:
    """The open body with all that the term needs."""

    def __init__(self) -> None:
        self.data = load_body_model_data(find_body_model("smplx", "neutral"))
        self.model = BodyModel.from_data(self.data)
        self.faces = torch.as_tensor(self.data.faces).long()
        self.filter = pair_filter(body_parts(self.data), self.data.faces, [(1, 2), (9, 16), (9, 17)])
        self.search = self.searching(32768)
        self.skinning = SparseSkinning(self.model, self.data.faces, torch.device("cpu"))
        self.bound = DisplacementBound(self.model)

    def searching(self, max_pairs: int) -> TriangleSearch:
        return TriangleSearch(self.data.v_template, self.data.faces, self.filter, max_pairs)

    def candidates(self, n_rows: int, margin: float, search: TriangleSearch | None = None) -> CandidateCache:
        return CandidateCache(self.skinning, self.bound, search or self.search, n_rows, margin)

    def pose(self, axis_angle: torch.Tensor, betas: torch.Tensor) -> tuple[BoneStates, torch.Tensor]:
        rotations = axis_angle_to_matrix(axis_angle)
        output = self.model(betas, torch.zeros(len(betas), 10), rotations)
        return bone_states(self.model, betas, torch.zeros(len(betas), 10), rotations, output), output.vertices


@pytest.fixture(scope="module")
def body() -> _Body:
    return _Body()


@pytest.fixture(scope="module")
def poses() -> torch.Tensor:
    """[4, 55, 3] axis-angles; arms and legs pass through each other."""
    poses = torch.zeros(4, 55, 3)
    poses[:, 1:22] = torch.as_tensor(mild_poses(4, spread=1.5, seed=1).body_pose, dtype=torch.float32).unflatten(
        1, (21, 3)
    )
    return poses


def test_value_and_gradient_are_those_of_the_full_mesh(body, poses):
    betas = torch.randn(4, 10, generator=torch.manual_seed(0)).requires_grad_()
    poses = poses.clone().requires_grad_()
    rows = torch.tensor([3, 0, 1, 2])
    weights = torch.tensor([1.0, 2.0, 0.5, 3.0])

    state, vertices = body.pose(poses, betas)
    energy = _exact_term(body)(state, rows)
    found = torch.autograd.grad((weights * energy).sum(), [poses, betas], retain_graph=True)

    pairs = body.search(vertices)
    corners = vertices[pairs.rows[:, None, None], body.faces[pairs.triangles]]
    expected = torch.zeros(4).index_add(0, pairs.rows, cone_energy(corners[:, 0], corners[:, 1], _CONES))
    assert (expected > 1).sum() >= 3
    torch.testing.assert_close(energy, expected, rtol=2e-3, atol=1e-3)
    # A body that starts in another place rounds differently, and steep cones magnify that.
    for one, other in zip(found, torch.autograd.grad((weights * expected).sum(), [poses, betas]), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=3e-3 * float(other.abs().max()))


@pytest.mark.parametrize(
    ("margin", "max_pairs"), [(0.0, 32768), (0.002, 32768), (0.006, 200_000), (0.004, 6000), (0.004, 2000)]
)
def test_kept_candidates_miss_no_collision(body, poses, margin, max_pairs):
    """Random walks with small and large steps, some rows asked now and then only, some with too many candidates."""
    kept, always = body.candidates(4, margin, body.searching(max_pairs)), body.candidates(4, 0.0)
    generator = torch.Generator().manual_seed(7)
    angles, betas = poses.clone(), torch.zeros(4, 10)
    n_pairs = 0
    for step in range(24):
        size = 0.0003 if step % 6 else 0.05
        angles = angles + size * torch.randn(angles.shape, generator=generator)
        betas = betas + size * torch.randn(betas.shape, generator=generator)
        rows = torch.tensor([0, 1, 2, 3] if step % 3 else [0, 2])
        state, _ = body.pose(angles[rows], betas[rows])
        one, other = kept.intersecting(state, rows), always.intersecting(state, rows)
        for row in range(len(rows)):
            found, expected = (set(map(tuple, pairs.triangles[pairs.rows == row].tolist())) for pairs in (one, other))
            assert found == expected
            n_pairs += len(found)
    assert n_pairs > 1000 and not kept.truncated.any()
    assert always.counts.searches == always.counts.evaluations == kept.counts.evaluations
    always_crowded = max_pairs == 2000  # more boxes meet, even without a margin, but fewer triangles intersect
    assert (kept.counts.searches == kept.counts.evaluations) == (margin == 0 or always_crowded)


def test_too_many_candidates_are_reported(body, poses):
    state, _ = body.pose(poses, torch.zeros(4, 10))
    whole = body.candidates(4, 0.0)
    whole.intersecting(state, torch.arange(4))
    assert not whole.truncated.any()
    few = body.candidates(4, 0.0, body.searching(10))
    hits = few.intersecting(state, torch.arange(4))
    assert few.truncated.any() and torch.bincount(hits.rows, minlength=4).max() <= 10


def test_bodies_without_collisions_have_no_energy_and_no_gradient(body):
    poses = torch.zeros(2, 55, 3, requires_grad=True)
    state, _ = body.pose(poses, torch.zeros(2, 10))
    energy = CollisionTerm(body.skinning, body.candidates(2, 0.002), _CONES)(state, torch.arange(2))
    (gradient,) = torch.autograd.grad(energy.sum(), poses)
    assert not energy.any() and not gradient.any()


def test_looking_at_the_energy_does_not_change_it(body, poses):
    """The pairs that count do not depend on earlier searches."""
    betas, rows = torch.zeros(4, 10), torch.arange(4)
    moved = poses.clone()
    moved[:, 16:20] += 0.03
    (start, _), (elsewhere, _) = body.pose(poses, betas), body.pose(moved, betas)
    looked_at, fresh = _exact_term(body), _exact_term(body)
    first = looked_at(elsewhere, rows)
    kept = first.clone()
    assert torch.equal(looked_at(start, rows), fresh(start, rows))
    assert torch.equal(first, kept), "the second evaluation changed what the first one gave"


def test_a_body_does_not_depend_on_its_neighbours(body, poses):
    """Energy and gradient to the bit, whatever else is in the batch and in which order."""
    state, _ = body.pose(poses, torch.zeros(4, 10))
    together = _value_and_gradient(_exact_term(body), state, torch.arange(4))
    for rows in (torch.tensor([3]), torch.tensor([2, 0]), torch.tensor([1, 3, 2, 0])):
        for found, expected in zip(
            _value_and_gradient(_exact_term(body), state.index(rows), rows), together, strict=True
        ):
            assert torch.equal(found, expected[rows])


def _exact_term(body: _Body) -> CollisionTerm:
    return CollisionTerm(body.skinning, body.candidates(4, 0.002), _CONES)


def _value_and_gradient(term: CollisionTerm, state: BoneStates, rows: torch.Tensor) -> list[torch.Tensor]:
    parts = [state.coefficients, state.rotations, state.positions, state.rest_joints]
    parts = [part.clone().requires_grad_() for part in parts]
    energy = term(BoneStates(*parts), rows)
    return [energy.detach(), *torch.autograd.grad(energy.sum(), parts)]
