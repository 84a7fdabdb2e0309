"""Motion capture made from the shipped Gaussian: several subjects, some of their frames standing."""

from __future__ import annotations

import numpy as np
import pytest

from smplifyx.priors.pose_space import load_gaussian
from smplifyx.training.poses import MotionCapture


@pytest.fixture(scope="session")
def motion_capture() -> MotionCapture:
    mean, covariance = load_gaussian()
    rng = np.random.default_rng(0)
    poses = rng.multivariate_normal(mean, 0.3 * covariance, 600)
    poses[::10] = rng.multivariate_normal(mean, 0.01 * covariance, 60)
    subjects = np.repeat(["s1", "s2", "s3"], 200)
    clips = np.char.add(subjects, np.tile(np.repeat(["a", "b", "c", "d"], 50), 3))
    return MotionCapture(poses, np.ones(600), subjects, clips)
