"""Expectation maximisation against a mixture that is known."""

from __future__ import annotations

import numpy as np
from scipy.stats import multivariate_normal

from tools.build_pose_prior import fit_mixture, log_densities


def test_a_known_mixture_is_found_again():
    rng = np.random.default_rng(0)
    means = np.array([[0.0, 0.0, 0.0], [3.0, 0.0, 1.0], [0.0, -3.0, 2.0]])
    covariance = np.array([[0.5, 0.2, 0.0], [0.2, 0.4, 0.0], [0.0, 0.0, 0.1]])
    share = np.array([0.5, 0.3, 0.2])
    which = rng.choice(3, 5000, p=share)
    poses = means[which] + rng.multivariate_normal(np.zeros(3), covariance, 5000)
    found = fit_mixture(poses, 3, 0.01, rng)
    order = [int(np.argmin(np.linalg.norm(found.means - mean, axis=1))) for mean in means]
    np.testing.assert_allclose(found.means[order], means, atol=0.06)
    np.testing.assert_allclose(found.weights[order], share, atol=0.02)
    np.testing.assert_allclose(found.covariances[order], np.stack([covariance] * 3), atol=0.06)
    expected = np.log(found.weights[0]) + multivariate_normal(found.means[0], found.covariances[0]).logpdf(poses[:9])
    np.testing.assert_allclose(log_densities(found, poses[:9])[:, 0], expected)
