"""A mixture of Gaussians over body poses (Bogo et al. 2016, section 3.2), with its exact density."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from smplifyx.body.pickles import load_pickle
from smplifyx.errors import InputError, reason
from smplifyx.priors.pose_space import N_BODY_POSE, BodyPosePrior, FloatArray, is_positive_definite


@dataclass(frozen=True)
class Mixture:
    """Gaussians over axis-angle poses (radians).

    Attributes:
        means: [M, 63].
        covariances: [M, 63, 63].
        weights: [M], summing to one.
    """

    means: FloatArray
    covariances: FloatArray
    weights: FloatArray


class MixturePrior(BodyPosePrior):
    """Minus twice the log density of a mixture, zero at its most likely mean.

    The original uses the nearest component only, so its gradient is discontinuous between components; the sum over
    all components costs the same and is smooth. The parameters z are those of a linear pose space, which changes the
    speed of the optimiser but not the minimum.

    Args:
        mixture: the density.
        mean: [63] pose of z = 0, the initial pose of fits.
        basis: [63, 63] of the linear pose space.
    """

    _whiten: Tensor
    _whitened_means: Tensor
    _log_weights: Tensor
    _curvatures: Tensor

    def __init__(self, mixture: Mixture, mean: Tensor, basis: Tensor) -> None:
        super().__init__(mean, basis)
        whiten = np.linalg.inv(np.linalg.cholesky(mixture.covariances))
        log_weights = np.log(mixture.weights) + np.log(np.diagonal(whiten, axis1=1, axis2=2)).sum(1)
        moved = np.einsum("mij,mj->mi", whiten, mixture.means)
        n_components = len(mixture.weights)
        arrays = {
            "_whiten": whiten.reshape(n_components * N_BODY_POSE, N_BODY_POSE).T,
            "_whitened_means": moved.reshape(-1),
            "_log_weights": log_weights - log_weights.max(),
            "_curvatures": 2.0 * np.einsum("mki,mkj->mij", along := whiten @ np.float64(basis.cpu()), along),
        }
        for name, array in arrays.items():
            self.register_buffer(name, torch.as_tensor(array.copy()).to(mean), persistent=False)

    @property
    def quadratic_scale(self) -> None:
        """None: the energy is not quadratic."""
        return None

    def energy(self, z: Tensor) -> Tensor:
        """Energy [B] of the parameters z [B, 63]."""
        return -2.0 * self._log_densities(z).logsumexp(1)

    def curvature(self, z: Tensor) -> Tensor:
        """Hessians [B, 63, 63] of the components, each with its share of the density; exact where one has it all."""
        shares = self._log_densities(z).softmax(1)
        return (shares[:, :, None, None] * self._curvatures).sum(1)

    def _log_densities(self, z: Tensor) -> Tensor:
        """Log densities [B, M] of the components, up to a constant."""
        pose = torch.addmm(self.mean, z, self.basis)
        whitened = torch.addmm(-self._whitened_means, pose, self._whiten).unflatten(1, (-1, N_BODY_POSE))
        return self._log_weights - 0.5 * whitened.square().sum(2)


def shipped_mixture() -> Path:
    """Return the path of the mixture that ships with the package."""
    return Path(str(resources.files("smplifyx") / "data" / "priors" / "body_pose_mixture.npz"))


def load_mixture(path: Path) -> Mixture:
    """Read a mixture: ``.npz`` with means, covariances and weights, or the original's ``gmm_08.pkl``.

    The original describes 23 joints. SMPL-X has the first 21 of them; the others are marginalised, that is, the
    covariances are cropped, never their inverses.

    Raises:
        InputError: the file is damaged, holds anything but numpy arrays, or is not a valid mixture.
    """
    try:
        if path.suffix == ".pkl":
            content = load_pickle(path)
            means, covariances, weights = (np.float64(content[name]) for name in ("means", "covars", "weights"))
        else:
            with np.load(path, allow_pickle=False) as arrays:
                means, covariances, weights = (
                    np.float64(arrays[name]) for name in ("means", "covariances", "weights")
                )
    except InputError:
        raise
    except Exception as error:  # a file can hold anything
        raise InputError(path, f"not a mixture of Gaussians over body poses: {reason(error)}") from error
    count, size = len(weights.reshape(-1)), means.shape[-1]
    if means.shape != (count, size) or covariances.shape != (count, size, size) or size < N_BODY_POSE:
        problem = f"expected means [M, >= 63] and covariances to match, found {means.shape} and {covariances.shape}"
        raise InputError(path, problem, "means")
    weights, kept = weights.reshape(-1), slice(N_BODY_POSE)
    if not (weights > 0).all() or not np.isfinite(weights.sum()):
        raise InputError(path, "expected numbers above 0", "weights")
    if not np.isfinite(means).all() or not is_positive_definite(covariances):
        raise InputError(path, "expected finite means and positive definite covariances", "covariances")
    return Mixture(means[:, kept], covariances[:, kept, kept], weights / weights.sum())
