"""Fits the Gaussian body-pose prior that ships with the package to a motion-capture file."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from smplifyx.priors.provenance import HELD_OUT_SUBJECTS
from smplifyx.training.gaussian_prior import fit_gaussian
from smplifyx.training.motion_capture import load_motion_capture

DEFAULT_OUTPUT = Path(__file__).parent.parent / "smplifyx/data/priors/body_pose_gaussian.npz"

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mocap", type=Path, help="npz with body_pose, clip_index, clip_names, frame, fps")
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT)
    arguments = parser.parse_args()
    data, _ = load_motion_capture(arguments.mocap).split_subjects(HELD_OUT_SUBJECTS)
    mean, covariance = fit_gaussian(data)
    np.savez(arguments.output, mean=mean.astype(np.float32), covariance=covariance.astype(np.float32))
    print(
        f"wrote {arguments.output}: standard deviations {np.degrees(np.sqrt(np.diag(covariance))).round(1)} degrees"
    )
