"""How unlike the training pictures a picture is: a classifier is sure of itself even where it knows nothing.

The measure is the Mahalanobis distance of the network's features to the nearer class of the training pictures, both
classes sharing one covariance (Lee et al. 2018, "A simple unified framework for detecting out-of-distribution
samples"), divided by the root of the number of features, so that 1 is an ordinary picture. The early layers' features
count too: noise and surfaces without people look ordinary to the last layer, to the first ones they do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

#: Share of a spherical covariance that is mixed in, as features are many and correlated.
_SHRINKAGE = 0.01


@dataclass(frozen=True)
class KnownFeatures:
    """What the features of the training pictures look like.

    Attributes:
        means: `[2, F]` of the classes.
        whitening: `[F, F]`; features times it have a covariance of one.
    """

    means: Tensor
    whitening: Tensor

    @classmethod
    def of(cls, features: Tensor, labels: Tensor) -> KnownFeatures:
        """From features [N, F] of training pictures and their class numbers [N]."""
        features = features.double()
        means = torch.stack([features[labels == label].mean(0) for label in (0, 1)])
        centred = features - means[labels]
        covariance = centred.T @ centred / len(features)
        n = covariance.shape[0]
        spherical = covariance.diagonal().mean() * torch.eye(n, dtype=covariance.dtype)
        values, vectors = torch.linalg.eigh((1.0 - _SHRINKAGE) * covariance + _SHRINKAGE * spherical)
        return cls(means.float(), (vectors / values.sqrt()).float())

    def foreignness(self, features: Tensor) -> Tensor:
        """Distances [B] of features [B, F]; about 1 for pictures like those of the training."""
        offsets = (features[:, None] - self.means) @ self.whitening
        return offsets.norm(dim=-1).amin(1) / self.means.shape[1] ** 0.5
