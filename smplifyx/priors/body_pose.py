"""Priors on the pose of the 21 body joints, each with the parameters in which it is optimised."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from smplifyx.errors import InputError, UsageError
from smplifyx.geometry import axis_angle_to_matrix

N_BODY_POSE = 63

#: Names that the configuration accepts.
BODY_POSE_PRIORS = ("gaussian", "l2", "none")


class DecodedPose(NamedTuple):
    """``axis_angle`` [B, 63] and ``rotations`` [B, 21, 3, 3] of the body joints."""

    axis_angle: Tensor
    rotations: Tensor


class BodyPosePrior(nn.Module):
    """A linear pose space: pose = mean + basis z, with energy scale |z|^2.

    Optimising z instead of the pose puts the prior's own metric into the optimiser, which is worth many iterations.
    A learned decoder takes this class's place by overriding :meth:`decode`, :meth:`encode` and :meth:`energy`.

    Args:
        mean: [63] axis-angle pose of z = 0.
        basis: [63, 63] invertible.
        scale: factor of the energy; 0 switches the prior off.
    """

    mean: Tensor
    basis: Tensor
    inverse_basis: Tensor

    def __init__(self, mean: Tensor, basis: Tensor, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("basis", basis.T.contiguous(), persistent=False)
        self.register_buffer("inverse_basis", torch.linalg.inv(basis).T.contiguous(), persistent=False)

    @property
    def n_parameters(self) -> int:
        """Length of z."""
        return self.basis.shape[0]

    def decode(self, z: Tensor) -> DecodedPose:
        """Body pose of the parameters z [B, n_parameters]."""
        axis_angle = torch.addmm(self.mean, z, self.basis)
        return DecodedPose(axis_angle, axis_angle_to_matrix(axis_angle.unflatten(1, (-1, 3))))

    def encode(self, axis_angle: Tensor) -> Tensor:
        """Parameters z [B, n_parameters] of a body pose [B, 63] in axis-angle."""
        return (axis_angle - self.mean) @ self.inverse_basis

    def energy(self, z: Tensor) -> Tensor:
        """Energy [B] of the parameters z."""
        return self.scale * (z * z).sum(1)


def make_body_pose_prior(
    name: str,
    path: Path | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> BodyPosePrior:
    """The prior of that name.

    Args:
        name: ``gaussian`` (full covariance, from motion capture), ``l2`` (distance to the T-pose, in radians) or
            ``none``.
        path: file of the Gaussian; the one that ships with the package when absent.

    Raises:
        UsageError: the name is unknown.
        InputError: the file is damaged.
    """
    if name == "gaussian":
        mean, covariance = load_gaussian(path)
        basis = np.linalg.cholesky(covariance)
        return BodyPosePrior(_tensor(mean, dtype, device), _tensor(basis, dtype, device))
    if name in ("l2", "none"):
        zero = torch.zeros(N_BODY_POSE, dtype=dtype, device=device)
        return BodyPosePrior(zero, torch.eye(N_BODY_POSE, dtype=dtype, device=device), float(name == "l2"))
    raise UsageError(f"priors.body_pose: {name!r} is unknown; expected one of {', '.join(BODY_POSE_PRIORS)}")


def load_gaussian(path: Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Mean [63] and covariance [63, 63] of a body-pose Gaussian, radians, in float64."""
    if path is None:
        path = Path(str(resources.files("smplifyx") / "data" / "priors" / "body_pose_gaussian.npz"))
    try:
        with np.load(path, allow_pickle=False) as file:
            mean, covariance = np.float64(file["mean"]), np.float64(file["covariance"])
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            path, f"not a body-pose Gaussian (arrays mean [63], covariance [63, 63]): {error}"
        ) from error
    if mean.shape != (N_BODY_POSE,) or covariance.shape != (N_BODY_POSE, N_BODY_POSE):
        raise InputError(
            path, f"expected mean [63] and covariance [63, 63], found {mean.shape} and {covariance.shape}", "mean"
        )
    return mean, covariance


def _tensor(array: np.ndarray, dtype: torch.dtype, device: torch.device | str) -> Tensor:
    return torch.as_tensor(array).to(dtype=dtype, device=device)
