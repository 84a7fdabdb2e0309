"""Training poses: motion capture drawn by weight, and synthetic sitting, kneeling and squatting people.

Sitting, kneeling and squatting are frequent in photos and rare in motion capture. Legs follow the anatomy of these
postures, with generous standard deviations; trunk, head and arms are those of motion-capture frames, with the trunk
leaning forward as balance requires.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from smplifyx.body.data import BodyModelData
from smplifyx.body.files import load_body_model_data
from smplifyx.body.search import find_body_model
from smplifyx.priors.pose_space import N_BODY_JOINTS, FloatArray
from smplifyx.rotations import axis_angle_to_matrix
from smplifyx.skeleton import body_pose_row
from smplifyx.training.motion_capture import MotionCapture, is_upright, mirror_body_pose
from smplifyx.training.settings import PoseData


@dataclass(frozen=True)
class Posture:
    """Mean and standard deviation of angles, degrees.

    Attributes:
        hip, knee: flexion.
        spread: outward rotation of each thigh.
        ankle: flexion towards the shin, negative for a stretched foot.
        lean: forward bend of the lower spine, shared by its three joints.
        uneven: standard deviation between the two legs.
    """

    hip: tuple[float, float]
    knee: tuple[float, float]
    spread: tuple[float, float]
    ankle: tuple[float, float]
    lean: tuple[float, float]
    uneven: float = 8.0


SITTING = Posture(hip=(82, 12), knee=(85, 18), spread=(8, 9), ankle=(0, 10), lean=(5, 12))
KNEELING = Posture(hip=(25, 25), knee=(115, 20), spread=(8, 7), ankle=(-35, 15), lean=(5, 8), uneven=5.0)
SQUATTING = Posture(hip=(110, 12), knee=(125, 14), spread=(15, 9), ankle=(25, 8), lean=(20, 10))
#: Postures and their shares.
POSTURES = ((SITTING, 0.7), (KNEELING, 0.15), (SQUATTING, 0.15))
#: Shares of a forward bend taken by the joints from spine1 to spine3.
_SPINE_SHARES = (0.5, 0.3, 0.2)


def seated_poses(body_pose: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Change poses [N, 63] (axis-angle, radians) to sitting, kneeling or squatting."""
    kinds = rng.choice(len(POSTURES), size=len(body_pose), p=[share for _, share in POSTURES])
    changed = body_pose.copy()
    for kind, (posture, _) in enumerate(POSTURES):
        changed[kinds == kind] = _with_posture(posture, changed[kinds == kind], rng)
    return changed


def _with_posture(posture: Posture, body_pose: FloatArray, rng: np.random.Generator) -> FloatArray:
    pose = body_pose.reshape(len(body_pose), N_BODY_JOINTS, 3).copy()

    def draw(mean_and_sd: tuple[float, float]) -> FloatArray:
        return np.asarray(np.radians(rng.normal(*mean_and_sd, len(pose))))

    hip, knee, spread, ankle = (draw(angle) for angle in (posture.hip, posture.knee, posture.spread, posture.ankle))
    uneven = (0.0, posture.uneven)
    for side, outwards in (("left", 1.0), ("right", -1.0)):
        pose[:, body_pose_row(f"{side}_hip")] = np.stack(
            [-(hip + draw(uneven)), outwards * (spread + draw(uneven)), outwards * draw((2, 5))], 1
        )
        bent = np.clip(knee + draw(uneven), 0.0, np.radians(150.0))
        pose[:, body_pose_row(f"{side}_knee")] = np.stack([bent, draw((0, 2)), draw((0, 2))], 1)
        pose[:, body_pose_row(f"{side}_ankle")] = np.stack([-(ankle + draw(uneven)), draw((0, 5)), draw((0, 4))], 1)
        pose[:, body_pose_row(f"{side}_foot")] = 0.0
    lean = draw(posture.lean)
    for number, share in enumerate(_SPINE_SHARES, 1):
        pose[:, body_pose_row(f"spine{number}"), 0] = share * lean + draw((0, 2))
    return pose.reshape(body_pose.shape)


@dataclass(frozen=True)
class PoseBatch:
    """Poses as ``axis_angle`` [B, 63] (radians) and as ``rotations`` [B, 21, 3, 3]."""

    axis_angle: Tensor
    rotations: Tensor


def pose_batch(body_pose: FloatArray) -> PoseBatch:
    """Convert poses [N, 63] to tensors."""
    axis_angle = torch.as_tensor(body_pose, dtype=torch.float32)
    return PoseBatch(axis_angle, axis_angle_to_matrix(axis_angle.unflatten(1, (-1, 3))))


def training_body(models: Path | None) -> BodyModelData:
    """Load the neutral body model of the training.

    Args:
        models: the only folder to search; None: all folders.

    Raises:
        InputError: there is no body model, or it is damaged.
    """
    return load_body_model_data(find_body_model("smplx", "neutral", models))


class PoseSampler:
    """Draws poses: motion capture by its weights, extra standing people, some made to sit; half of them mirrored.

    Args:
        data: the motion capture.
        options: shares of standing and seated people.
        seed: of the generator ``rng``.
    """

    def __init__(self, data: MotionCapture, options: PoseData, seed: int) -> None:
        self._poses = data.body_pose
        self._options = options
        self.rng = np.random.default_rng(seed)
        self._cumulative = np.cumsum(data.weights)
        self._upright = np.nonzero(is_upright(data.body_pose))[0]

    def draw(self, count: int) -> PoseBatch:
        """Draw a batch of ``count`` poses."""
        rows = np.searchsorted(self._cumulative[:-1], self.rng.random(count))
        kind = self.rng.random(count)
        upright = kind < self._options.upright_share
        if len(self._upright):
            rows[upright] = self.rng.choice(self._upright, upright.sum())
        poses = self._poses[rows]
        seated = kind > 1.0 - self._options.seated_share
        poses[seated] = seated_poses(poses[seated], self.rng)
        mirrored = self.rng.random(count) < 0.5
        poses[mirrored] = mirror_body_pose(poses[mirrored])
        return pose_batch(poses)
