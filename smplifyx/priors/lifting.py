"""Where the body's joints are in depth, by their keypoints: what motion capture knows about the third dimension.

Keypoints alone leave the sign and the size of every limb's depth open, and a prior over poses that does not look at
the picture takes the commonest answer. A network of fully connected layers that maps keypoints to joints (Martinez et
al. 2017, "A simple yet effective baseline for 3d human pose estimation") knows which depth goes with which picture.
It also says how far each coordinate may be off, so that its answer enters the objective as a Gaussian.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from smplifyx.body import skeleton
from smplifyx.body.canonical_keypoints import CANONICAL_KEYPOINT_NAMES

_PALM = tuple(f"{side}_hand_{finger}1" for side in skeleton.SIDES for finger in ("index", "middle", "pinky"))
#: Canonical indices of what the network sees: the body and three knuckles of each hand.
LIFTED_KEYPOINTS: tuple[int, ...] = (*range(25), *(CANONICAL_KEYPOINT_NAMES.index(name) for name in _PALM))
N_LIFTED_JOINTS = skeleton.BODY_JOINTS.stop - skeleton.BODY_JOINTS.start
#: Limbs whose left and right a detector takes for each other, in the order of the network's answers about them.
EXCHANGED_LIMBS: tuple[str, ...] = ("arms", "legs")

_N_POINTS = len(LIFTED_KEYPOINTS)
_N_FEATURES = 4 * _N_POINTS + 1
_N_COORDINATES = 3 * N_LIFTED_JOINTS
#: Spread of a person's keypoints in focal lengths that counts as ordinary.
_TYPICAL_SPREAD = 0.15
#: Logarithm of the standard deviation (metres) at which the network starts, and how far it may go from there.
_START_LOG_SD, _LOG_SD_RANGE = -2.0, (-5.0, 1.0)


@dataclass(frozen=True)
class NetworkAnswer:
    """What the network says, in the frame of a camera that looks straight at the person.

    Attributes:
        joints: [B, 21, 3] from the pelvis, metres.
        log_sd: [B, 21, 3] logarithms of their standard deviations.
        exchanged: [B, 2] logits: the limbs of :data:`EXCHANGED_LIMBS` come with left and right exchanged.
    """

    joints: Tensor
    log_sd: Tensor
    exchanged: Tensor


class LiftingNetwork(nn.Module):
    """Residual blocks of fully connected layers.

    Args:
        width: of the layers.
        n_blocks: of two layers each.
    """

    def __init__(self, width: int, n_blocks: int) -> None:
        super().__init__()
        self.first = nn.Linear(_N_FEATURES, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
            for _ in range(n_blocks)
        )
        self.last = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * _N_COORDINATES + len(EXCHANGED_LIMBS)))

    def forward(self, features: Tensor) -> NetworkAnswer:
        """What follows from features [B, F] of :func:`lifting_features`."""
        hidden = self.first(features)
        for block in self.blocks:
            hidden = hidden + block(hidden)
        joints, log_sd, exchanged = self.last(hidden).split([_N_COORDINATES, _N_COORDINATES, 2], 1)
        log_sd = (log_sd + _START_LOG_SD).clamp(*_LOG_SD_RANGE)
        return NetworkAnswer(joints.unflatten(1, (-1, 3)), log_sd.unflatten(1, (-1, 3)), exchanged)


def lifting_features(points: Tensor, confidence: Tensor, spread_factor: Tensor | None = None) -> Tensor:
    """Features [B, F] of keypoints: centred, of unit spread, with what was seen of them.

    Args:
        points: [B, 31, 2] of :data:`LIFTED_KEYPOINTS` as seen by a camera that looks at the person, in focal lengths.
        confidence: [B, 31]; 0 for what is not seen.
        spread_factor: [B] what an unknown focal length makes of the spread; none by default.
    """
    seen = (confidence > 0).to(points.dtype)
    share = seen / seen.sum(1, keepdim=True).clamp_min(1.0)
    centred = points - (points * share[..., None]).sum(1, keepdim=True)
    spread = (centred.square().sum(2) * share).sum(1, keepdim=True).sqrt().clamp_min(1e-4)
    shape = centred / spread[..., None] * seen[..., None]
    size = spread / _TYPICAL_SPREAD if spread_factor is None else spread * spread_factor[:, None] / _TYPICAL_SPREAD
    return torch.cat([shape.flatten(1), confidence, seen, size.log()], 1)


def _other_side(names: Sequence[str]) -> list[int]:
    """Positions of the names with left and right exchanged."""
    left, right = (f"{side}_" for side in skeleton.SIDES)
    exchanged = [name.replace(left, "?").replace(right, left).replace("?", right) for name in names]
    return [list(names).index(name) for name in exchanged]


_MIRRORED_POINTS = _other_side([CANONICAL_KEYPOINT_NAMES[index] for index in LIFTED_KEYPOINTS])
_MIRRORED_JOINTS = _other_side(skeleton.JOINT_NAMES[skeleton.BODY_JOINTS])


def answer_from_both_sides(network: LiftingNetwork, features: Tensor) -> NetworkAnswer:
    """The mean of what the network says to features [B, F] and to their mirror image, mirrored back."""
    points, confidence, seen, size = features.split([2 * _N_POINTS, _N_POINTS, _N_POINTS, 1], 1)
    points = points.unflatten(1, (-1, 2))[:, _MIRRORED_POINTS] * points.new_tensor([-1.0, 1.0])
    image = [points.flatten(1), confidence[:, _MIRRORED_POINTS], seen[:, _MIRRORED_POINTS], size]
    answer, mirrored = network(features), network(torch.cat(image, 1))
    joints = mirrored.joints[:, _MIRRORED_JOINTS] * points.new_tensor([-1.0, 1.0, 1.0])
    return NetworkAnswer(
        (answer.joints + joints) / 2.0,
        (answer.log_sd + mirrored.log_sd[:, _MIRRORED_JOINTS]) / 2.0,
        (answer.exchanged + mirrored.exchanged) / 2.0,
    )


@dataclass(frozen=True)
class LiftedJoints:
    """What keypoints tell about the body joints of people in front of a camera.

    Attributes:
        joints: [B, 21, 3] from the pelvis, along the camera's axes, metres.
        whitening: [B, 21, 3, 3]; times a joint's error it has unit variance.
        exchanged: [B, 2] probabilities that :data:`EXCHANGED_LIMBS` come with left and right exchanged.
    """

    joints: Tensor
    whitening: Tensor
    exchanged: Tensor


@torch.no_grad()
def lift(
    network: LiftingNetwork, keypoints: Tensor, confidence: Tensor, focal_length: Tensor, principal_point: Tensor
) -> LiftedJoints:
    """The body joints behind keypoints.

    Args:
        network: a trained one.
        keypoints: [B, 135, 2] pixels, canonical layout.
        confidence: [B, 135]; 0 for what is not seen.
        focal_length: [B, 2] pixels.
        principal_point: [B, 2] pixels.
    """
    seen = confidence[:, LIFTED_KEYPOINTS].float()
    points = (keypoints - principal_point[:, None]) / focal_length[:, None]
    points = points[:, LIFTED_KEYPOINTS].float()
    towards = _towards(points, seen)
    rays = torch.cat([points, torch.ones_like(points[..., :1])], 2) @ towards
    turned = rays[..., :2] / rays[..., 2:].clamp_min(1e-3)
    answer = answer_from_both_sides(network, lifting_features(turned, seen))
    whitening = torch.exp(-answer.log_sd)[..., None] * towards.transpose(1, 2)[:, None]
    joints = answer.joints @ towards.transpose(1, 2)
    return LiftedJoints(joints.to(keypoints), whitening.to(keypoints), answer.exchanged.sigmoid().to(keypoints))


def _towards(points: Tensor, seen: Tensor) -> Tensor:
    """Smallest rotations [B, 3, 3] that turn the view axis to the middle of the points [B, N, 2]."""
    share = (seen > 0).to(points.dtype)
    share = share / share.sum(1, keepdim=True).clamp_min(1.0)
    middle = (points * share[..., None]).sum(1)
    x, y, z = nn.functional.normalize(torch.cat([middle, torch.ones_like(middle[:, :1])], 1), dim=1).unbind(1)
    shared = -x * y / (1.0 + z)
    columns = [1.0 - x * x / (1.0 + z), shared, x, shared, 1.0 - y * y / (1.0 + z), y, -x, -y, z]
    return torch.stack(columns, 1).unflatten(1, (3, 3))


def lifting_energy(joints: Tensor, lifted: Tensor, whitening: Tensor) -> Tensor:
    """Squared Mahalanobis distance [B] of body joints from what was lifted.

    Args:
        joints: [B, J, 3] in the camera frame, metres; the pelvis first, the 21 body joints after it.
        lifted: [B, 21, 3] see :class:`LiftedJoints`.
        whitening: [B, 21, 3, 3].
    """
    offsets = joints[:, skeleton.BODY_JOINTS] - joints[:, :1] - lifted
    return (whitening @ offsets[..., None]).square().sum((1, 2, 3))
