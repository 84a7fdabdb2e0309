"""The loss of the pose network (Pavlakos et al. 2019, eq. 9 to 12), and the figures that tell how good it is.

Two of the paper's terms ask the decoded matrices to be orthogonal with determinant one. Gram-Schmidt makes them so,
which leaves nothing to penalise; the angle between rotations takes their place.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from smplifyx.training.surface import PoseSurface
from smplifyx.training.vposer_config import VPoserLoss
from smplifyx.training.vposer_network import VPoserNetwork

_TINY = 1e-8


def rotation_angle(a: Tensor, b: Tensor) -> Tensor:
    """Angles [...] between rotations [..., 3, 3], radians; the gradient is finite where they coincide."""
    chord = ((a - b).square().sum((-2, -1)) + _TINY).sqrt() / 8**0.5
    return 2.0 * torch.asin(chord.clamp(max=1.0 - 1e-6))


@dataclass(frozen=True)
class LossTerms:
    """Means over a batch: nats, metres, radians."""

    divergence: Tensor
    surface: Tensor
    rotation: Tensor
    centre: Tensor

    def total(self, weights: VPoserLoss) -> Tensor:
        """The weighted sum."""
        return (
            weights.divergence * self.divergence
            + weights.surface * self.surface
            + weights.rotation * self.rotation
            + weights.centre * self.centre
        )


@dataclass(frozen=True)
class PoseBatch:
    """Poses twice: ``axis_angle`` [B, 63] goes in, ``rotations`` [B, 21, 3, 3] should come out."""

    axis_angle: Tensor
    rotations: Tensor


def loss_terms(
    network: VPoserNetwork, surface: PoseSurface, batch: PoseBatch, standing: Tensor, sample: bool = True
) -> LossTerms:
    """Terms of the loss for a batch.

    Args:
        standing: [21, 3, 3] what a code of zeros should decode to.
        sample: decode random codes of the posterior, as in training; otherwise its mean.
    """
    posterior = network.encode(batch.axis_angle)
    codes = posterior.sample() if sample else posterior.mean
    decoded = network.decode(torch.cat([torch.zeros_like(codes[:1]), codes]))
    centre, decoded = decoded[0], decoded[1:]
    with torch.no_grad():
        target = surface(batch.rotations)
    return LossTerms(
        posterior.divergence().mean(),
        (surface(decoded) - target).norm(dim=-1).mean(),
        rotation_angle(decoded, batch.rotations).mean(),
        rotation_angle(centre, standing).mean(),
    )
