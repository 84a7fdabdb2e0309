"""The two-sample test against known distributions and a second witness; reports of both forms of a network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import energy_distance

from smplifyx.body.files import load_body_model_data
from smplifyx.body.search import find_body_model
from smplifyx.priors.vposer import VPoser
from smplifyx.training.surface import PoseSurface
from smplifyx.training.vposer_network import VPoserNetwork
from smplifyx.training.vposer_report import PoseCoder, energy_test, report


def test_energy_distance_agrees_with_scipy():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(150, 1)), rng.normal(0.5, 1.3, size=(90, 1))
    # scipy's is the root of twice the same.
    expected = energy_distance(x[:, 0], y[:, 0]) ** 2 / 2
    assert energy_test(x, y, rng, 20).distance == pytest.approx(expected, rel=1e-9)


def test_p_values_of_equal_distributions_are_uniform_and_a_shift_is_found():
    rng = np.random.default_rng(1)
    p_values = [energy_test(rng.normal(size=(40, 3)), rng.normal(size=(40, 3)), rng, 99).p_value for _ in range(200)]
    assert np.mean(np.array(p_values) <= 0.05) < 0.12
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.08)
    test = energy_test(rng.normal(size=(200, 3)), rng.normal(0.4, 1.0, size=(200, 3)), rng, 99)
    assert test.p_value == 0.01 and test.distance > test.null_distance


def test_both_forms_of_a_network_reconstruct_alike_and_only_one_draws_codes(motion_capture):
    torch.manual_seed(0)
    network = VPoserNetwork(n_latent=4, n_hidden=16).eval()
    surface = PoseSurface(load_body_model_data(find_body_model("smplx", "neutral", None)), 20)
    trained = report(PoseCoder.of_network(network), surface, motion_capture)
    folded = report(PoseCoder.of_prior(VPoser(network.folded())), surface, motion_capture)
    assert folded.angle_deg == pytest.approx(trained.angle_deg, rel=1e-4)
    assert trained.random_codes and not folded.random_codes
    assert (folded.variance < trained.variance).all()
    lines = folded.lines()
    assert "means of the posteriors" in lines[3] and "p = 0.001" in "".join(lines)
    assert len(lines) == 10
