"""A full-covariance Gaussian over body poses from motion capture, centred on a relaxed, upright person.

Motion capture is full of motion: its mean crouches. People in photos mostly stand or sit still. So the mean is that
of frames in which somebody stands with hanging arms, and the covariance is the second moment of all frames about it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from smplifyx.priors.mixture import Mixture
from smplifyx.training.motion_capture import MotionCapture, mirror_body_pose, standing_pose

#: Standard deviation added to every angle: what capture and retargeting do not see (radians).
POSE_FLOOR = np.radians(3.0)


def fit_gaussian(data: MotionCapture) -> tuple[np.ndarray, np.ndarray]:
    """Mean [63] and covariance [63, 63] (radians), symmetric between left and right."""
    mean = standing_pose(data)
    covariance = np.eye(len(mean)) * POSE_FLOOR**2
    for poses in (data.body_pose, mirror_body_pose(data.body_pose)):
        centred = poses - mean
        covariance += 0.5 * (centred * data.weights[:, None]).T @ centred
    return mean, covariance


FloatArray = NDArray[np.float64]


def fit_mixture(
    poses: FloatArray, n_components: int, floor: float, rng: np.random.Generator, n_iterations: int = 60
) -> Mixture:
    """A mixture for poses [N, D].

    Args:
        poses: axis-angle, radians.
        n_components: number of Gaussians.
        floor: standard deviation added to every angle of every Gaussian (radians).
        rng: for the first means, drawn far from each other.
        n_iterations: of expectation and maximisation.
    """
    distance = np.square(poses[:, None] - _scattered(poses, n_components, rng)).sum(2)
    share = np.eye(n_components)[distance.argmin(1)]
    for _ in range(n_iterations):
        mixture = _maximised(poses, share, floor)
        log_share = log_densities(mixture, poses)
        share = np.exp(log_share - logsumexp(log_share, axis=1, keepdims=True))
    return mixture


def log_densities(mixture: Mixture, poses: FloatArray) -> FloatArray:
    """Log of weight times density [N, M] of poses [N, D] in each Gaussian."""
    columns = []
    for mean, covariance, weight in zip(mixture.means, mixture.covariances, mixture.weights, strict=True):
        factor = np.linalg.cholesky(covariance)
        whitened = np.linalg.solve(factor, (poses - mean).T)
        normaliser = np.log(np.diag(factor)).sum() + 0.5 * len(mean) * np.log(2.0 * np.pi)
        columns.append(np.log(weight) - normaliser - 0.5 * np.square(whitened).sum(0))
    return np.stack(columns, 1)


def _scattered(poses: FloatArray, count: int, rng: np.random.Generator) -> FloatArray:
    """Poses [count, D] drawn with a chance that grows with the squared distance from those before (k-means++)."""
    chosen = [poses[rng.integers(len(poses))]]
    nearest = np.full(len(poses), np.inf)
    for _ in range(count - 1):
        nearest = np.minimum(nearest, np.square(poses - chosen[-1]).sum(1))
        chosen.append(poses[rng.choice(len(poses), p=nearest / nearest.sum())])
    return np.stack(chosen)


def _maximised(poses: FloatArray, share: FloatArray, floor: float) -> Mixture:
    mass = share.sum(0) + 1e-9
    means = share.T @ poses / mass[:, None]
    covariances = []
    for mean, column, total in zip(means, share.T, mass, strict=True):
        centred = poses - mean
        covariances.append((centred * column[:, None]).T @ centred / total + floor**2 * np.eye(poses.shape[1]))
    return Mixture(means, np.stack(covariances), mass / mass.sum())
