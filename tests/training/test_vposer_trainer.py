"""Short training runs: they learn, repeat, stop, go on, and hand over what they report."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from scipy.stats import norm

from smplifyx.body.files import load_body_model_data
from smplifyx.body.search import find_body_model
from smplifyx.errors import InputError
from smplifyx.priors.vposer import VPoser
from smplifyx.training.surface import PoseSurface
from smplifyx.training.vposer_config import VPoserConfig, VPoserLoss, VPoserRun
from smplifyx.training.vposer_losses import rotation_angle
from smplifyx.training.vposer_network import Posterior
from smplifyx.training.vposer_report import PoseCoder, plot_history, report
from smplifyx.training.vposer_trainer import PoseSampler, VPoserTrainer, pose_batch

_RUN = VPoserRun(
    n_hidden=48,
    n_latent=16,
    n_validation=100,
    n_surface_points=20,
    batch_size=64,
    steps_per_epoch=12,
    max_epochs=4,
    learning_rate=5e-3,
)
_CONFIG = VPoserConfig(run=_RUN, loss=VPoserLoss(divergence=0.001))


@pytest.fixture(scope="module")
def body():
    return load_body_model_data(find_body_model("smplx", "neutral", None))


def _trainer(body, motion_capture, config=_CONFIG):
    training, validation = motion_capture.split_random(0.2, "clip", 0)
    return VPoserTrainer(body, training, validation, config)


@pytest.fixture(scope="module")
def trained(body, motion_capture):
    trainer = _trainer(body, motion_capture)
    for _ in trainer.epochs():
        pass
    return trainer


def test_training_reduces_the_validation_loss(trained):
    history = trained.history
    assert len(history.validation) == 4
    assert history.validation[-1] < 0.85 * history.validation[0]
    assert history.rotation_deg[-1] < history.rotation_deg[0]


def test_the_same_seed_gives_the_same_run_also_after_an_interruption(trained, body, motion_capture, tmp_path):
    first = _trainer(body, motion_capture)
    epochs = first.epochs()
    next(epochs), next(epochs)
    first.save(tmp_path / "state.pt")
    second = _trainer(body, motion_capture)
    second.resume(tmp_path / "state.pt")
    for _ in second.epochs():
        pass
    assert second.history.validation == trained.history.validation
    for name, value in trained.network.state_dict().items():
        torch.testing.assert_close(second.network.state_dict()[name], value, rtol=0, atol=0)


def test_going_on_with_other_settings_or_from_rubbish_is_refused(trained, body, motion_capture, tmp_path):
    trained.save(tmp_path / "state.pt")
    other = _trainer(body, motion_capture, replace(_CONFIG, loss=VPoserLoss(divergence=0.5)))
    with pytest.raises(InputError, match=r"state.pt: config: .*loss"):
        other.resume(tmp_path / "state.pt")
    (tmp_path / "state.pt").write_bytes(b"PK")
    with pytest.raises(InputError, match="cannot go on"):
        other.resume(tmp_path / "state.pt")


def test_a_run_without_gain_stops_early(body, motion_capture):
    run = replace(_RUN, learning_rate=1e-9, stop_after=2, max_epochs=50, steps_per_epoch=1)
    trainer = _trainer(body, motion_capture, replace(_CONFIG, run=run))
    trainer.history.validation, trainer.best = [0.0], trainer.network.state_dict()
    assert len(list(trainer.epochs())) == 2


def test_folded_network_and_report_say_the_same(trained, body, motion_capture):
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
    figures = report(PoseCoder.of_network(network), PoseSurface(body, 20), seen)
    assert figures.angle_deg == pytest.approx(np.degrees(expected.mean()), rel=0.05)


def test_learning_curves_are_drawn(trained, tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib, of the extra `train`, is not installed")
    plot_history(trained.history, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


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
