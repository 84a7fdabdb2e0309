from __future__ import annotations

import numpy as np
import pytest
import torch

from smplifyx.gender import FeatureDistribution, GenderCheckpoint, GenderNetwork, GenderSettings
from smplifyx.skeleton import BODY_KEYPOINT_NAMES, N_KEYPOINTS


def standing(x: float, y: float, height: float) -> np.ndarray:
    """Canonical keypoints `[135, 3]` of somebody: head at the top, feet at the bottom, half as wide as tall."""
    rows = {"nose": 0.02, "eye": 0.0, "ear": 0.01, "neck": 0.15, "shoulder": 0.18, "elbow": 0.35, "wrist": 0.5}
    rows |= {"mid_hip": 0.5, "hip": 0.5, "knee": 0.75, "ankle": 0.95, "toe": 1.0, "heel": 0.98}
    points = np.zeros((N_KEYPOINTS, 3), np.float32)
    for i, name in enumerate(BODY_KEYPOINT_NAMES):
        down = next(value for part, value in rows.items() if name.endswith(part))
        side = {"l": 0.25, "r": -0.25}[name[0]] if name.startswith(("left", "right")) else 0.0
        points[i] = (x + side * height, y + down * height, 0.9)
    return points


@pytest.fixture(scope="session")
def checkpoint() -> GenderCheckpoint:
    """An untrained slim network that has seen noise."""
    torch.manual_seed(0)
    network = GenderNetwork(4).eval()
    features = torch.randn(200, network.n_features, generator=torch.Generator().manual_seed(1)).abs()
    distribution = FeatureDistribution.of(features, torch.arange(200) % 2)
    return GenderCheckpoint(network, GenderSettings(4, 64, 1.5, 0.8, 3.0, "a test"), distribution)
