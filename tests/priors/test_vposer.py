"""The learned prior that ships with the package, and what a fit asks of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch.nn import functional

from smplifyx import skeleton
from smplifyx.priors import hyperextension, make_body_pose_prior
from smplifyx.priors.joint_limits import joint_limit_energy
from smplifyx.priors.vposer import rounded_leaky_relu


@pytest.fixture(scope="module")
def prior():
    return make_body_pose_prior("vposer", dtype=torch.float64)


def _codes(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 32, dtype=torch.float64, generator=torch.manual_seed(seed))


def test_rotations_are_rotations_and_axis_angle_says_the_same(prior):
    pose = prior.decode(_codes(200))
    flat = pose.rotations.reshape(-1, 3, 3)
    torch.testing.assert_close(flat @ flat.mT, torch.eye(3, dtype=torch.float64).expand(len(flat), 3, 3))
    torch.testing.assert_close(torch.linalg.det(flat), torch.ones(len(flat), dtype=torch.float64))
    expected = Rotation.from_rotvec(pose.axis_angle.numpy().reshape(-1, 3)).as_matrix()
    np.testing.assert_allclose(flat.numpy(), expected, atol=1e-9)


def test_the_middle_is_a_relaxed_upright_person(prior):
    pose = prior.decode(torch.zeros(1, 32, dtype=torch.float64)).axis_angle.reshape(21, 3)
    for joint in ("left_hip", "right_hip", "left_knee", "right_knee", "spine1", "spine2", "spine3"):
        assert np.degrees(pose[skeleton.joint_index(joint) - 1].norm().item()) < 12.0, joint
    for joint, side in (("left_shoulder", -1.0), ("right_shoulder", 1.0)):
        assert np.degrees(side * pose[skeleton.joint_index(joint) - 1, 2].item()) > 50.0, joint


def test_gradients_agree_with_finite_differences_and_reach_only_the_code(prior):
    codes = _codes(3, 1).requires_grad_()

    def energy(z: torch.Tensor) -> torch.Tensor:
        rotations = prior.decode(z).rotations
        return (
            joint_limit_energy(rotations)
            + (rotations * torch.arange(9.0).reshape(3, 3)).sum((1, 2, 3))
            + prior.energy(z)
        )

    assert torch.autograd.gradcheck(energy, codes)
    assert not any(tensor.requires_grad for tensor in (*prior.parameters(), *prior.buffers()))


def test_codes_between_two_poses_have_no_jumps(prior):
    start, end = _codes(50, 2), _codes(50, 3)
    steps = torch.linspace(0, 1, 101, dtype=torch.float64)[:, None, None]
    rotations = prior.decode((start + steps * (end - start)).reshape(-1, 32)).rotations.reshape(101, 50, 21, 3, 3)
    relative = rotations[:-1].mT @ rotations[1:]
    angles = Rotation.from_matrix(relative.reshape(-1, 3, 3).numpy()).magnitude()
    assert np.degrees(angles.max()) < 10.0  # 1 percent of the way


@pytest.mark.parametrize("rounding", [0.1, 0.3])
def test_rounded_kinks_have_a_continuous_slope_and_the_same_value_elsewhere(rounding):
    x = torch.linspace(-1, 1, 2000, dtype=torch.float64).requires_grad_()
    y = rounded_leaky_relu(x, 0.2, rounding)
    (slope,) = torch.autograd.grad(y.sum(), x)
    assert slope.diff().abs().max() < 0.02
    outside = x.abs() >= rounding
    torch.testing.assert_close(y[outside], functional.leaky_relu(x, 0.2)[outside])
    from_value = (0.2 + 0.8 * y / rounding).clamp(0.2**2, 1.0).sqrt()
    torch.testing.assert_close(slope, from_value)


def test_rounding_moves_poses_by_a_fraction_of_a_degree(prior):
    rounded = make_body_pose_prior("vposer", dtype=torch.float64, rounding=0.15)
    codes = _codes(200, 6)
    turns = prior.decode(codes).rotations.mT @ rounded.decode(codes).rotations
    assert np.degrees(Rotation.from_matrix(turns.reshape(-1, 3, 3).numpy()).magnitude()).mean() < 0.5


def test_random_people_do_not_break_their_joints(prior):
    beyond = np.degrees(hyperextension(prior.decode(_codes(1000, 4)).rotations).numpy())
    assert np.mean(beyond.max(1) > 10.0) < 0.02


def test_encoding_nearly_inverts_decoding(prior):
    codes = _codes(200, 5)
    decoded = prior.decode(codes)
    again = prior.decode(prior.encode(decoded.axis_angle)).rotations
    apart = Rotation.from_matrix((decoded.rotations.mT @ again).reshape(-1, 3, 3).numpy()).magnitude()
    assert np.degrees(apart.mean()) < 6.0
