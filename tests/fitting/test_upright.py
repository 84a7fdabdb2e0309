"""What a trunk that leans in depth costs."""

from __future__ import annotations

import math

import pytest
import torch

from smplifyx.body import skeleton
from smplifyx.fitting.upright import trunk_tilt_energy


def _energy(degrees: float, sideways: float = 0.0) -> float:
    joints = torch.zeros(1, skeleton.N_JOINTS, 3)
    angle = math.radians(degrees)
    joints[0, skeleton.joint_index("neck")] = torch.tensor([sideways, -math.cos(angle), math.sin(angle)])
    return trunk_tilt_energy(joints).item()


def test_it_is_the_squared_sine_near_upright_and_lets_go_far_off():
    assert _energy(0.0) == pytest.approx(0.0, abs=1e-9)
    assert _energy(1.0) == pytest.approx(math.sin(math.radians(1.0)) ** 2, rel=0.05)
    assert _energy(-10.0) == pytest.approx(_energy(10.0))
    assert 0.0 < _energy(80.0) - _energy(60.0) < 0.01


def test_leaning_sideways_costs_nothing():
    assert _energy(0.0, sideways=2.0) == pytest.approx(0.0, abs=1e-9)
    assert _energy(10.0, sideways=2.0) < _energy(10.0)
