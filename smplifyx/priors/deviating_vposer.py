"""VPoser whose poses may leave the decoder's a little, as poses of people whom it has not seen do."""

from __future__ import annotations

import torch
from torch import Tensor

from smplifyx.geometry import axis_angle_to_matrix, matrix_to_axis_angle
from smplifyx.priors.body_pose import DecodedPose
from smplifyx.priors.vposer import N_BODY_POSE, VPoser, VPoserWeights


class DeviatingVPoser(VPoser):
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
