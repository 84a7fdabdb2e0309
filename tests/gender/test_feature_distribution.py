"""Distances to the features of the training, compared with scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis

from smplifyx.gender import network as gender_network
from smplifyx.gender.network import FeatureDistribution


@pytest.fixture
def features():
    rng = np.random.default_rng(0)
    labels = np.arange(600) % 2
    return rng.normal(size=(600, 5)) @ rng.normal(size=(5, 5)) + 4.0 * labels[:, None], labels


def test_it_is_the_mahalanobis_distance_to_the_nearer_class(features, monkeypatch):
    monkeypatch.setattr(gender_network, "_SHRINKAGE", 0.0)
    points, labels = features
    distribution = FeatureDistribution.of(torch.as_tensor(points), torch.as_tensor(labels))
    means = [points[labels == label].mean(0) for label in (0, 1)]
    centred = points - np.array(means)[labels]
    inverse = np.linalg.inv(centred.T @ centred / len(points))
    others = np.random.default_rng(1).normal(size=(7, 5)) * 5
    expected = [min(mahalanobis(x, mean, inverse) for mean in means) / 5**0.5 for x in others]
    np.testing.assert_allclose(distribution.distance(torch.as_tensor(others).float()), expected, rtol=1e-3)


def test_training_features_have_distance_one_and_others_more(features):
    points, labels = features
    distribution = FeatureDistribution.of(torch.as_tensor(points), torch.as_tensor(labels))
    own = distribution.distance(torch.as_tensor(points).float())
    assert 0.8 < own.mean() < 1.1
    assert distribution.distance(torch.full((1, 5), 40.0)) > own.max()


def test_features_that_never_vary_do_no_harm():
    points = torch.rand(50, 4)
    points[:, 2] = 0.0
    distribution = FeatureDistribution.of(points, torch.arange(50) % 2)
    assert distribution.distance(points).isfinite().all()
