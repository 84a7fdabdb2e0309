"""The search against brute force: random triangles, triangles on a lattice, and posed bodies."""

from __future__ import annotations

import sys
from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.optimize import nnls

from smplifyx.body.model import BodyModel
from smplifyx.collision.parts import BodyParts, PairFilter, body_parts, pair_filter
from smplifyx.collision.search import TriangleSearch, rest_pairs
from smplifyx.errors import UsageError
from smplifyx.rotations import axis_angle_to_matrix
from smplifyx.synthetic.poses import mild_poses
from tests.collision.pairs import intersecting_pairs
from tests.collision.plain_penalty import intersection_length

_N = 150


def _soup(rng: np.random.Generator, vertices: np.ndarray) -> tuple[np.ndarray, PairFilter]:
    """Triangles that do or do not share vertices, in random parts, some pairs ignored."""
    faces = np.arange(3 * _N).reshape(_N, 3)
    faces[::7, 0] = faces[1::7, 1][: len(faces[::7])]
    parts = BodyParts(rng.integers(0, 9, _N), np.array([-1, 0, 1, 2, 0, -1, 5, 5, 3]))
    chosen = pair_filter(parts, np.arange(3 * _N).reshape(_N, 3), [(0, 8)], rng.integers(0, _N, (200, 2)))
    return faces, chosen


def _random_vertices(rng: np.random.Generator) -> np.ndarray:
    """Large and small triangles, some far off, some without area."""
    size = rng.choice([0.02, 0.2, 1.0], (_N, 1, 1))
    triangles = rng.normal(size=(_N, 1, 3)) * 0.5 + size * rng.normal(size=(_N, 3, 3))
    triangles[:20] += 1e4 * rng.normal(size=(20, 1, 3))
    triangles[20:40, 2] = triangles[20:40, 1]
    triangles[40:50] = triangles[40:50, :1]
    return triangles.reshape(-1, 3)


def _lattice_vertices(rng: np.random.Generator) -> np.ndarray:
    """Corners on few points of a lattice: triangles touch, coincide, lie in one plane, or have no area."""
    return rng.integers(0, 4, (3 * _N, 3)) / 4.0


