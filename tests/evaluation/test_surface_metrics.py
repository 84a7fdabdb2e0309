from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import procrustes
from scipy.spatial.transform import Rotation

from smplifyx.evaluation.metrics import surface_errors
from smplifyx.evaluation.vertex_sets import VertexSets


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
