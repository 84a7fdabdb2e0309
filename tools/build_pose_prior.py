"""Fit the Gaussian and the mixture of Gaussians that ship with the package to a motion-capture file.

Motion capture is full of motion: its mean pose crouches. People in photos mostly stand or sit still. So the mean of
the Gaussian is that of frames of people standing with hanging arms, and its covariance is the second moment of all
frames about it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.special import logsumexp

from smplifyx.priors import HELD_OUT_SUBJECTS
from smplifyx.priors.mixture import Mixture
from smplifyx.priors.pose_space import FloatArray
from smplifyx.training.poses import MotionCapture, PoseSampler, load_motion_capture, mirror_body_pose, standing_pose
from smplifyx.training.settings import PoseData

SHIPPED = Path(__file__).parent.parent / "smplifyx/data/priors"
N_COMPONENTS, N_MIXTURE_POSES = 8, 30_000
#: Standard deviation added to each angle (radians), for errors of capture and retargeting.
POSE_FLOOR = np.radians(3.0)


def fit_gaussian(data: MotionCapture) -> tuple[np.ndarray, np.ndarray]:
    """Fit mean [63] and covariance [63, 63] (radians), symmetric between left and right."""
    mean = standing_pose(data)
    covariance = np.eye(len(mean)) * POSE_FLOOR**2
    for poses in (data.body_pose, mirror_body_pose(data.body_pose)):
        centred = poses - mean
        covariance += 0.5 * (centred * data.weights[:, None]).T @ centred
    return mean, covariance


def fit_mixture(
    poses: FloatArray, n_components: int, floor: float, rng: np.random.Generator, n_iterations: int = 60
) -> Mixture:
    """Fit a mixture to poses [N, D] by expectation maximisation.

    Args:
        poses: axis-angle, radians.
        n_components: number of Gaussians.
        floor: standard deviation added to each angle of each Gaussian (radians).
        rng: draws the initial means.
        n_iterations: number of iterations.
    """
    distance = np.square(poses[:, None] - _scattered(poses, n_components, rng)).sum(2)
    share = np.eye(n_components)[distance.argmin(1)]
    for _ in range(n_iterations):
        mixture = _maximised(poses, share, floor)
        log_share = log_densities(mixture, poses)
        share = np.exp(log_share - logsumexp(log_share, axis=1, keepdims=True))
    return mixture


def log_densities(mixture: Mixture, poses: FloatArray) -> FloatArray:
    """Logarithms [N, M] of weight times density of poses [N, D] in each Gaussian."""
    columns = []
    for mean, covariance, weight in zip(mixture.means, mixture.covariances, mixture.weights, strict=True):
        factor = np.linalg.cholesky(covariance)
        whitened = np.linalg.solve(factor, (poses - mean).T)
        normaliser = np.log(np.diag(factor)).sum() + 0.5 * len(mean) * np.log(2.0 * np.pi)
        columns.append(np.log(weight) - normaliser - 0.5 * np.square(whitened).sum(0))
    return np.stack(columns, 1)


def _scattered(poses: FloatArray, count: int, rng: np.random.Generator) -> FloatArray:
    """Draw poses [count, D] with probabilities by the squared distance from those before (k-means++)."""
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


def mixture_of(data: MotionCapture, seed: int) -> Mixture:
    """Eight Gaussians for the poses that the learned prior is trained on."""
    sampler = PoseSampler(data, PoseData(), seed)
    poses = np.float64(sampler.draw(N_MIXTURE_POSES).axis_angle.numpy())
    return fit_mixture(poses, N_COMPONENTS, POSE_FLOOR, sampler.rng)


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit the two priors and write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mocap", type=Path, help="npz with body_pose, clip_index, clip_names, frame, fps")
    parser.add_argument("--output", type=Path, default=SHIPPED, help="folder")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    data, held_out = load_motion_capture(options.mocap).split_subjects(HELD_OUT_SUBJECTS)
    mean, covariance = fit_gaussian(data)
    np.savez(
        options.output / "body_pose_gaussian.npz",
        mean=mean.astype(np.float32),
        covariance=covariance.astype(np.float32),
    )
    mixture = mixture_of(data, options.seed)
    np.savez(
        options.output / "body_pose_mixture.npz",
        **{name: np.float32(value) for name, value in vars(mixture).items()},
    )
    gaussian = Mixture(mean[None], covariance[None], np.ones(1))
    for name, density in (("gaussian", gaussian), ("mixture", mixture)):
        score = np.logaddexp.reduce(log_densities(density, held_out.body_pose), axis=1).mean()
        print(f"{name}: weights {density.weights.round(3)}, mean log density of held-out poses {score:.1f} nats")


if __name__ == "__main__":
    main()
