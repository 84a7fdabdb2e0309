"""VPoser with a residual around the decoded pose."""

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


def test_with_zero_residual_it_is_vposer(prior, weights):
    codes = torch.randn(6, 32, dtype=torch.float64, generator=torch.manual_seed(1))
    x = torch.cat([codes, torch.zeros(6, 63, dtype=torch.float64)], 1)
    plain = VPoser(weights, torch.float64)
    torch.testing.assert_close(prior.decode(x).rotations, plain.decode(codes).rotations)
    torch.testing.assert_close(prior.energy(x), plain.energy(codes))


def test_encode_and_decode_are_exact_where_the_code_alone_is_not(prior, weights):
    poses = _poses(20)
    truth = Rotation.from_rotvec(poses.reshape(-1, 3).numpy())

    def error(one: VPoser) -> float:
        decoded = Rotation.from_matrix(one.decode(one.encode(poses)).rotations.reshape(-1, 3, 3).numpy())
        return float(np.degrees((truth.inv() * decoded).magnitude()).max())

    assert error(prior) < 1e-4
    assert error(VPoser(weights, torch.float64)) > 10.0


def test_unit_residuals_have_the_stored_covariance(prior, weights):
    unit = torch.zeros(4000, 95, dtype=torch.float64)
    unit[:, 32:] = torch.randn(4000, 63, dtype=torch.float64, generator=torch.manual_seed(2))
    turns = prior.decode(unit).rotations[:, :].reshape(4000, 21, 3, 3)
    middle = prior.decode(torch.zeros(1, 95, dtype=torch.float64)).rotations
    found = Rotation.from_matrix((middle.mT @ turns).reshape(-1, 3, 3).numpy()).as_rotvec().reshape(4000, 63)
    np.testing.assert_allclose(found.std(0) / np.sqrt(np.diag(weights.residual_covariance)), 2.0, rtol=0.08)


def test_gradients_agree_with_finite_differences(prior):
    x = torch.randn(2, 95, dtype=torch.float64, generator=torch.manual_seed(3)).requires_grad_()
    factor = torch.arange(9.0, dtype=torch.float64).reshape(3, 3)
    assert torch.autograd.gradcheck(
        lambda x: (prior.decode(x).rotations * factor).sum((1, 2, 3)) + prior.energy(x), x
    )


def test_the_residual_needs_weights_with_a_covariance(tmp_path, weights):
    assert make_body_pose_prior("vposer", residual=1.0).n_parameters == 95
    assert make_body_pose_prior("vposer").n_parameters == 32
    save_vposer(tmp_path / "unknown.npz", replace(weights, residual_covariance=None))
    assert make_body_pose_prior("vposer", tmp_path / "unknown.npz", residual=1.0).n_parameters == 32
    with pytest.raises(ValueError, match="no residual covariance"):
        ResidualVPoser(replace(weights, residual_covariance=None), 1.0)


def test_a_damaged_covariance_is_refused(tmp_path, weights):
    save_vposer(tmp_path / "bad.npz", replace(weights, residual_covariance=-np.eye(63)))
    with pytest.raises(InputError, match=r"bad.npz.*residual_covariance is no covariance"):
        load_vposer(tmp_path / "bad.npz")
