"""The variational autoencoder of body poses (Pavlakos et al. 2019, section 3.3), as it is trained.

The layers are those of the published network's first version. The fit uses the smaller, folded form in
:mod:`smplifyx.priors.vposer`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from smplifyx.priors.pose_space import N_BODY_POSE
from smplifyx.priors.vposer import N_DECODED, VPoserWeights
from smplifyx.priors.vposer_checkpoints import fold_v1
from smplifyx.rotations import rotation_6d_to_matrix

NEGATIVE_SLOPE = 0.2
_DROPOUT = 0.1


class Posterior(NamedTuple):
    """``mean`` [B, Z] and ``sd`` [B, Z] of a pose's code."""

    mean: Tensor
    sd: Tensor

    def sample(self) -> Tensor:
        """Random codes [B, Z], differentiable in mean and sd."""
        return self.mean + self.sd * torch.randn_like(self.sd)

    def divergence(self) -> Tensor:
        """Kullback-Leibler divergence [B] from the standard normal, nats."""
        return 0.5 * (self.mean.square() + self.sd.square() - 1.0).sum(1) - self.sd.log().sum(1)


class VPoserNetwork(nn.Module):
    """Encoder and decoder with hidden layers of equal width.

    Args:
        n_latent: length of the code.
        n_hidden: width of the hidden layers.
    """

    def __init__(self, n_latent: int = 32, n_hidden: int = 512) -> None:
        super().__init__()
        self.n_latent = n_latent
        self.bodyprior_enc_bn1 = nn.BatchNorm1d(N_BODY_POSE)
        self.bodyprior_enc_fc1 = nn.Linear(N_BODY_POSE, n_hidden)
        self.bodyprior_enc_bn2 = nn.BatchNorm1d(n_hidden)
        self.bodyprior_enc_fc2 = nn.Linear(n_hidden, n_hidden)
        self.bodyprior_enc_mu = nn.Linear(n_hidden, n_latent)
        self.bodyprior_enc_logvar = nn.Linear(n_hidden, n_latent)
        self.bodyprior_dec_fc1 = nn.Linear(n_latent, n_hidden)
        self.bodyprior_dec_fc2 = nn.Linear(n_hidden, n_hidden)
        self.bodyprior_dec_out = nn.Linear(n_hidden, N_DECODED)

    def encode(self, axis_angle: Tensor) -> Posterior:
        """Posterior of the codes of body poses [B, 63] (radians)."""
        hidden = self._activate(self.bodyprior_enc_fc1(self.bodyprior_enc_bn1(axis_angle)))
        hidden = functional.dropout(self.bodyprior_enc_bn2(hidden), _DROPOUT, self.training)
        hidden = self._activate(self.bodyprior_enc_fc2(hidden))
        return Posterior(self.bodyprior_enc_mu(hidden), functional.softplus(self.bodyprior_enc_logvar(hidden)))

    def decode(self, z: Tensor) -> Tensor:
        """Rotations [B, 21, 3, 3] of codes [B, Z]."""
        hidden = functional.dropout(self._activate(self.bodyprior_dec_fc1(z)), _DROPOUT, self.training)
        hidden = self._activate(self.bodyprior_dec_fc2(hidden))
        return rotation_6d_to_matrix(self.bodyprior_dec_out(hidden).unflatten(1, (-1, 3, 2)))

    @staticmethod
    def _activate(x: Tensor) -> Tensor:
        return functional.leaky_relu(x, NEGATIVE_SLOPE)

    def folded(self, source: str = "") -> VPoserWeights:
        """The form that the fit uses; ``source`` is a line about the weights' origin."""
        state = {name: np.float64(value.cpu().numpy()) for name, value in self.state_dict().items()}
        return replace(fold_v1(state), source=source)
