"""Starts of hands and heads: views from all sides, and the similarity that places them."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from smplifyx.fitting.initialization import view_orientations, weak_perspective_init

_CPU = torch.device("cpu")


def test_views_are_rotations_and_no_orientation_is_far_from_all():
    views = view_orientations("mano", torch.float64, _CPU)
    np.testing.assert_allclose(views @ views.transpose(1, 2), np.broadcast_to(np.eye(3), (14, 3, 3)), atol=1e-12)
    seen_from = (views.transpose(1, 2) @ torch.tensor([0.0, 0.0, -1.0], dtype=torch.float64)).numpy()
    anywhere = Rotation.random(500, random_state=0).apply([0, 0, 1.0])
    assert np.degrees(np.arccos((anywhere @ seen_from.T).max(1))).max() < 45.0


def test_heads_are_seen_from_the_front_first():
    first = view_orientations("flame", torch.float64, _CPU)[0]
    np.testing.assert_allclose(first, np.diag([1.0, -1.0, -1.0]), atol=1e-12)


def test_a_turned_moved_part_is_placed_exactly():
    rng = np.random.default_rng(0)
    flat = torch.as_tensor(rng.normal(0, 0.05, (2, 21, 3)))
    flat[..., 2] = 0.0  # without depth, weak perspective is exact
    roll = torch.as_tensor(Rotation.from_euler("z", [[0.7], [-2.5]]).as_matrix())
    root = torch.tensor([[0.1, 0.05, 0.8], [-0.2, 0.0, 2.0]], dtype=torch.float64)
    focal, centre = torch.full((2, 2), 900.0).double(), torch.full((2, 2), 300.0).double()
    points = flat @ roll.transpose(1, 2) + root[:, None]
    observed = points[..., :2] / points[..., 2:] * focal[:, None] + centre[:, None]
    confidence = torch.as_tensor(rng.uniform(0.2, 1, (2, 21)))
    confidence[:, 5] = 0.0
    observed[:, 5] = 0.0
    identity = torch.eye(3, dtype=torch.float64).expand(2, 3, 3)
    start = weak_perspective_init(identity, flat, observed, confidence, focal, centre)
    np.testing.assert_allclose(start.orientation, roll, atol=1e-9)
    np.testing.assert_allclose(start.root, root, atol=1e-9)
