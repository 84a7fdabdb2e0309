"""Linear pose spaces with a quadratic energy: the base of all body-pose priors, and the Gaussian prior's file."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from smplifyx import skeleton
from smplifyx.errors import InputError, reason
from smplifyx.rotations import axis_angle_to_matrix, matrix_to_axis_angle

FloatArray = NDArray[np.float64]

N_BODY_JOINTS = skeleton.BODY_JOINTS.stop - skeleton.BODY_JOINTS.start
N_BODY_POSE = 3 * N_BODY_JOINTS


class DecodedPose:
    """``rotations`` [B, 21, 3, 3] of the body joints, and their ``axis_angle`` [B, 63] (radians) on demand.

    Args:
        rotations: [B, 21, 3, 3].
        axis_angle: [B, 63] if it is known already; angles may then exceed pi.
    """

    def __init__(self, rotations: Tensor, axis_angle: Tensor | None = None) -> None:
        self.rotations = rotations
        self._axis_angle = axis_angle

    @property
    def axis_angle(self) -> Tensor:
        """[B, 63] radians."""
        if self._axis_angle is None:
            self._axis_angle = matrix_to_axis_angle(self.rotations).flatten(1)
        return self._axis_angle


class BodyPosePrior(nn.Module):
    """A linear pose space: pose = mean + basis z, with energy scale |z|^2.

    Optimising z instead of the pose gives the optimiser the metric of the prior, which saves many iterations.
    Learned decoders subclass this and override :meth:`decode`, :meth:`encode` and :meth:`energy`.

    Args:
        mean: [63] axis-angle pose of z = 0.
        basis: [63, 63] invertible.
        scale: factor of the energy; 0 disables the prior.
    """

    #: Number of leading parameters that are the code of a learned decoder, which is kept in results.
    n_embedding = 0

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

    @property
    def quadratic_scale(self) -> float | None:
        """The factor s of an energy s |z|^2; None where the energy is not of this kind."""
        return self.scale

    def decode(self, z: Tensor) -> DecodedPose:
        """Body pose of the parameters z [B, n_parameters]."""
        axis_angle = torch.addmm(self.mean, z, self.basis)
        return DecodedPose(axis_angle_to_matrix(axis_angle.unflatten(1, (-1, 3))), axis_angle)

    def encode(self, axis_angle: Tensor) -> Tensor:
        """Parameters z [B, n_parameters] of a body pose [B, 63] in axis-angle."""
        return (axis_angle - self.mean) @ self.inverse_basis

    def energy(self, z: Tensor) -> Tensor:
        """Energy [B] of the parameters z."""
        return self.scale * (z * z).sum(1)

    def curvature(self, z: Tensor) -> Tensor:
        """Positive semidefinite matrices [B, n_parameters, n_parameters] close to the Hessians of the energy."""
        identity = torch.eye(self.n_parameters, dtype=z.dtype, device=z.device)
        return (2.0 * self.scale * identity).expand(len(z), -1, -1)


def load_gaussian(path: Path | None = None) -> tuple[FloatArray, FloatArray]:
    """Read mean [63] and covariance [63, 63] of a body-pose Gaussian, radians.

    Args:
        path: ``.npz`` with these arrays; None: the one that ships with the package.

    Raises:
        InputError: the file is damaged, or the covariance is not positive definite.
    """
    if path is None:
        path = Path(str(resources.files("smplifyx") / "data" / "priors" / "body_pose_gaussian.npz"))
    try:
        with np.load(path, allow_pickle=False) as file:
            mean, covariance = np.float64(file["mean"]), np.float64(file["covariance"])
    except Exception as error:  # a damaged archive can fail in any way
        raise InputError(
            path, f"not a body-pose Gaussian (arrays mean [63], covariance [63, 63]): {reason(error)}"
        ) from error
    if mean.shape != (N_BODY_POSE,) or covariance.shape != (N_BODY_POSE, N_BODY_POSE):
        raise InputError(
            path, f"expected mean [63] and covariance [63, 63], found {mean.shape} and {covariance.shape}", "mean"
        )
    if not np.isfinite(mean).all() or not is_positive_definite(covariance):
        raise InputError(path, "expected finite numbers and a positive definite matrix", "covariance")
    return mean, covariance


def is_positive_definite(matrices: FloatArray) -> bool:
    """Whether all matrices [..., N, N] are finite and positive definite."""
    return bool(np.isfinite(matrices).all()) and bool((np.linalg.eigvalsh(matrices) > 0).all())
