"""Penetration depth and volume against shapes whose overlap is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from trimesh.transformations import rotation_matrix

from smplifyx.collision.penetration import Penetration, PenetrationMeter, overlap_volume
from smplifyx.collision.surface import PosedSurface
from tests.collision import plain_penetration
from tests.collision.pairs import intersecting_pairs
from tests.collision.plain_penetration import point_triangle_distances, winding_numbers


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
    meter = PenetrationMeter(vertices, faces, labels, related)
    result = meter.measure(vertices, pairs)
    return result, overlap_volume(meter.surface, vertices, faces, result)


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


def test_the_tip_of_a_cone_is_a_patch_of_one_vertex() -> None:
    """The tip has more neighbours than any other vertex, and all of them are outside."""
    box = trimesh.creation.box([0.2, 0.2, 0.2]).subdivide().subdivide()
    cone = trimesh.creation.cone(0.05, 0.2, sections=16).apply_transform(rotation_matrix(np.pi, [1, 0, 0]))
    result, _ = measure(box, cone.apply_translation([0.02, 0.013, 0.28]))
    assert [len(patch) for patch in result.patches] == [1]
    assert result.depth == pytest.approx(0.02, abs=1e-6)


def test_shapes_apart_do_not_penetrate() -> None:
    first = trimesh.creation.icosphere(2, 0.1)
    result, volume = measure(first, trimesh.creation.icosphere(2, 0.1).apply_translation([0.201, 0.0, 0.0]))
    assert (result.n_pairs, result.depth, volume) == (0, 0.0, 0.0)


def two_balls(subdivisions: int, shift: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two balls of 10 cm in one mesh, the second one shifted."""
    first = trimesh.creation.icosphere(subdivisions, 0.1)
    return two_shapes(first, trimesh.creation.icosphere(subdivisions, 0.1).apply_translation([shift, 0.0, 0.0]))


def test_winding_numbers_count_the_layers() -> None:
    vertices, faces, labels = two_balls(2, 0.1)
    points = np.array([[0.3, 0.0, 0.0], [-0.05, 0.0, 0.0], [0.05, 0.0, 0.0]])
    np.testing.assert_allclose(winding_numbers(points, vertices, faces), [0.0, 1.0, 2.0], atol=1e-5)
    on_surface = winding_numbers(vertices[:1], vertices, faces)
    assert 0.3 < on_surface[0] % 1 < 0.5
    surface = PosedSurface(vertices, faces, labels)
    for number in (-0.5, 0.5, 1.5, 2.5):
        np.testing.assert_array_equal(surface.surrounds(points, number), np.arange(3) > number)


def test_surrounds_and_distances_are_those_of_all_single_triangles() -> None:
    """For points all around, for vertices, and for one part that is open, in another pose than that of the start."""
    rest, faces, labels = two_balls(3, 0.1)
    vertices = (rest + 0.03 * np.sin(40.0 * rest[:, [1, 2, 0]] + 0.2)).astype(np.float32).astype(np.float64)
    faces, labels = faces[10:], labels[10:]  # with a hole, so that all numbers occur
    surface = PosedSurface(rest, faces, labels)
    surface.pose(vertices)
    points = np.concatenate([np.random.default_rng(0).uniform(-0.2, 0.3, (100, 3)), vertices[::20]])
    only_first = np.tile([True, False], (len(points), 1))
    for parts, chosen in ((None, faces), (only_first, faces[labels == 0]), (~only_first, faces[labels == 1])):
        numbers = winding_numbers(points, vertices, chosen)
        for number in (0.03, 0.5, 0.97, 1.5):
            clear = np.abs(numbers - number) > 1e-5  # single precision cannot tell the others
            assert clear.mean() > 0.95
            np.testing.assert_array_equal(surface.surrounds(points, number, parts)[clear], (numbers > number)[clear])
        expected = plain_penetration.distances(points, vertices, chosen)
        np.testing.assert_allclose(surface.distances(points, parts), expected, atol=1e-6)
    assert np.isinf(surface.distances(points[:1], np.zeros((1, 2), bool))).all()


def test_point_triangle_distances_against_trimesh() -> None:
    rng = np.random.default_rng(0)
    triangles, points = rng.normal(size=(500, 3, 3)), rng.normal(size=(500, 3))
    nearest = trimesh.triangles.closest_point(triangles, points)
    expected = np.linalg.norm(points - nearest, axis=1)
    np.testing.assert_allclose(point_triangle_distances(points, triangles), expected, atol=1e-12)
    degenerate = np.zeros((1, 3, 3))
    assert point_triangle_distances(np.array([[3.0, 4.0, 0.0]]), degenerate) == pytest.approx(5.0)


def test_triangles_without_an_area_have_a_distance() -> None:
    surface = PosedSurface(np.ones((3, 3)), np.array([[0, 1, 2], [0, 0, 1]]), np.array([0, 0]))
    np.testing.assert_allclose(surface.distances(np.array([[1.0, 4.0, 5.0]])), 5.0)
    assert not surface.surrounds(np.array([[1.0, 4.0, 5.0], [1.0, 1.0, 1.0]]), 0.01).any()
