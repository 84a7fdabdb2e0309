"""The body-pose network: its surface and losses, short training runs, figures of both forms, the two-sample test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from scipy.stats import energy_distance, norm

from smplifyx.body.model import BodyModel
from smplifyx.priors.vposer import VPoser
from smplifyx.training.poses import PoseSampler, pose_batch
from smplifyx.training.settings import VPoserConfig, VPoserLoss, VPoserRun
from smplifyx.training.vposer import energy_test, network_coder, prior_coder, report, vposer_trainer
from smplifyx.training.vposer_network import PoseSurface, Posterior, VPoserNetwork, rotation_angle

_RUN = VPoserRun(
    n_hidden=48,
    n_latent=16,
    n_validation=100,
    n_surface_points=20,
    batch_size=64,
    steps_per_epoch=12,
    epochs=4,
    learning_rate=5e-3,
)
_CONFIG = VPoserConfig(run=_RUN, loss=VPoserLoss(divergence=0.001))


def _trainer(open_body, motion_capture, config=_CONFIG):
    training, validation = motion_capture.split_random(0.2, "clip", 0)
    return vposer_trainer(open_body, training, validation, config)


@pytest.fixture(scope="module")
def trained(open_body, motion_capture):
    trainer = _trainer(open_body, motion_capture)
    list(trainer.epochs())
    return trainer


def test_training_reduces_the_validation_loss(trained):
    history = trained.history
    assert len(history["validation"]) == 4
    assert history["validation"][-1] < 0.85 * history["validation"][0]
    assert history["rotation_deg"][-1] < history["rotation_deg"][0]


def test_a_resumed_run_ends_like_one_without_a_stop(trained, open_body, motion_capture, tmp_path):
    first = _trainer(open_body, motion_capture)
    epochs = first.epochs()
    next(epochs), next(epochs)
    first.save(tmp_path / "state.pt")
    second = _trainer(open_body, motion_capture)
    second.resume(tmp_path / "state.pt")
    list(second.epochs())
    np.testing.assert_allclose(second.history["validation"], trained.history["validation"], rtol=1e-4)


def test_folded_network_and_report_say_the_same(trained, open_body, motion_capture):
    network = trained.best_network()
    prior = VPoser(network.folded())
    poses = motion_capture.body_pose[:50]
    batch = pose_batch(poses)
    with torch.no_grad():
        torch.testing.assert_close(prior.encode(batch.axis_angle), network.encode(batch.axis_angle).mean)
        decoded = prior.decode(prior.encode(batch.axis_angle)).rotations
    expected = (
        Rotation.from_matrix(decoded.reshape(-1, 3, 3).numpy()).inv() * Rotation.from_rotvec(poses.reshape(-1, 3))
    ).magnitude()
    seen = motion_capture.select(np.arange(600) < 50)
    figures = report(network_coder(network), PoseSurface(open_body, 20), seen)
    assert figures.angle_deg == pytest.approx(np.degrees(expected.mean()), rel=0.05)


def test_sampler_keeps_its_shares(motion_capture):
    options = replace(_CONFIG.data, upright_share=0.0, seated_share=0.3)
    knees = PoseSampler(motion_capture, options, 0).draw(4000).axis_angle[:, [9, 12]]
    seated = (knees > np.radians(45.0)).all(1).float().mean().item()
    plain = (torch.tensor(motion_capture.body_pose[:, [9, 12]]) > np.radians(45.0)).all(1).float().mean().item()
    assert seated == pytest.approx(0.3 + 0.7 * plain, abs=0.05)


def test_rotation_angle_agrees_with_scipy_and_is_smooth_at_zero():
    a, b = Rotation.random(50, random_state=0), Rotation.random(50, random_state=1)
    angle = rotation_angle(torch.tensor(a.as_matrix()), torch.tensor(b.as_matrix()))
    np.testing.assert_allclose(angle.numpy(), (a.inv() * b).magnitude(), atol=3e-3)
    same = torch.eye(3, requires_grad=True)
    rotation_angle(same, torch.eye(3)).backward()
    assert same.grad.isfinite().all()


def test_divergence_agrees_with_an_integral():
    mean, sd = 0.7, 0.4
    x = np.linspace(-8, 8, 20_001)
    density = norm(mean, sd).pdf(x)
    expected = np.trapezoid(density * (norm(mean, sd).logpdf(x) - norm.logpdf(x)), x)
    posterior = Posterior(torch.full((2, 3), mean), torch.full((2, 3), sd))
    np.testing.assert_allclose(posterior.divergence().numpy(), 3 * expected, rtol=1e-4)


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


def test_both_forms_of_a_network_reconstruct_alike_and_only_one_draws_codes(open_body, motion_capture):
    torch.manual_seed(0)
    network = VPoserNetwork(n_latent=4, n_hidden=16).eval()
    surface = PoseSurface(open_body, 20)
    trained = report(network_coder(network), surface, motion_capture)
    folded = report(prior_coder(VPoser(network.folded())), surface, motion_capture)
    assert folded.angle_deg == pytest.approx(trained.angle_deg, rel=1e-4)
    assert trained.random_codes and not folded.random_codes
    assert (folded.variance < trained.variance).all()
    lines = folded.lines()
    assert "means of the posteriors" in lines[3] and "p = 0.001" in "".join(lines)
    assert len(lines) == 10


def test_vertices_are_those_of_the_body_without_correctives(open_body, motion_capture):
    rotations = pose_batch(motion_capture.body_pose[:3]).rotations
    full = BodyModel.from_data(open_body)
    full.pose_shapes = torch.zeros_like(full.pose_shapes)
    turned = torch.eye(3).expand(3, 55, 3, 3).clone()
    turned[:, 1:22] = rotations
    expected = full(torch.zeros(3, full.n_betas), torch.zeros(3, full.n_expressions), turned).vertices
    torch.testing.assert_close(PoseSurface(open_body)(rotations), expected, atol=1e-5, rtol=0)


def test_chosen_vertices_cover_the_body(open_body):
    rest = torch.eye(3).expand(1, 21, 3, 3)
    few = PoseSurface(open_body, 100)(rest)[0].numpy()
    assert few.shape == (100, 3)
    gap = np.linalg.norm(np.asarray(open_body.v_template)[:, None] - few, axis=2).min(1)
    assert gap.max() < 0.12  # metres
