"""The learned body-pose prior: a decoder from a standard normal code to rotations (Pavlakos et al. 2019, 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from smplifyx.priors.pose_space import N_BODY_JOINTS, N_BODY_POSE, BodyPosePrior, DecodedPose, FloatArray
from smplifyx.rotations import axis_angle_to_matrix, matrix_to_axis_angle, rotation_6d_to_matrix

#: Length of the decoder's output: two columns of a matrix per joint.
N_DECODED = 6 * N_BODY_JOINTS


#: Squared length of the second column of a decoded frame, across the first, below which the frame has an energy, and
#: that energy where the columns are parallel. Of good fits, 95 % have no column shorter than 0.65.
FRAME_LIMIT, _FRAME_WEIGHT = 0.25, 20.0


@dataclass(frozen=True)
class Layer:
    """An affine map: ``weight`` [out, in], ``bias`` [out]."""

    weight: FloatArray
    bias: FloatArray


@dataclass(frozen=True)
class VPoserWeights:
    """The inference form of a trained network: two chains of affine maps with leaky rectifiers in between.

    Normalisation at inference is affine and is folded into the layers; dropout and the posterior's standard deviation
    are left out.

    Attributes:
        encoder: from axis-angle [63] (radians) to the mean of the code [Z].
        decoder: from the code [Z] to 21 x 3 x 2 numbers, the first two columns of matrices before orthogonalisation.
        negative_slope: of the rectifiers.
        source: a line about the origin of the weights.
        residual_covariance: [63, 63] of the rotations (radians, per joint) from decoded to true poses; None if
            unknown.
    """

    encoder: tuple[Layer, ...]
    decoder: tuple[Layer, ...]
    negative_slope: float
    source: str = ""
    residual_covariance: FloatArray | None = None

    @property
    def n_latent(self) -> int:
        """Length of the code."""
        return int(self.decoder[0].weight.shape[1])


class VPoser(BodyPosePrior):
    """Body poses as codes z [B, Z] with energy |z|^2; gradients are computed for z only.

    The decoder outputs rotation matrices, so gradients are finite at all angles.

    Args:
        weights: the network.
        dtype, device: of the arithmetic.
        rounding: half of the width over which the kinks of the decoder's rectifiers are rounded; 0 leaves them. With
            kinks, a pose that minimises an objective lies on some of the 1024 of them, where no gradient vanishes.
            Unless it is 0, codes whose frames are nearly degenerate have an energy too: there, minima are jumps.
    """

    def __init__(
        self,
        weights: VPoserWeights,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        rounding: float = 0.0,
    ) -> None:
        nn.Module.__init__(self)
        self.n_embedding = weights.n_latent
        self._encoder = _Chain(weights.encoder, weights.negative_slope, dtype, device)
        self._decoder = _Chain(weights.decoder, weights.negative_slope, dtype, device, rounding)
        self.rounding = rounding
        self.source = weights.source
        self.negative_slope = weights.negative_slope

    def decoder_layers(self) -> list[tuple[FloatArray, FloatArray]]:
        """Weight [out, in] and bias [out] of the decoder's layers."""
        return self._decoder.layers()

    @property
    def quadratic_scale(self) -> float:
        """The factor of |z|^2 in the energy."""
        return 1.0

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
        energy = z.square().sum(1)
        return energy + self.frame_weight * self._frame_energy(z) if self.frame_weight else energy

    @property
    def frame_weight(self) -> float:
        """Weight of frames that are nearly degenerate: a small change of the code turns them by up to 180 degrees."""
        return _FRAME_WEIGHT if self.rounding else 0.0

    def _frame_energy(self, z: Tensor) -> Tensor:
        """Energy [B] of decoded frames whose second column is nearly parallel to the first."""
        first, second = self._decoder(z[:, : self.n_embedding]).unflatten(1, (N_BODY_JOINTS, 3, 2)).unbind(3)
        first = functional.normalize(first, dim=2)
        across = second - (first * second).sum(2, keepdim=True) * first
        return (1.0 - across.square().sum(2) / FRAME_LIMIT).clamp(min=0.0).square().sum(1)


