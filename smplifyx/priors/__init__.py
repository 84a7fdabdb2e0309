"""Priors of body poses, and joint limits."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import torch
from torch import Tensor

from smplifyx.config.schema import BodyPosePriorName
from smplifyx.errors import UsageError
from smplifyx.priors.joint_limits import hyperextension, joint_limit_energy
from smplifyx.priors.mixture import MixturePrior, load_mixture, shipped_mixture
from smplifyx.priors.pose_space import N_BODY_POSE, BodyPosePrior, DecodedPose, load_gaussian
from smplifyx.priors.vposer import ResidualVPoser, VPoser
from smplifyx.priors.vposer_checkpoints import load_vposer, shipped_weights

__all__ = [
    "BODY_POSE_PRIORS",
    "HELD_OUT_SUBJECTS",
    "BodyPosePrior",
    "DecodedPose",
    "hyperextension",
    "joint_limit_energy",
    "make_body_pose_prior",
]

#: CMU subjects excluded from the training of all shipped networks and priors: everyday actions, walking styles,
#: running, basketball, dance; a fifth of the frames. Evaluations take their poses from these subjects.
HELD_OUT_SUBJECTS: tuple[str, ...] = ("06", "07", "13", "16", "49", "91")

#: Names accepted by the setting ``priors.body_pose``.
BODY_POSE_PRIORS: tuple[str, ...] = get_args(BodyPosePriorName)


def make_body_pose_prior(
    name: str,
    path: Path | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    residual: float = 0.0,
    rounding: float = 0.0,
) -> BodyPosePrior:
    """Create a body-pose prior.

    Args:
        name: ``vposer`` (learned decoder), ``gmm`` (mixture of Gaussians), ``gaussian`` (full covariance), ``l2``
            (distance to the T-pose, in radians) or ``none``.
        path: file of the first three, or VPoser's folder; None: the one that ships with the package.
        dtype, device: of the arithmetic.
        residual: freedom of poses around decoded ones, see :class:`~smplifyx.priors.vposer.ResidualVPoser`;
            0 disables it, as do weights without a residual covariance.
        rounding: of the kinks of VPoser's rectifiers, see :class:`~smplifyx.priors.vposer.VPoser`.

    Raises:
        UsageError: the name is unknown.
        InputError: the file is damaged.
    """
    if name == "vposer":
        weights = load_vposer(path or shipped_weights())
        if residual and weights.residual_covariance is not None:
            return ResidualVPoser(weights, residual, dtype, device, rounding)
        return VPoser(weights, dtype, device, rounding)
    if name == "gmm":
        return MixturePrior(load_mixture(path or shipped_mixture()), *_gaussian_space(None, dtype, device))
    if name == "gaussian":
        return BodyPosePrior(*_gaussian_space(path, dtype, device))
    if name in ("l2", "none"):
        zero = torch.zeros(N_BODY_POSE, dtype=dtype, device=device)
        return BodyPosePrior(zero, torch.eye(N_BODY_POSE, dtype=dtype, device=device), float(name == "l2"))
    raise UsageError(f"priors.body_pose: {name!r} is unknown; expected one of {', '.join(BODY_POSE_PRIORS)}")


def _gaussian_space(path: Path | None, dtype: torch.dtype, device: torch.device | str) -> tuple[Tensor, Tensor]:
    """Mean [63] and basis [63, 63] in which the Gaussian is standard normal."""
    mean, covariance = load_gaussian(path)
    basis = np.linalg.cholesky(covariance)
    return torch.as_tensor(mean).to(device, dtype), torch.as_tensor(basis).to(device, dtype)
