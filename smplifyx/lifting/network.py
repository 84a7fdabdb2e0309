"""The lifting network: 3D body joints from 2D keypoints, and its file.

Keypoints alone leave the sign and the size of each limb's depth open, and a prior over poses that does not see the
picture answers with the most common pose. A network of fully connected layers from keypoints to joints (Martinez et
al. 2017, "A simple yet effective baseline for 3d human pose estimation") learns which depth belongs to which picture.
It also predicts a standard deviation per coordinate, so that its output enters the objective as a Gaussian.
"""

from __future__ import annotations

import io
import json
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
#: Canonical indices of the network's input: the body and three knuckles of each hand.
LIFTED_KEYPOINTS: tuple[int, ...] = (*range(25), *(CANONICAL_KEYPOINT_NAMES.index(name) for name in _PALM))
N_LIFTED_JOINTS = skeleton.BODY_JOINTS.stop - skeleton.BODY_JOINTS.start
#: Limbs of which a detector confuses left and right, in the order of the network's outputs for them.
SWAPPABLE_LIMBS: tuple[str, ...] = ("arms", "legs")

_N_POINTS = len(LIFTED_KEYPOINTS)
_N_FEATURES = 4 * _N_POINTS + 1
_N_COORDINATES = 3 * N_LIFTED_JOINTS
#: Typical spread of a person's keypoints, in focal lengths; scales the last feature.
_TYPICAL_SPREAD = 0.15
#: Logarithm of the standard deviation (metres) at the start of training, and its bounds.
_START_LOG_SD, _LOG_SD_RANGE = -2.0, (-5.0, 1.0)
_MAX_WIDTH, _MAX_BLOCKS = 8192, 64


@dataclass(frozen=True)
class LiftingOutput:
    """Output of the network, in the frame of a camera that points at the person.

    Attributes:
        joints: [B, 21, 3] relative to the pelvis, metres.
        log_sd: [B, 21, 3] logarithms of their standard deviations.
        swapped_sides: [B, 2] logits: left and right of :data:`SWAPPABLE_LIMBS` are swapped in the input.
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

    def forward(self, features: Tensor) -> LiftingOutput:
        """Predict joints from features [B, F] of :func:`lifting_features`."""
        hidden = self.first(features)
        for block in self.blocks:
            hidden = hidden + block(hidden)
        joints, log_sd, swapped_sides = self.last(hidden).split([_N_COORDINATES, _N_COORDINATES, 2], 1)
        log_sd = (log_sd + _START_LOG_SD).clamp(*_LOG_SD_RANGE)
        return LiftingOutput(joints.unflatten(1, (-1, 3)), log_sd.unflatten(1, (-1, 3)), swapped_sides)


def lifting_features(points: Tensor, confidence: Tensor, spread_factor: Tensor | None = None) -> Tensor:
    """Return features [B, F] of keypoints: centred, scaled to unit spread, with confidence and visibility.

    Args:
        points: [B, 31, 2] of :data:`LIFTED_KEYPOINTS`, seen by a camera that points at the person, in focal lengths.
        confidence: [B, 31]; 0 for keypoints that were not detected.
        spread_factor: [B] factor on the spread, which stands for an error of the focal length; none by default.
    """
    seen = (confidence > 0).to(points.dtype)
    share = seen / seen.sum(1, keepdim=True).clamp_min(1.0)
    centred = points - (points * share[..., None]).sum(1, keepdim=True)
    spread = (centred.square().sum(2) * share).sum(1, keepdim=True).sqrt().clamp_min(1e-4)
    shape = centred / spread[..., None] * seen[..., None]
    size = spread / _TYPICAL_SPREAD if spread_factor is None else spread * spread_factor[:, None] / _TYPICAL_SPREAD
    return torch.cat([shape.flatten(1), confidence, seen, size.log()], 1)


_MIRRORED_POINTS = skeleton.mirror_order([CANONICAL_KEYPOINT_NAMES[index] for index in LIFTED_KEYPOINTS])
_MIRRORED_JOINTS = skeleton.mirror_order(skeleton.JOINT_NAMES[skeleton.BODY_JOINTS])


def predict_with_flip(network: LiftingNetwork, features: Tensor) -> LiftingOutput:
    """Average the predictions for features [B, F] and for their mirror image, mirrored back."""
    points, confidence, seen, size = features.split([2 * _N_POINTS, _N_POINTS, _N_POINTS, 1], 1)
    points = points.unflatten(1, (-1, 2))[:, _MIRRORED_POINTS] * points.new_tensor([-1.0, 1.0])
    image = [points.flatten(1), confidence[:, _MIRRORED_POINTS], seen[:, _MIRRORED_POINTS], size]
    both = network(torch.cat([features, torch.cat(image, 1)]))
    (joints, mirrored), (log_sd, mirrored_log_sd) = both.joints.chunk(2), both.log_sd.chunk(2)
    mirrored = mirrored[:, _MIRRORED_JOINTS] * points.new_tensor([-1.0, 1.0, 1.0])
    return LiftingOutput(
        (joints + mirrored) / 2.0,
        (log_sd + mirrored_log_sd[:, _MIRRORED_JOINTS]) / 2.0,
        sum(both.swapped_sides.chunk(2)) / 2.0,
    )


def shipped_lifting() -> Path:
    """Return the path of the network that ships with the package."""
    return Path(str(resources.files("smplifyx") / "data" / "priors" / "lifting.npz"))


def save_lifting(path: Path, network: LiftingNetwork, source: str) -> None:
    """Write a network and a line about its origin, atomically."""
    arrays = {name: np.float16(value.detach().cpu().numpy()) for name, value in network.state_dict().items()}
    with atomic_path(path) as temporary:
        np.savez(temporary, allow_pickle=False, source=json.dumps(source), **arrays)


def load_lifting(path: Path) -> LiftingNetwork:
    """Read a network written by :func:`save_lifting`.

    Raises:
        InputError: there is no such file, or it is damaged or holds something else.
    """
    if not path.is_file():
        raise InputError(path, "no such file; expected a lifting network (.npz)")
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files if name != "source"}
            tensors = {name: torch.as_tensor(np.float32(array)) for name, array in arrays.items()}
    except Exception as error:  # a damaged archive can fail in any way
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
