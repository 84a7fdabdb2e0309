"""VPoser with room around what it decodes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from smplifyx.errors import InputError
from smplifyx.priors import make_body_pose_prior
from smplifyx.priors.vposer import ResidualVPoser, VPoser
from smplifyx.priors.vposer_checkpoints import load_vposer, save_vposer, shipped_weights


@pytest.fixture(scope="module")
def weights():
    return load_vposer(shipped_weights())


@pytest.fixture(scope="module")
def prior(weights):
    return ResidualVPoser(weights, 2.0, torch.float64)


def _poses(count: int) -> torch.Tensor:
    return 0.4 * torch.randn(count, 63, dtype=torch.float64, generator=torch.manual_seed(5))


def test_without_deviation_it_is_vposer(prior, weights):
    codes = torch.randn(6, 32, dtype=torch.float64, generator=torch.manual_seed(1))
    x = torch.cat([codes, torch.zeros(6, 63, dtype=torch.float64)], 1)
    plain = VPoser(weights, torch.float64)
    torch.testing.assert_close(prior.decode(x).rotations, plain.decode(codes).rotations)
    torch.testing.assert_close(prior.energy(x), plain.energy(codes))


def test_any_pose_comes_back_exactly_where_the_code_alone_misses_it(prior, weights):
    poses = _poses(20)
    truth = Rotation.from_rotvec(poses.reshape(-1, 3).numpy())

    def error(one: VPoser) -> float:
        decoded = Rotation.from_matrix(one.decode(one.encode(poses)).rotations.reshape(-1, 3, 3).numpy())
        return float(np.degrees((truth.inv() * decoded).magnitude()).max())

    assert error(prior) < 1e-4
    assert error(VPoser(weights, torch.float64)) > 10.0


def test_a_deviation_of_one_is_as_likely_as_what_the_network_misses(prior, weights):
    unit = torch.zeros(4000, 95, dtype=torch.float64)
    unit[:, 32:] = torch.randn(4000, 63, dtype=torch.float64, generator=torch.manual_seed(2))
    turns = prior.decode(unit).rotations[:, :].reshape(4000, 21, 3, 3)
    middle = prior.decode(torch.zeros(1, 95, dtype=torch.float64)).rotations
    found = Rotation.from_matrix((middle.mT @ turns).reshape(-1, 3, 3).numpy()).as_rotvec().reshape(4000, 63)
    np.testing.assert_allclose(found.std(0) / np.sqrt(np.diag(weights.deviation)), 2.0, rtol=0.08)


def test_gradients_agree_with_finite_differences(prior):
    x = torch.randn(2, 95, dtype=torch.float64, generator=torch.manual_seed(3)).requires_grad_()
    factor = torch.arange(9.0, dtype=torch.float64).reshape(3, 3)
    assert torch.autograd.gradcheck(
        lambda x: (prior.decode(x).rotations * factor).sum((1, 2, 3)) + prior.energy(x), x
    )


def test_the_factory_frees_it_only_where_the_weights_know_how_far(tmp_path, weights):
    assert make_body_pose_prior("vposer", deviation=1.0).n_parameters == 95
    assert make_body_pose_prior("vposer").n_parameters == 32
    save_vposer(tmp_path / "unknown.npz", replace(weights, deviation=None))
    assert make_body_pose_prior("vposer", tmp_path / "unknown.npz", deviation=1.0).n_parameters == 32
    with pytest.raises(ValueError, match="deviate"):
        ResidualVPoser(replace(weights, deviation=None), 1.0)


def test_a_damaged_covariance_is_refused(tmp_path, weights):
    save_vposer(tmp_path / "bad.npz", replace(weights, deviation=-np.eye(63)))
    with pytest.raises(InputError, match=r"bad.npz.*deviation is no covariance"):
        load_vposer(tmp_path / "bad.npz")