class _Chain(nn.Module):
    """Affine maps with leaky rectifiers in between; weights are buffers, for which no gradients are computed."""

    def __init__(
        self,
        layers: Sequence[Layer],
        negative_slope: float,
        dtype: torch.dtype,
        device: torch.device | str,
        rounding: float = 0.0,
    ) -> None:
        super().__init__()
        self._negative_slope = negative_slope
        self._rounding = rounding
        self._n_layers = len(layers)
        for number, layer in enumerate(layers):
            for name, array in (("weight", layer.weight), ("bias", layer.bias)):
                tensor = torch.as_tensor(array).to(device=device, dtype=dtype)
                self.register_buffer(f"_{name}_{number}", tensor, persistent=False)

    def layers(self) -> list[tuple[FloatArray, FloatArray]]:
        """Weight and bias of each layer."""
        names = [(f"_weight_{number}", f"_bias_{number}") for number in range(self._n_layers)]
        return [(getattr(self, w).cpu().numpy(), getattr(self, b).cpu().numpy()) for w, b in names]

    def forward(self, x: Tensor) -> Tensor:
        for number in range(self._n_layers):
            if number:
                x = rounded_leaky_relu(x, self._negative_slope, self._rounding)
            x = functional.linear(x, getattr(self, f"_weight_{number}"), getattr(self, f"_bias_{number}"))
        return x


def rounded_leaky_relu(x: Tensor, negative_slope: float, rounding: float) -> Tensor:
    """Leaky rectifier with a parabola between -``rounding`` and ``rounding`` instead of the kink.

    Its slope follows from its value y: the square root of s + (1 - s) y / ``rounding``, limited to s^2 and 1, for the
    negative slope s.
    """
    if not rounding:
        return functional.leaky_relu(x, negative_slope)
    rise = (x + rounding).clamp(0.0, 2.0 * rounding).square() / (4.0 * rounding) + (x - rounding).clamp(min=0.0)
    return negative_slope * x + (1.0 - negative_slope) * rise


class ResidualVPoser(VPoser):
    """Body poses x = [z, r]: the decoded code z [B, Z], with joints rotated further by the residual r [B, 63].

    The decoder alone reproduces most poses only roughly, or with improbable codes. The rotations from decoded to true
    poses are modelled as normal with the covariance stored with the weights; r is whitened by it, so that the energy
    is |z|^2 + |r|^2.

    Args:
        weights: the network; its ``residual_covariance`` must not be None.
        scale: factor of the standard deviations of the residual, above 0.
        dtype, device: of the arithmetic.
        rounding: see :class:`VPoser`.
    """

    _residual_basis: Tensor
    _inverse_residual_basis: Tensor

    def __init__(
        self,
        weights: VPoserWeights,
        scale: float,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        rounding: float = 0.0,
    ) -> None:
        super().__init__(weights, dtype, device, rounding)
        if weights.residual_covariance is None:
            raise ValueError("these weights have no residual covariance")
        basis = scale * torch.linalg.cholesky(torch.as_tensor(weights.residual_covariance).double())
        self.register_buffer("_residual_basis", basis.T.to(device=device, dtype=dtype), persistent=False)
        inverse = torch.linalg.inv(basis).T.to(device=device, dtype=dtype)
        self.register_buffer("_inverse_residual_basis", inverse, persistent=False)

    @property
    def residual_basis(self) -> Tensor:
        """[63, 63] from the residual parameters r, as a row, to rotation vectors."""
        return self._residual_basis

    @property
    def n_parameters(self) -> int:
        """Length of x."""
        return self.n_embedding + N_BODY_POSE

    def decode(self, x: Tensor) -> DecodedPose:
        """Body pose of x [B, Z + 63]."""
        decoded = super().decode(x[:, : self.n_embedding]).rotations
        residual = x[:, self.n_embedding :] @ self._residual_basis
        return DecodedPose(decoded @ axis_angle_to_matrix(residual.unflatten(1, (-1, 3))))

    def encode(self, axis_angle: Tensor) -> Tensor:
        """Parameters x [B, Z + 63] that decode to body poses [B, 63] (radians) exactly: code and residual."""
        code = super().encode(axis_angle)
        residual = residual_rotations(super().decode(code).rotations, axis_angle)
        return torch.cat([code, residual @ self._inverse_residual_basis], 1)


def residual_rotations(decoded: Tensor, axis_angle: Tensor) -> Tensor:
    """Rotations [B, 63] (axis-angle) from decoded rotations [B, 21, 3, 3] to true poses [B, 63] (radians)."""
    wanted = axis_angle_to_matrix(axis_angle.unflatten(1, (-1, 3)))
    return matrix_to_axis_angle(decoded.mT @ wanted).flatten(1)
