from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import procrustes
from scipy.spatial.transform import Rotation

from smplifyx.evaluation.metrics import (
    Alignment,
    align,
    fit_similarity,
    mpjpe,
    pa_mpjpe,
    pa_v2v,
    point_errors,
    root_aligned_v2v,
    surface_errors,
)
from smplifyx.evaluation.vertex_sets import VertexSets


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_recovers_a_known_similarity(rng):
    source = rng.normal(size=(4, 30, 3))
    rotation = Rotation.random(4, random_state=1).as_matrix()
    scale = np.array([0.5, 1.0, 2.0, 3.0])
    shift = rng.normal(size=(4, 3))
    target = scale[:, None, None] * source @ rotation.swapaxes(1, 2) + shift[:, None]
    found = fit_similarity(source, target)
    np.testing.assert_allclose(found.scale, scale, rtol=1e-12)
    np.testing.assert_allclose(found.rotation, rotation, atol=1e-12)
    np.testing.assert_allclose(found.translation, shift, atol=1e-12)


def test_agrees_with_scipy_procrustes(rng):
    source, target = rng.normal(size=(2, 20, 3))
    target[:, 2] += source[:, 0]
    # scipy allows reflections: take a pair for which its best orthogonal map is a proper rotation.
    if np.linalg.det((target - target.mean(0)).T @ (source - source.mean(0))) < 0:
        source[:, 0] *= -1
    _, _, disparity = procrustes(target, source)
    residual = align(source[None], target[None])[0] - target
    norm = np.linalg.norm(target - target.mean(0))
    assert (residual**2).sum() / norm**2 == pytest.approx(disparity, rel=1e-10)


def test_rigid_agrees_with_align_vectors(rng):
    source, target = rng.normal(size=(2, 15, 3))
    weights = rng.uniform(0.1, 2.0, size=15)
    mean = lambda points: (weights[:, None] * points).sum(0) / weights.sum()  # noqa: E731
    expected, _ = Rotation.align_vectors(target - mean(target), source - mean(source), weights=weights)
    found = fit_similarity(source[None], target[None], weights, with_scale=False)
    np.testing.assert_allclose(found.rotation[0], expected.as_matrix(), atol=1e-7)
    assert found.scale[0] == 1.0


def test_mirror_image_is_not_aligned_away(rng):
    source = rng.normal(size=(1, 40, 3))
    mirrored = source * [-1.0, 1.0, 1.0]
    found = fit_similarity(source, mirrored)
    assert np.linalg.det(found.rotation[0]) == pytest.approx(1.0)
    assert pa_mpjpe(source, mirrored)[0] > 100.0


def test_scale_is_optimal_for_mirror_images(rng):
    source = rng.normal(size=(1, 12, 3))
    target = source * [-1.0, 1.0, 1.0] + 0.1 * rng.normal(size=(1, 12, 3))
    found = fit_similarity(source, target)

    def cost(scale: float) -> float:
        moved = scale * (source[0] - source[0].mean(0)) @ found.rotation[0].T
        return float(((moved - (target[0] - target[0].mean(0))) ** 2).sum())

    assert cost(found.scale[0]) <= min(cost(found.scale[0] * 0.99), cost(found.scale[0] * 1.01))


def test_hand_computed_case():
    target = np.array([[[1.0, 0, 0], [-1.0, 0, 0], [0, 1.0, 0], [0, -1.0, 0]]])
    source = target @ np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]) * 2.0 + [5.0, 6.0, 7.0]
    assert pa_v2v(source, target)[0] == pytest.approx(0.0, abs=1e-9)
    # Unscaled, every point sits at radius 2 instead of 1.
    assert mpjpe(source, target, alignment=Alignment.RIGID)[0] == pytest.approx(1000.0)


def test_missing_joints_are_left_out(rng):
    target = rng.normal(size=(2, 10, 3))
    source = target + np.array([0.0, 0.0, 0.02])
    source[:, 3] = np.nan
    source[:, 4] += 9.0
    weights = np.ones(10)
    weights[[3, 4]] = 0.0
    np.testing.assert_allclose(mpjpe(source, target, weights), 20.0)
    np.testing.assert_allclose(pa_mpjpe(source, target, weights), 0.0, atol=1e-9)
    assert np.isnan(point_errors(source, target, weights)[:, [3, 4]]).all()


