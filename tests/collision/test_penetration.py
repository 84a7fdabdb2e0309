"""Penetration depth and volume against shapes whose overlap is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from trimesh.transformations import rotation_matrix

from smplifyx.collision.penetration import (
    Penetration,
    PenetrationMeter,
    overlap_volume,
    point_triangle_distances,
    winding_numbers,
)
from tests.collision.pairs import intersecting_pairs


def two_shapes(first: trimesh.Trimesh, second: trimesh.Trimesh) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices, faces and part labels of two shapes in one mesh."""
    vertices = np.concatenate([first.vertices, second.vertices])
    faces = np.concatenate([first.faces, second.faces + len(first.vertices)])
    labels = np.repeat([0, 1], [len(first.faces), len(second.faces)])
    return vertices, faces, labels


def measure(first: trimesh.Trimesh, second: trimesh.Trimesh) -> tuple[Penetration, float]:
    vertices, faces, labels = two_shapes(first, second)
    related = np.eye(2, dtype=bool)
    pairs = intersecting_pairs(vertices, faces, labels, related)
    result = PenetrationMeter(faces, labels, related).measure(vertices, pairs)
    return result, overlap_volume(vertices, faces, result)


@pytest.mark.parametrize("overlap", [0.02, 0.05])
def test_two_spheres(overlap: float) -> None:
    radius = 0.1
    first = trimesh.creation.icosphere(3, radius)
    second = trimesh.creation.icosphere(3, radius).apply_translation([2 * radius - overlap, 0.0, 0.0])
    result, volume = measure(first, second)
    cap = overlap / 2
    lens = 2 * np.pi * cap**2 * (3 * radius - cap) / 3
    assert result.n_pairs > 20
    assert result.depth == pytest.approx(overlap, rel=0.15)
    assert result.depth < overlap
    assert volume == pytest.approx(lens, rel=0.15)


def test_a_thin_rod_through_a_box_is_half_the_box_deep() -> None:
    box = trimesh.creation.box([0.4, 0.2, 0.4]).subdivide().subdivide().subdivide()
    rod = trimesh.creation.cylinder(0.02, 0.6, sections=12).subdivide().subdivide().subdivide()
    result, volume = measure(box, rod.apply_transform(rotation_matrix(np.pi / 2, [1, 0, 0])))
    assert result.depth == pytest.approx(0.1, rel=0.1)
    assert volume == pytest.approx(np.pi * 0.02**2 * 0.2, rel=0.1)


def test_shapes_apart_do_not_penetrate() -> None:
    first = trimesh.creation.icosphere(2, 0.1)
    result, volume = measure(first, trimesh.creation.icosphere(2, 0.1).apply_translation([0.201, 0.0, 0.0]))
    assert (result.n_pairs, result.depth, volume) == (0, 0.0, 0.0)


def test_winding_numbers_count_the_layers() -> None:
    first = trimesh.creation.icosphere(2, 0.1)
    vertices, faces, _ = two_shapes(first, trimesh.creation.icosphere(2, 0.1).apply_translation([0.1, 0.0, 0.0]))
    points = np.array([[0.3, 0.0, 0.0], [-0.05, 0.0, 0.0], [0.05, 0.0, 0.0]])
    np.testing.assert_allclose(winding_numbers(points, vertices, faces), [0.0, 1.0, 2.0], atol=1e-5)
    on_surface = winding_numbers(vertices[:1] * 1.0, vertices, faces)
    assert 0.3 < on_surface[0] % 1 < 0.5


def test_point_triangle_distances_against_trimesh() -> None:
    rng = np.random.default_rng(0)
    triangles, points = rng.normal(size=(500, 3, 3)), rng.normal(size=(500, 3))
    nearest = trimesh.triangles.closest_point(triangles, points)
    expected = np.linalg.norm(points - nearest, axis=1)
    np.testing.assert_allclose(point_triangle_distances(points, triangles), expected, atol=1e-12)
    degenerate = np.zeros((1, 3, 3))
    assert point_triangle_distances(np.array([[3.0, 4.0, 0.0]]), degenerate) == pytest.approx(5.0)
