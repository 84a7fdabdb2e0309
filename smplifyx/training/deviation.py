"""How far poses lie from what the pose network makes of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smplifyx.priors.vposer import VPoser, VPoserWeights, residual_rotations
from smplifyx.training.motion_capture import MotionCapture
from smplifyx.training.vposer_config import VPoserConfig
from smplifyx.training.vposer_trainer import PoseSampler

#: Added to every angle's variance: some joints hardly move in the data, and no prior should be surer than that.
_FLOOR = np.radians(0.7)
#: Poses that the covariance is made from.
_N_POSES = 8000


def with_deviation(weights: VPoserWeights, training: MotionCapture, config: VPoserConfig) -> VPoserWeights:
    """The weights with their deviation, from poses drawn as in training."""
    poses = PoseSampler(training, config.data, config.run.seed).draw(_N_POSES).axis_angle
    return replace(weights, residual_covariance=deviation_covariance(VPoser(weights), poses))


@torch.no_grad()
def deviation_covariance(prior: VPoser, body_pose: Tensor) -> NDArray[np.float64]:
    """Covariance [63, 63] (radians²) about zero of the turns from decoded to true poses [N, 63]."""
    turns = residual_rotations(prior.decode(prior.encode(body_pose)).rotations, body_pose).double().numpy()
    return np.asarray(turns.T @ turns / len(turns) + _FLOOR**2 * np.eye(turns.shape[1]))