def test_root_alignment_removes_translation_only(rng):
    target = rng.normal(size=(1, 50, 3))
    source = target * 1.1 + [0.3, 0.2, 5.0]
    expected = 100.0 * np.linalg.norm(target - target[:, :1], axis=-1).mean()
    assert root_aligned_v2v(source, target, source[:, 0], target[:, 0])[0] == pytest.approx(expected)


def test_bad_input_is_named(rng):
    points = rng.normal(size=(1, 5, 3))
    with pytest.raises(ValueError, match=r"\[B, N, 3\]"):
        mpjpe(points[0], points[0])
    with pytest.raises(ValueError, match="three points"):
        pa_mpjpe(points, points, [1, 1, 0, 0, 0])
    with pytest.raises(ValueError, match="negative"):
        mpjpe(points, points, [-1, 1, 1, 1, 1])
    assert np.isnan(mpjpe(points, points, np.zeros(5))[0])


def one_hot(rows, n):
    matrix = np.zeros((len(rows), n))
    matrix[np.arange(len(rows)), rows] = 1.0
    return matrix


@pytest.fixture()
def sets():
    """A mesh of 60 vertices whose joints are vertices themselves."""
    return VertexSets(
        left_hand=np.arange(22, 30),
        right_hand=np.arange(30, 38),
        face=np.arange(40, 60),
        joints14=one_hot(range(1, 15), 60),
        body_joints=one_hot(range(22), 60),
        source="made up",
    )


@pytest.fixture()
def points():
    return np.random.default_rng(0).normal(size=(60, 3))


def aligned_error_by_scipy(fitted, true):
    """Mean distance after alignment, from scipy's Procrustes analysis of the two centred and scaled shapes."""
    standard_true, standard_fitted, _ = procrustes(true, fitted)
    size = np.linalg.norm(true - true.mean(0))
    return 1000.0 * size * np.linalg.norm(standard_true - standard_fitted, axis=1).mean()


def test_the_same_mesh_has_no_error(sets, points):
    errors = surface_errors(points, points, sets)
    np.testing.assert_allclose(list(vars(errors).values()), 0.0, atol=1e-9)


def test_aligned_figures_agree_with_scipy(sets, points):
    fitted = points + np.random.default_rng(1).normal(scale=0.05, size=points.shape)
    turned = 1.3 * fitted @ Rotation.from_rotvec([0.3, -1.0, 0.4]).as_matrix().T + [1.0, 2.0, 3.0]
    errors = surface_errors(turned, points, sets)
    assert errors.v2v == pytest.approx(aligned_error_by_scipy(turned, points))
    assert errors.joints == pytest.approx(aligned_error_by_scipy(turned[:22], points[:22]))
    assert errors.pa_mpjpe14 == pytest.approx(aligned_error_by_scipy(turned[1:15], points[1:15]))
    assert errors.pa_face == pytest.approx(aligned_error_by_scipy(turned[40:], points[40:]))
    hands = [aligned_error_by_scipy(turned[hand], points[hand]) for hand in (slice(22, 30), slice(30, 38))]
    assert errors.pa_hands == pytest.approx(np.mean(hands))


def test_moved_parts_by_hand(sets, points):
    """Left hand 30 mm off, head 50 mm, everything 2 m away."""
    fitted = points.copy()
    fitted[22:30] += [0.03, 0.0, 0.0]
    fitted[40:] += [0.0, 0.05, 0.0]
    errors = surface_errors(fitted + 2.0, points, sets)
    assert errors.pve == pytest.approx((8 * 30.0 + 20 * 50.0) / 60.0)
    assert errors.pve_hands == pytest.approx(15.0)
    assert errors.pve_face == pytest.approx(50.0)
    assert errors.mpjpe14 == pytest.approx(0.0, abs=1e-9)
    assert errors.pa_hands == pytest.approx(0.0, abs=1e-9)


def test_hand_is_moved_by_its_wrist(sets, points):
    """A wrist (body joint 20) off by 10 mm takes the true hand away by as much."""
    fitted = points.copy()
    fitted[20] += [0.0, 0.0, 0.01]
    assert surface_errors(fitted, points, sets).pve_hands == pytest.approx(5.0)


def test_other_topology_is_refused(sets, points):
    with pytest.raises(ValueError, match="60 and 59"):
        surface_errors(points, points[1:], replace(sets))
