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


def layer_derivatives(weights: Sequence[np.ndarray], slope: float, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives for the input of the first layer, and of the first two where the rectifier has its lower slope.

    Args:
        weights: of the layers [N, K].
        slope: of the rectifier below its kink.
        width: columns of the results [N, width]; those beyond the input are 0.
    """
    padded = np.zeros((len(weights[0]), width), np.float32)
    padded[:, : weights[0].shape[1]] = weights[0]
    second = slope * (weights[1].astype(np.float64) @ padded) if len(weights) > 1 else np.zeros((0, width))
    return padded, second.astype(np.float32)
