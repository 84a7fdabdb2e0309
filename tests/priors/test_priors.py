"""The body-pose priors and the joint limits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from scipy.stats import multivariate_normal

from smplifyx import skeleton
from smplifyx.errors import InputError, UsageError
from smplifyx.priors import hyperextension, joint_limit_energy, make_body_pose_prior
from smplifyx.priors.pose_space import load_gaussian


def _angle(pose: torch.Tensor, joint: str) -> torch.Tensor:
    first = 3 * (skeleton.joint_index(joint) - 1)
    return pose[..., first : first + 3]


def _rotations(pose: torch.Tensor) -> torch.Tensor:
    return torch.tensor(Rotation.from_rotvec(pose.numpy().reshape(-1, 3)).as_matrix()).reshape(-1, 21, 3, 3)


def test_gaussian_energy_is_the_mahalanobis_distance():
    prior = make_body_pose_prior("gaussian", dtype=torch.float64)
    mean, covariance = load_gaussian()
    poses = np.random.default_rng(0).normal(size=(5, 63)) * 0.3
    density = multivariate_normal(mean, covariance)
    expected = -2.0 * (density.logpdf(poses) - density.logpdf(mean))
    energy = prior.energy(prior.encode(torch.tensor(poses)))
    np.testing.assert_allclose(energy.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["gaussian", "l2", "none"])
def test_decode_inverts_encode(name):
    prior = make_body_pose_prior(name, dtype=torch.float64)
    pose = torch.tensor(np.random.default_rng(1).normal(size=(4, 63)) * 0.5)
    torch.testing.assert_close(prior.decode(prior.encode(pose)).axis_angle, pose)


def test_none_costs_nothing_and_l2_is_the_squared_angle():
    pose = torch.full((2, 63), 0.1)
    assert make_body_pose_prior("none").energy(pose).tolist() == [0.0, 0.0]
    torch.testing.assert_close(make_body_pose_prior("l2").energy(pose), torch.full((2,), 0.63))


def test_the_middle_of_the_gaussian_stands_upright():
    prior = make_body_pose_prior("gaussian")
    pose = prior.decode(torch.zeros(1, 63)).axis_angle
    for joint in ("left_hip", "right_hip", "left_knee", "right_knee", "spine1", "spine2", "spine3"):
        assert np.degrees(_angle(pose, joint).norm().item()) < 12.0, joint


def test_the_gaussian_is_mirror_symmetric():
    mean, _ = load_gaussian()
    left, right = (_angle(torch.tensor(mean), f"{side}_shoulder") for side in ("left", "right"))
    np.testing.assert_allclose(left, right * torch.tensor([1.0, -1.0, -1.0]), atol=1e-6)


def test_unknown_prior_and_damaged_file_are_named(tmp_path):
    with pytest.raises(UsageError, match="vposer, gmm, gaussian, l2, none"):
        make_body_pose_prior("vposr")
    path = tmp_path / "prior.npz"
    np.savez(path, mean=np.zeros(69), covariance=np.eye(69))
    with pytest.raises(InputError, match=r"prior.npz.*\(69,\)"):
        make_body_pose_prior("gaussian", path)
    np.savez(path, mean=np.zeros(63), covariance=-np.eye(63))
    with pytest.raises(InputError, match=r"prior.npz: covariance: expected finite numbers and a positive definite"):
        make_body_pose_prior("gaussian", path)
    path.write_bytes(b"PK")
    with pytest.raises(InputError, match=r"prior.npz"):
        make_body_pose_prior("gaussian", path)


@pytest.mark.parametrize(
    "joint,axis,natural", [("left_elbow", 1, -1), ("right_elbow", 1, 1), ("left_knee", 0, 1), ("right_knee", 0, 1)]
)
def test_hinges_punish_only_the_unnatural_side(joint, axis, natural):
    pose = torch.zeros(2, 63, dtype=torch.float64)
    column = 3 * (skeleton.joint_index(joint) - 1) + axis
    pose[0, column], pose[1, column] = natural * 1.0, -natural * 1.0
    rest = joint_limit_energy(_rotations(torch.zeros(1, 63, dtype=torch.float64))).item()
    bent, broken = joint_limit_energy(_rotations(pose)).tolist()
    assert rest == pytest.approx(4.0)
    assert bent == pytest.approx(3.0 + np.exp(-2.0))
    assert broken == pytest.approx(3.0 + np.exp(2.0))


def test_hyperextension_is_the_twist_about_the_hinge():
    """Against the definition: taking the twist out leaves a rotation whose own axis is at right angles."""
    rotations = Rotation.random(50 * 21, random_state=0)
    angles = hyperextension(torch.tensor(rotations.as_matrix()).reshape(50, 21, 3, 3)).numpy()
    hinges = (("left_elbow", 1, 1), ("right_elbow", 1, -1), ("left_knee", 0, -1), ("right_knee", 0, -1))
    for column, (joint, axis, sign) in enumerate(hinges):
        vectors = np.zeros((50, 3))
        vectors[:, axis] = sign * angles[:, column]
        swing = rotations[np.arange(50) * 21 + skeleton.joint_index(joint) - 1] * Rotation.from_rotvec(vectors).inv()
        np.testing.assert_allclose(swing.as_rotvec()[:, axis], 0.0, atol=1e-9)
