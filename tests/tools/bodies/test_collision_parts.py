import itertools

import numpy as np
import pytest
from scipy.optimize import nnls

from tools.bodies.collision_parts import part_labels, rest_contact_pairs, triangle_distances

NO_PARENTS = np.array([-1, 0, 1, 0])


def hull_distance(first, second):
    """Distance of two triangles as a non-negative least-squares problem over their barycentric coordinates."""
    weight = 1e4
    matrix = np.zeros((5, 6))
    matrix[:3, :3], matrix[:3, 3:] = first.T, -second.T
    matrix[3, :3] = matrix[4, 3:] = weight
    coordinates, _ = nnls(matrix, np.array([0, 0, 0, weight, weight]))
    return np.linalg.norm(matrix[:3] @ coordinates)


def touching_pairs_one_by_one(vertices, faces, labels, parents, distance):
    pairs = []
    for i, j in itertools.combinations(range(len(faces)), 2):
        a, b = labels[i], labels[j]
        filtered = a == b or parents[a] == b or parents[b] == a or set(faces[i]) & set(faces[j])
        if not filtered and hull_distance(vertices[faces[i]], vertices[faces[j]]) <= distance:
            pairs.append((i, j))
    return np.array(pairs)


@pytest.mark.parametrize("spread", [0.2, 1.0, 3.0])
def test_triangle_distances_agree_with_least_squares(spread):
    random = np.random.default_rng(3)
    first, second = random.normal(size=(2, 200, 3, 3))
    second += spread * random.normal(size=(200, 1, 3))
    expected = [hull_distance(a, b) for a, b in zip(first, second, strict=True)]
    found = triangle_distances(first, second)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert 0 < np.sum(found == 0) < 200


def test_triangle_distances_of_special_positions():
    flat = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    inside = flat * 0.2 + np.array([0.1, 0.1, 0.0])
    parallel_above = inside + np.array([0, 0, 0.3])
    beside = flat + np.array([2.0, 0, 0])
    found = triangle_distances(np.stack([flat] * 3), np.stack([inside, parallel_above, beside]))
    np.testing.assert_allclose(found, [0.0, 0.3, 1.0], atol=1e-12)


def test_contact_pairs_agree_with_testing_every_pair():
    random = np.random.default_rng(0)
    vertices = random.uniform(size=(60, 3))
    # triangles of very different sizes, many of which share vertices
    faces = np.array([random.choice(60, 3, replace=False) for _ in range(40)])
    small = random.uniform(size=(30, 1, 3)) + 0.05 * random.normal(size=(30, 3, 3))
    faces = np.concatenate([faces, np.arange(60, 150).reshape(30, 3)])
    vertices = np.concatenate([vertices, small.reshape(-1, 3)])
    labels = random.integers(0, 4, size=70)
    for distance in (1e-6, 0.03):
        found = rest_contact_pairs(vertices, faces, labels, NO_PARENTS, distance)
        expected = touching_pairs_one_by_one(vertices, faces, labels, NO_PARENTS, distance)
        np.testing.assert_array_equal(found, expected)
        assert len(found) > 20


def test_no_contacts_gives_an_empty_table():
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 0, 0], [6, 0, 0], [5, 1, 0]])
    pairs = rest_contact_pairs(vertices, np.array([[0, 1, 2], [3, 4, 5]]), np.array([1, 3]), NO_PARENTS)
    assert pairs.shape == (0, 2)


def test_part_is_the_joint_of_largest_summed_weight():
    weights = np.array([[0.6, 0.4, 0.0], [0.6, 0.4, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    labels = part_labels(weights, np.array([[0, 1, 2], [0, 1, 3]]))
    np.testing.assert_array_equal(labels, [1, 0])
