"""Where the body's joints are in depth, by their keypoints: what motion capture knows about the third dimension.

Keypoints alone leave the sign and the size of every limb's depth open, and a prior over poses that does not look at
the picture takes the commonest answer. A network of fully connected layers that maps keypoints to joints (Martinez et
al. 2017, "A simple yet effective baseline for 3d human pose estimation") knows which depth goes with which picture.
It also says how far each coordinate may be off, so that its answer enters the objective as a Gaussian.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from smplifyx import skeleton
from smplifyx.errors import InputError, reason
from smplifyx.files import atomic_path
from smplifyx.skeleton import CANONICAL_KEYPOINT_NAMES

_PALM = tuple(f"{side}_hand_{finger}1" for side in skeleton.SIDES for finger in ("index", "middle", "pinky"))
#: Canonical indices of what the network sees: the body and three knuckles of each hand.
LIFTED_KEYPOINTS: tuple[int, ...] = (*range(25), *(CANONICAL_KEYPOINT_NAMES.index(name) for name in _PALM))
N_LIFTED_JOINTS = skeleton.BODY_JOINTS.stop - skeleton.BODY_JOINTS.start
#: Limbs whose left and right a detector takes for each other, in the order of the network's answers about them.
SWAPPABLE_LIMBS: tuple[str, ...] = ("arms", "legs")

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
        exchanged: [B, 2] logits: the limbs of :data:`SWAPPABLE_LIMBS` come with left and right exchanged.
    """

    joints: Tensor
    log_sd: Tensor
    swapped_sides: Tensor


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
        self.last = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * _N_COORDINATES + len(SWAPPABLE_LIMBS)))

    def forward(self, features: Tensor) -> NetworkAnswer:
        """What follows from features [B, F] of :func:`lifting_features`."""
        hidden = self.first(features)
        for block in self.blocks:
            hidden = hidden + block(hidden)
        joints, log_sd, swapped_sides = self.last(hidden).split([_N_COORDINATES, _N_COORDINATES, 2], 1)
        log_sd = (log_sd + _START_LOG_SD).clamp(*_LOG_SD_RANGE)
        return NetworkAnswer(joints.unflatten(1, (-1, 3)), log_sd.unflatten(1, (-1, 3)), swapped_sides)


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
    swapped_sides = [name.replace(left, "?").replace(right, left).replace("?", right) for name in names]
    return [list(names).index(name) for name in swapped_sides]


_MIRRORED_POINTS = _other_side([CANONICAL_KEYPOINT_NAMES[index] for index in LIFTED_KEYPOINTS])
_MIRRORED_JOINTS = _other_side(skeleton.JOINT_NAMES[skeleton.BODY_JOINTS])


def predict_with_flip(network: LiftingNetwork, features: Tensor) -> NetworkAnswer:
    """The mean of what the network says to features [B, F] and to their mirror image, mirrored back."""
    points, confidence, seen, size = features.split([2 * _N_POINTS, _N_POINTS, _N_POINTS, 1], 1)
    points = points.unflatten(1, (-1, 2))[:, _MIRRORED_POINTS] * points.new_tensor([-1.0, 1.0])
    image = [points.flatten(1), confidence[:, _MIRRORED_POINTS], seen[:, _MIRRORED_POINTS], size]
    answer, mirrored = network(features), network(torch.cat(image, 1))
    joints = mirrored.joints[:, _MIRRORED_JOINTS] * points.new_tensor([-1.0, 1.0, 1.0])
    return NetworkAnswer(
        (answer.joints + joints) / 2.0,
        (answer.log_sd + mirrored.log_sd[:, _MIRRORED_JOINTS]) / 2.0,
        (answer.swapped_sides + mirrored.swapped_sides) / 2.0,
    )


@dataclass(frozen=True)
class LiftedJoints:
    """What keypoints tell about the body joints of people in front of a camera.

    Attributes:
        joints: [B, 21, 3] from the pelvis, along the camera's axes, metres.
        whitening: [B, 21, 3, 3]; times a joint's error it has unit variance.
        exchanged: [B, 2] probabilities that :data:`SWAPPABLE_LIMBS` come with left and right exchanged.
    """

    joints: Tensor
    whitening: Tensor
    swapped_sides: Tensor


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
    answer = predict_with_flip(network, lifting_features(turned, seen))
    whitening = torch.exp(-answer.log_sd)[..., None] * towards.transpose(1, 2)[:, None]
    joints = answer.joints @ towards.transpose(1, 2)
    return LiftedJoints(joints.to(keypoints), whitening.to(keypoints), answer.swapped_sides.sigmoid().to(keypoints))


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


_MAX_WIDTH, _MAX_BLOCKS = 8192, 64


def shipped_lifting() -> Path:
    """The network that ships with the package."""
    return Path(str(resources.files("smplifyx") / "data" / "priors" / "lifting.npz"))


def save_lifting(path: Path, network: LiftingNetwork, source: str) -> None:
    """Write a network and a line about its origin, all or nothing."""
    arrays = {name: np.float16(value.detach().cpu().numpy()) for name, value in network.state_dict().items()}
    with atomic_path(path) as temporary:
        np.savez(temporary, allow_pickle=False, source=json.dumps(source), **arrays)


def load_lifting(path: Path) -> LiftingNetwork:
    """Read a network that :func:`save_lifting` wrote.

    Raises:
        InputError: there is no such file, or it is damaged or something else.
    """
    if not path.is_file():
        raise InputError(path, "no such file; expected a lifting network (.npz)")
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files if name != "source"}
            tensors = {name: torch.as_tensor(np.float32(array)) for name, array in arrays.items()}
    except (OSError, ValueError, TypeError, zipfile.BadZipFile, EOFError) as error:
        raise InputError(path, f"not a lifting network: {reason(error)}") from error
    numbers = {name.split(".")[1] for name in tensors if name.startswith("blocks.")}
    first = tensors.get("first.bias")
    if first is None or first.ndim != 1 or not 0 < len(first) <= _MAX_WIDTH or len(numbers) > _MAX_BLOCKS:
        raise InputError(path, "not a lifting network", "first.bias")
    network = LiftingNetwork(len(first), len(numbers))
    wanted = network.state_dict()
    wrong = [name for name, value in wanted.items() if name not in tensors or tensors[name].shape != value.shape]
    if wrong:
        raise InputError(path, f"is missing or does not belong to a width of {len(first)}", wrong[0])
    network.load_state_dict({name: tensors[name] for name in wanted})
    return network.eval()
