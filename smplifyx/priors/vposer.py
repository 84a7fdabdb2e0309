"""The learned body-pose prior: a decoder from a standard normal code to rotations (Pavlakos et al. 2019, 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from smplifyx import skeleton
from smplifyx.priors.pose_space import BodyPosePrior, DecodedPose
from smplifyx.rotations import axis_angle_to_matrix, matrix_to_axis_angle, rotation_6d_to_matrix

FloatArray = NDArray[np.float64]

N_BODY_JOINTS = skeleton.BODY_JOINTS.stop - skeleton.BODY_JOINTS.start
N_BODY_POSE = 3 * N_BODY_JOINTS
#: Numbers that the decoder puts out: two columns of a matrix for each joint.
SIX_NUMBERS = 6 * N_BODY_JOINTS


@dataclass(frozen=True)
class Layer:
    """An affine map: ``weight`` [out, in], ``bias`` [out]."""

    weight: FloatArray
    bias: FloatArray


@dataclass(frozen=True)
class VPoserWeights:
    """What a fit needs of a trained network: two chains of affine maps with leaky rectifiers in between.

    Normalisation at inference is affine, so it is folded into the layers; dropout is off; the posterior's spread is
    not needed.

    Attributes:
        encoder: from axis-angle [63] (radians) to the mean of the code [Z].
        decoder: from the code [Z] to 21 x 3 x 2 numbers, the first two columns of matrices before orthogonalisation.
        negative_slope: of the rectifiers.
        source: what the weights are and where they come from.
        deviation: [63, 63] covariance of the turns (radians, by joint) from decoded to true poses; None if unknown.
    """

    encoder: tuple[Layer, ...]
    decoder: tuple[Layer, ...]
    negative_slope: float
    source: str = ""
    deviation: FloatArray | None = None

    @property
    def n_latent(self) -> int:
        """Length of the code."""
        return int(self.decoder[0].weight.shape[1])


class VPoser(BodyPosePrior):
    """Body poses as codes z [B, Z] whose energy is |z|^2; only z is differentiated, the weights are constant.

    Decoding goes straight to rotation matrices, so there is no angle at which a gradient blows up.
    """

    def __init__(
        self,
        weights: VPoserWeights,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        nn.Module.__init__(self)
        self.n_embedding = weights.n_latent
        self._encoder = _Chain(weights.encoder, weights.negative_slope, dtype, device)
        self._decoder = _Chain(weights.decoder, weights.negative_slope, dtype, device)
        self.source = weights.source

    @property
    def n_parameters(self) -> int:
        """Length of z."""
        return self.n_embedding

    def decode(self, z: Tensor) -> DecodedPose:
        """Body pose of the codes z [B, Z]."""
        return DecodedPose(rotation_6d_to_matrix(self._decoder(z).unflatten(1, (N_BODY_JOINTS, 3, 2))))

    def encode(self, axis_angle: Tensor) -> Tensor:
        """Codes [B, Z] of body poses [B, 63] (radians): the mean of the posterior, an approximate inverse."""
        encoded: Tensor = self._encoder(axis_angle)
        return encoded

    def energy(self, z: Tensor) -> Tensor:
        """Energy [B]: minus twice the log density of the code, up to a constant."""
        return z.square().sum(1)


class _Chain(nn.Module):
    """Affine maps with leaky rectifiers in between; weights are buffers, so that no gradient is formed for them."""

    def __init__(
        self, layers: Sequence[Layer], negative_slope: float, dtype: torch.dtype, device: torch.device | str
    ) -> None:
        super().__init__()
        self._negative_slope = negative_slope
        self._n_layers = len(layers)
        for number, layer in enumerate(layers):
            for name, array in (("weight", layer.weight), ("bias", layer.bias)):
                tensor = torch.as_tensor(array).to(device=device, dtype=dtype)
                self.register_buffer(f"_{name}_{number}", tensor, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        for number in range(self._n_layers):
            if number:
                x = functional.leaky_relu(x, self._negative_slope)
            x = functional.linear(x, getattr(self, f"_weight_{number}"), getattr(self, f"_bias_{number}"))
        return x


class ResidualVPoser(VPoser):
    """Body poses as x = [z, d]: what the code z [B, Z] decodes to, joints turned further by the deviation d [B, 63].

    The decoder reaches most poses only roughly, and gets nearer by dear codes alone. What is left of poses after
    encoding and decoding is taken as normal, with the covariance that the weights carry; d is in units of it, so that
    the energy is |z|^2 + |d|^2.

    Args:
        weights: the network; its ``deviation`` must not be None.
        scale: factor of the deviations' standard deviations, more than 0.
        dtype, device: of the arithmetic.
    """

    _deviation_basis: Tensor
    _inverse_deviation_basis: Tensor

    def __init__(
        self,
        weights: VPoserWeights,
        scale: float,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(weights, dtype, device)
        if weights.deviation is None:
            raise ValueError("these weights do not say how far poses deviate")
        basis = scale * torch.linalg.cholesky(torch.as_tensor(weights.deviation).double())
        self.register_buffer("_deviation_basis", basis.T.to(device=device, dtype=dtype), persistent=False)
        inverse = torch.linalg.inv(basis).T.to(device=device, dtype=dtype)
        self.register_buffer("_inverse_deviation_basis", inverse, persistent=False)

    @property
    def n_parameters(self) -> int:
        """Length of x."""
        return self.n_embedding + N_BODY_POSE

    def decode(self, x: Tensor) -> DecodedPose:
        """Body pose of x [B, Z + 63]."""
        decoded = super().decode(x[:, : self.n_embedding]).rotations
        turns = x[:, self.n_embedding :] @ self._deviation_basis
        return DecodedPose(decoded @ axis_angle_to_matrix(turns.unflatten(1, (-1, 3))))

    def encode(self, axis_angle: Tensor) -> Tensor:
        """The x [B, Z + 63] of body poses [B, 63] (radians), exact: the encoder's code and what it misses."""
        code = super().encode(axis_angle)
        turns = missed_turns(super().decode(code).rotations, axis_angle)
        return torch.cat([code, turns @ self._inverse_deviation_basis], 1)


def missed_turns(decoded: Tensor, axis_angle: Tensor) -> Tensor:
    """Axis-angle [B, 63] from decoded rotations [B, 21, 3, 3] to the poses [B, 63] that they should be (radians)."""
    wanted = axis_angle_to_matrix(axis_angle.unflatten(1, (-1, 3)))
    return matrix_to_axis_angle(decoded.mT @ wanted).flatten(1)
