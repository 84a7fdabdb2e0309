"""The body-pose network as it is trained (Pavlakos et al. 2019, section 3.3), and its loss.

The layers are those of the first published network. Fits use the smaller, folded form in
:mod:`smplifyx.priors.vposer`. Two terms of the paper's loss (eq. 9 to 12) make the decoded matrices orthogonal with
determinant one. Gram-Schmidt does that here, so the angle between rotations takes their place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from smplifyx import skeleton
from smplifyx.body.data import BodyModelData
from smplifyx.body.model import BodyModel, KinematicTree
from smplifyx.priors.pose_space import N_BODY_POSE
from smplifyx.priors.vposer import N_DECODED, VPoserWeights
from smplifyx.priors.vposer_checkpoints import fold_v1
from smplifyx.rotations import rotation_6d_to_matrix
from smplifyx.training.poses import PoseBatch
from smplifyx.training.settings import VPoserLoss

_NEGATIVE_SLOPE = 0.2
_DROPOUT = 0.1
#: Keeps gradients finite where rotations coincide.
_TINY = 1e-8


class Posterior(NamedTuple):
    """``mean`` [B, Z] and ``sd`` [B, Z] of the code of a pose."""

    mean: Tensor
    sd: Tensor

    def sample(self) -> Tensor:
        """Draw codes [B, Z], differentiable in mean and sd."""
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
        return functional.leaky_relu(x, _NEGATIVE_SLOPE)

    def folded(self, source: str = "") -> VPoserWeights:
        """Convert to the form used by fits; ``source`` is a line about the weights' origin."""
        state = {name: np.float64(value.cpu().numpy()) for name, value in self.state_dict().items()}
        return replace(fold_v1(state), source=source)


class PoseSurface(nn.Module):
    """Vertices of the mean body as a function of its body pose only; hands and face are rigid.

    Args:
        data: the body model.
        n_vertices: number of vertices, spread evenly over the mesh; None for all.
    """

    def __init__(self, data: BodyModelData, n_vertices: int | None = None) -> None:
        super().__init__()
        full, n_joints = BodyModel.from_data(data), skeleton.BODY_JOINTS.stop
        chosen = torch.arange(data.n_vertices) if n_vertices is None else _spread(data.v_template, n_vertices)
        part = full.restrict(chosen)
        # Fingers move with the wrists, jaw and eyes with the head.
        owner = [_body_joint(joint) for joint in range(full.n_joints)]
        weights = torch.zeros(len(chosen), n_joints).index_add_(1, torch.tensor(owner), part.skinning_weights)
        buffers: dict[str, Tensor | None] = {
            "template": part.template,
            "blend_shapes": part.blend_shapes[:0],
            "pose_shapes": part.pose_shapes[:0],
            "pose_projection": None,
            "skinning_weights": weights,
            "joint_template": full.joint_template[: 3 * n_joints],
            "joint_blend_shapes": full.joint_blend_shapes[:0, : 3 * n_joints],
        }
        self._body = BodyModel(KinematicTree(skeleton.PARENTS[:n_joints]), 0, buffers)

    def forward(self, rotations: Tensor) -> Tensor:
        """Vertices [B, V, 3] (metres, pelvis not rotated) of body rotations [B, 21, 3, 3]."""
        none = rotations.new_zeros(len(rotations), 0)
        root = torch.eye(3, dtype=rotations.dtype, device=rotations.device).expand(len(rotations), 1, 3, 3)
        vertices: Tensor = self._body(none, none, torch.cat([root, rotations], 1)).vertices
        return vertices


def _body_joint(joint: int) -> int:
    while joint >= skeleton.BODY_JOINTS.stop:
        joint = skeleton.PARENTS[joint]
    return joint


def _spread(points: np.ndarray, count: int) -> Tensor:
    """Indices [count] of points [N, 3] by farthest-point sampling."""
    chosen = [int(np.argmax(points[:, 1]))]
    distance = np.full(len(points), np.inf)
    for _ in range(count - 1):
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
        chosen.append(int(np.argmax(distance)))
    return torch.tensor(chosen)


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
        """Weighted sum of the terms."""
        return (
            weights.divergence * self.divergence
            + weights.surface * self.surface
            + weights.rotation * self.rotation
            + weights.centre * self.centre
        )


def loss_terms(network: VPoserNetwork, surface: PoseSurface, batch: PoseBatch, standing: Tensor) -> LossTerms:
    """Terms of the loss of a batch, with codes drawn from the posteriors.

    Args:
        network: the network.
        surface: vertices of the surface term.
        batch: poses.
        standing: [21, 3, 3] target of the decoded zero.
    """
    posterior = network.encode(batch.axis_angle)
    codes = posterior.sample()
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
