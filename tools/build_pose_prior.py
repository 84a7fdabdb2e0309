"""Fits the Gaussian and the mixture of Gaussians that ship with the package to a motion-capture file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from smplifyx.priors import HELD_OUT_SUBJECTS
from smplifyx.priors.mixture import Mixture
from smplifyx.training.mixture import POSE_FLOOR, fit_gaussian, fit_mixture, log_densities
from smplifyx.training.motion_capture import MotionCapture, load_motion_capture
from smplifyx.training.vposer_config import VPoserData
from smplifyx.training.vposer_trainer import PoseSampler

SHIPPED = Path(__file__).parent.parent / "smplifyx/data/priors"
N_COMPONENTS, N_MIXTURE_POSES = 8, 30_000


def mixture_of(data: MotionCapture, seed: int) -> Mixture:
    """Eight Gaussians for the poses that the learned prior is trained on."""
    sampler = PoseSampler(data, VPoserData(), seed)
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