def _intersect(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether some mean of the corners [3, 3] of one triangle equals one of the other's: a linear program."""
    system = np.block([[first.T, -second.T], [np.ones(3), np.zeros(3)], [np.zeros(3), np.ones(3)]])
    return bool(nnls(system, np.array([0.0, 0.0, 0.0, 1.0, 1.0]))[1] < 1e-9)


def _brute_force(vertices: np.ndarray, faces: np.ndarray, chosen: PairFilter) -> set[tuple[int, int]]:
    """All pairs, one after the other."""
    pairs = np.array(list(combinations(range(len(faces)), 2)))
    pairs = pairs[chosen.keeps(faces, pairs)]
    triangles = vertices.astype(np.float32).astype(np.float64)[faces]
    return {(a, b) for a, b in pairs.tolist() if _intersect(triangles[a], triangles[b])}


def _found(search: TriangleSearch, vertices: np.ndarray, margin: float | None = None) -> list[tuple[int, int]]:
    pairs = search(torch.as_tensor(vertices)[None], margin)
    return list(map(tuple, pairs.triangles.tolist()))


@pytest.mark.parametrize("make", [_random_vertices, _lattice_vertices])
@pytest.mark.parametrize("seed", range(3))
def test_random_triangles(make, seed):
    rng = np.random.default_rng(seed)
    vertices = make(rng)
    faces, chosen = _soup(rng, vertices)
    # Built from another mesh: a tree that is only refitted must find the same.
    found = _found(TriangleSearch(rng.normal(size=vertices.shape), faces, chosen), vertices)
    assert len(found) == len(set(found)) > 50
    assert set(found) == _brute_force(vertices, faces, chosen)


@pytest.mark.parametrize("margin", [0.0, 0.03])
def test_boxes_with_a_margin(margin):
    rng = np.random.default_rng(9)
    vertices = _random_vertices(rng).astype(np.float32)
    faces, chosen = _soup(rng, vertices)
    low, high = vertices[faces].min(1) - np.float32(margin), vertices[faces].max(1) + np.float32(margin)
    pairs = np.array(list(combinations(range(_N), 2)))
    a, b = pairs[chosen.keeps(faces, pairs)].T
    overlap = ((low[a] <= high[b]) & (low[b] <= high[a])).all(1)
    expected = set(zip(a[overlap].tolist(), b[overlap].tolist(), strict=True))
    assert set(_found(TriangleSearch(vertices, faces, chosen), vertices, margin)) == expected


@pytest.fixture(scope="module")
def body_filter(open_body):
    return pair_filter(body_parts(open_body), open_body.faces, [(9, 16), (9, 17), (6, 16), (6, 17), (1, 2), (12, 22)])


@pytest.fixture(scope="module")
def body_search(open_body, body_filter):
    return TriangleSearch(open_body.v_template, open_body.faces, body_filter)


@pytest.fixture(scope="module")
def posed(open_body):
    """Bodies [4, V, 3] with wide poses: arms and legs pass through each other and the trunk."""
    poses = torch.zeros(4, 55, 3)
    poses[:, 1:22] = torch.as_tensor(mild_poses(4, spread=1.5, seed=1).body_pose, dtype=torch.float32).unflatten(
        1, (21, 3)
    )
    model = BodyModel.from_data(open_body)
    with torch.no_grad():
        return model(torch.zeros(4, 10), torch.zeros(4, 10), axis_angle_to_matrix(poses)).vertices


def test_posed_bodies(open_body, body_filter, body_search, posed):
    pairs = body_search(posed)
    assert len(pairs.rows) > 500 and not pairs.truncated.any()
    for row, vertices in enumerate(posed.double().numpy()):
        found = set(map(tuple, pairs.triangles[pairs.rows == row].tolist()))
        witness = intersecting_pairs(vertices, open_body.faces, body_filter.labels, body_filter.related_parts)
        expected = set(map(tuple, witness[body_filter.keeps(open_body.faces, witness)].tolist()))
        assert expected <= found
        touching = np.array(sorted(found - expected)).reshape(-1, 2)  # these meet in a point at most
        triangles = torch.as_tensor(vertices[open_body.faces])
        assert (intersection_length(triangles[touching[:, 0]], triangles[touching[:, 1]]) < 1e-9).all()
        assert len(touching) <= 2


def test_bodies_of_a_batch_do_not_see_each_other(body_search, posed):
    together = body_search(posed)
    for row in range(len(posed)):
        alone = body_search(posed[row : row + 1])
        assert torch.equal(together.triangles[together.rows == row], alone.triangles)


def test_a_body_that_is_not_finite_has_no_pairs(body_search, posed):
    broken = posed.clone()
    broken[1, 77, 2] = torch.nan
    broken[2] = torch.inf
    pairs, whole = body_search(broken), body_search(posed)
    assert not torch.isin(pairs.rows, torch.tensor([1, 2])).any()
    assert (pairs.rows == 3).sum() == (whole.rows == 3).sum()


def test_no_bodies_no_pairs(body_search, posed):
    pairs = body_search(posed[:0])
    assert len(pairs.rows) == len(pairs.triangles) == len(pairs.truncated) == 0


def test_the_limit_of_pairs_is_reported(open_body, body_filter, body_search, posed):
    counts = torch.bincount(body_search(posed).rows, minlength=len(posed))
    limit = int(counts.max()) - 1
    pairs = TriangleSearch(open_body.v_template, open_body.faces, body_filter, max_pairs=limit)(posed)
    assert torch.equal(pairs.truncated, counts > limit)
    assert torch.equal(torch.bincount(pairs.rows, minlength=len(posed)), counts.clamp(max=limit))


def test_at_rest_only_what_is_ignored_afterwards(open_body, body_search):
    """With the whole of the head in parts that may collide, eyes and mouth show up and can be left out."""
    assert len(rest_pairs(body_search, open_body.v_template)) == 0
    parts = body_parts(open_body)
    loose = pair_filter(BodyParts(parts.labels, np.full(55, -1)), open_body.faces, [(12, 15)])
    loose.colliding_parts[15, 23] = loose.colliding_parts[23, 15] = True
    touching = rest_pairs(TriangleSearch(open_body.v_template, open_body.faces, loose), open_body.v_template)
    assert len(touching) > 50
    without = PairFilter(loose.labels, loose.colliding_parts, touching)
    assert len(rest_pairs(TriangleSearch(open_body.v_template, open_body.faces, without), open_body.v_template)) == 0


def test_a_missing_library_is_named(monkeypatch, open_body, body_filter):
    monkeypatch.setitem(sys.modules, "warp", None)
    with pytest.raises(UsageError, match=r"warp-lang.*--collision.enabled false"):
        TriangleSearch(open_body.v_template, open_body.faces, body_filter)
