"""The mixture prior: density, marginals, and pickles that may hold nothing but arrays."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from smplifyx.errors import InputError
from smplifyx.priors import make_body_pose_prior
from smplifyx.priors.mixture import Mixture, MixturePrior, load_mixture, shipped_mixture


def _random_mixture(size: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(8, size, size)) / np.sqrt(size)
    covariances = 0.05 * factors @ factors.transpose(0, 2, 1) + 0.01 * np.eye(size)
    weights = rng.random(8)
    return {"means": 0.3 * rng.normal(size=(8, size)), "covars": covariances, "weights": weights / weights.sum()}


def _differences(energies: np.ndarray) -> np.ndarray:
    return energies - energies[0]


def test_energy_is_minus_twice_the_log_density():
    mixture = load_mixture(shipped_mixture())
    prior = make_body_pose_prior("gmm", dtype=torch.float64)
    poses = np.concatenate([mixture.means, 0.2 * np.random.default_rng(1).normal(size=(5, 63))])
    densities = [
        np.log(w) + multivariate_normal(m, c).logpdf(poses)
        for m, c, w in zip(mixture.means, mixture.covariances, mixture.weights, strict=True)
    ]
    expected = -2.0 * logsumexp(densities, axis=0)
    energies = prior.energy(prior.encode(torch.tensor(poses))).numpy()
    np.testing.assert_allclose(_differences(energies), _differences(expected), rtol=1e-6, atol=1e-6)
    assert abs(energies[:8].min()) < 0.1


def test_gradient_agrees_with_finite_differences():
    prior = make_body_pose_prior("gmm", dtype=torch.float64)
    z = 0.5 * torch.randn(3, 63, dtype=torch.float64, generator=torch.manual_seed(0))
    assert torch.autograd.gradcheck(prior.energy, z.requires_grad_())


def test_curvature_is_the_hessian_where_one_component_has_the_density():
    rng = np.random.default_rng(3)
    factors = rng.normal(size=(2, 63, 63)) / 8.0
    covariances = factors @ factors.transpose(0, 2, 1) + 0.1 * np.eye(63)
    means = np.stack([np.full(63, -3.0), np.full(63, 3.0)])
    basis = torch.tensor(np.eye(63) + 0.1 * rng.normal(size=(63, 63)))
    prior = MixturePrior(Mixture(means, covariances, np.array([0.4, 0.6])), torch.zeros(63).double(), basis)
    z = prior.encode(torch.tensor(means) + 0.1)
    for curvature, one in zip(prior.curvature(z), z, strict=True):
        hessian = torch.autograd.functional.hessian(lambda point: prior.energy(point[None]).sum(), one)
        torch.testing.assert_close(curvature, hessian, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("protocol", [2, 4])
def test_the_originals_pickle_is_marginalised(tmp_path, protocol):
    """Cropping the covariance marginalises; the expected density is integrated out of the full one by sampling."""
    stored = _random_mixture(69)
    path = tmp_path / "gmm_08.pkl"
    path.write_bytes(pickle.dumps(stored, protocol))
    mixture = load_mixture(path)
    assert mixture.means.shape == (8, 63)
    samples = np.random.default_rng(2).multivariate_normal(stored["means"][3], stored["covars"][3], 200_000)[:, :63]
    np.testing.assert_allclose(np.cov(samples.T), mixture.covariances[3], atol=3e-3)
    prior = make_body_pose_prior("gmm", path)
    assert prior.energy(torch.zeros(2, 63)).isfinite().all()


class _Trap:
    def __reduce__(self):
        return os.mkdir, (os.environ["TRAP"],)


def test_pickles_with_anything_but_arrays_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("TRAP", str(tmp_path / "sprung"))
    path = tmp_path / "gmm_08.pkl"
    path.write_bytes(pickle.dumps({**_random_mixture(63), "extra": _Trap()}))
    with pytest.raises(InputError, match=r"gmm_08.pkl.*mkdir.*only numpy arrays"):
        load_mixture(path)
    assert not (tmp_path / "sprung").exists()


def test_wrong_shapes_and_damaged_files_are_named(tmp_path):
    path = tmp_path / "short.pkl"
    path.write_bytes(pickle.dumps(_random_mixture(60)))
    with pytest.raises(InputError, match=r"short.pkl.*\(8, 60\)"):
        load_mixture(path)
    for name, value in (("covars", -np.eye(63)[None].repeat(8, 0)), ("weights", np.zeros(8)), ("means", "text")):
        path.write_bytes(pickle.dumps(_random_mixture(63) | {name: value}))
        with pytest.raises(InputError, match=r"short.pkl"):
            load_mixture(path)
    (tmp_path / "a.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"a.npz"):
        load_mixture(tmp_path / "a.npz")
