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
)


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
