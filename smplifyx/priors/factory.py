"""Which motion capture the priors that ship with the package have never seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from smplifyx.errors import UsageError
from smplifyx.priors.mixture import MixturePrior, load_mixture, shipped_mixture
from smplifyx.priors.pose_space import N_BODY_POSE, BodyPosePrior, load_gaussian
from smplifyx.priors.vposer import ResidualVPoser, VPoser
from smplifyx.priors.vposer_checkpoints import load_vposer, shipped_weights

#: CMU subjects kept out of all training: everyday actions, walking styles, running, basketball, dance; a fifth of
#: the frames. Evaluations draw their poses from these people.
HELD_OUT_SUBJECTS: tuple[str, ...] = ("06", "07", "13", "16", "49", "91")


#: Names that the configuration accepts.
BODY_POSE_PRIORS = ("vposer", "gmm", "gaussian", "l2", "none")


def make_body_pose_prior(
    name: str,
    path: Path | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    deviation: float = 0.0,
) -> BodyPosePrior:
    """The prior of that name.

    Args:
        name: ``vposer`` (learned decoder), ``gmm`` (mixture of Gaussians), ``gaussian`` (full covariance), ``l2``
            (distance to the T-pose, in radians) or ``none``.
        path: file of the first three, or VPoser's folder; the one that ships with the package when absent.
        dtype, device: of the arithmetic.
        deviation: how far poses may leave what VPoser decodes, see
            :class:`~smplifyx.priors.vposer.ResidualVPoser`; 0, or weights that do not know: not at all.

    Raises:
        UsageError: the name is unknown.
        InputError: the file is damaged.
    """
    if name == "vposer":
        weights = load_vposer(path or shipped_weights())
        if deviation and weights.deviation is not None:
            return ResidualVPoser(weights, deviation, dtype, device)
        return VPoser(weights, dtype, device)
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
    return _tensor(mean, dtype, device), _tensor(basis, dtype, device)


def _tensor(array: np.ndarray, dtype: torch.dtype, device: torch.device | str) -> Tensor:
    return torch.as_tensor(array).to(dtype=dtype, device=device)
