"""Affine layers as the native objective reads them, and those of the pose priors' decoders."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from smplifyx.priors.pose_space import BodyPosePrior
from smplifyx.priors.vposer import ResidualVPoser, VPoser

#: Outputs of a block of a packed matrix.
BLOCK = 8


def decoder_of(
    prior: BodyPosePrior | None,
) -> tuple[int, int, Sequence[tuple[np.ndarray, np.ndarray]], tuple[Tensor, Tensor] | None]:
    """Decoding of poses: the mode, the length of the learned code, its layers, and the affine map to turns."""
    if prior is None:
        return 0, 0, [], None
    if isinstance(prior, ResidualVPoser):
        basis = prior.residual_basis.T
        return 3, prior.n_embedding, prior.decoder_layers(), (basis, basis.new_zeros(len(basis)))
    if isinstance(prior, VPoser):
        return 2, prior.n_embedding, prior.decoder_layers(), None
    return 1, 0, [], (prior.basis.T, prior.mean)


def packed_layer(weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """A matrix [N, K] in blocks of eight outputs, [N / 8, K, 8], and its bias behind it; padded with zeros."""
    n_out, n_in = weight.shape
    n_blocks = -(-n_out // BLOCK)
    padded = np.zeros((n_blocks * BLOCK, n_in + 1), np.float32)
    padded[:n_out, :n_in] = weight
    if bias is not None:
        padded[:n_out, n_in] = bias
    blocks = padded[:, :n_in].reshape(n_blocks, BLOCK, n_in).transpose(0, 2, 1)
    return np.concatenate([blocks.ravel(), padded[:, n_in]])
