"""The comparison itself: blind to turned axes of equal scale, not to another space."""

from __future__ import annotations

import numpy as np

from tests.bases import covariance_distance


def test_turned_degenerate_axes_are_the_same_and_another_space_is_not() -> None:
    random = np.random.default_rng(0)
    axes = np.linalg.qr(random.normal(size=(8, 8)))[0][:4]
    components = axes * np.array([[3.0], [1.0], [1.0], [0.5]])
    turned = components.copy()
    turned[1:3] = np.array([[0.6, 0.8], [0.8, -0.6]]) @ components[1:3]
    turned[0] *= -1
    dense = np.linalg.norm(turned.T @ turned - components.T @ components)
    assert covariance_distance(turned, components) < 1e-7 and dense < 1e-12
    other = components.copy()
    other[1] = components[1] + 0.1 * np.linalg.norm(components[1]) * np.eye(8)[0]
    expected = np.linalg.norm(other.T @ other - components.T @ components) / np.linalg.norm(components.T @ components)
    assert expected > 0.005
    np.testing.assert_allclose(covariance_distance(other, components), expected, rtol=1e-6)
