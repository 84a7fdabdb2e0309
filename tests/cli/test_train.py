"""``smplifyx train vposer`` and ``lifting`` on a small AMASS-style folder."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from smplifyx.cli.main import main
from smplifyx.lifting.network import load_lifting
from smplifyx.priors.pose_space import load_gaussian
from smplifyx.priors.vposer_checkpoints import load_vposer

_SMALL = [
    "--run.n_hidden", "16", "--run.n_surface_points", "10", "--run.batch_size", "16", "--run.steps_per_epoch", "2",
    "--run.max_epochs", "2", "--run.n_validation", "20", "--data.validation_share", "0.3",
]  # fmt: skip


_SMALL_LIFTING = [
    "--people.count", "100", "--run.width", "16", "--run.n_blocks", "1", "--run.batch_size", "16",
    "--run.steps_per_epoch", "2", "--run.epochs", "2", "--run.n_validation", "20", "--data.held_out", "03",
]  # fmt: skip


@pytest.fixture(scope="module")
def amass(tmp_path_factory):
    folder = tmp_path_factory.mktemp("amass")
    mean, covariance = load_gaussian()
    rng = np.random.default_rng(0)
    for subject in ("01", "02", "03"):
        for trial in range(3):
            path = folder / subject / f"{subject}_{trial}_poses.npz"
            path.parent.mkdir(exist_ok=True)
            poses = np.zeros((20, 156))
            poses[:, 3:66] = rng.multivariate_normal(mean, 0.01 * covariance, 20)
            np.savez(path, poses=poses, trans=np.zeros((20, 3)), gender="male", mocap_framerate=10.0)
    return folder


def test_a_run_writes_network_settings_state_and_report(amass, tmp_path, capsys):
    call = ["train", "vposer", "--data", str(amass), "--output", str(tmp_path), "--data.held_out", "03", *_SMALL]
    assert main(call) == 0
    assert load_vposer(tmp_path / "vposer.npz").n_latent == 32
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["data"]["held_out"] == ["03"]
    assert "angle_deg" in (tmp_path / "report.txt").read_text()
    told = capsys.readouterr()
    assert "60 held out" in told.err and "angle_deg" in told.out
    again = [*call[: -len(_SMALL)], "--resume", "--config", str(tmp_path / "config.yaml")]
    assert main(again) == 0
    assert "epoch 3" not in capsys.readouterr().err


def test_a_trained_network_is_evaluated_alone(amass, tmp_path, capsys):
    call = ["train", "vposer", "--data", str(amass), "--data.held_out", "03"]
    assert main([*call, "--evaluate"]) == 0
    shipped = capsys.readouterr()
    assert "energy_distance" in shipped.out and "held out: 06" in shipped.err
    assert main([*call, "--output", str(tmp_path), *_SMALL]) == 0
    capsys.readouterr()
    assert main([*call, "--evaluate", str(tmp_path / "vposer.npz")]) == 0
    assert "held out: 03" in capsys.readouterr().err
    assert main(["train", "vposer", "--data", str(amass), "--evaluate"]) == 2
    assert "--data.held_out" in capsys.readouterr().err


def test_wrong_calls_end_with_status_2(amass, tmp_path, capsys):
    assert main(["train", "vposer", "--output", str(tmp_path)]) == 2
    assert main(["train", "vposer", "--data", str(tmp_path / "none"), "--output", str(tmp_path)]) == 2
    wrong = ["train", "vposer", "--data", str(amass), "--output", str(tmp_path), "--loss.divergense", "1"]
    assert main(wrong) == 2
    assert "did you mean divergence" in capsys.readouterr().err


def test_the_shipped_settings_can_be_shown(capsys):
    assert main(["train", "vposer", "--config", "train_vposer", "--print-config"]) == 0
    assert "held_out: ['06'" in capsys.readouterr().out


def test_a_lifting_run_goes_on_and_is_evaluated(amass, tmp_path, capsys):
    call = ["train", "lifting", "--data", str(amass), "--output", str(tmp_path)]
    assert main([*call, *_SMALL_LIFTING]) == 0
    assert load_lifting(tmp_path / "lifting.npz").first.out_features == 16
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["people"]["count"] == 100
    first = capsys.readouterr()
    assert "epoch 2" in first.err and (tmp_path / "report.txt").read_text() == first.out
    settings = ["--config", str(tmp_path / "config.yaml")]
    assert main([*call, "--resume", *settings]) == 0
    again = capsys.readouterr()
    assert "epoch" not in again.err and again.out == first.out
    evaluate = ["train", "lifting", "--data", str(amass), *settings, "--evaluate"]
    assert main([*evaluate, str(tmp_path / "lifting.npz")]) == 0
    own = capsys.readouterr().out
    assert "people           20" in own
    assert main(evaluate) == 0  # the shipped one
    assert _joints_mm(capsys.readouterr().out) < 0.5 * _joints_mm(own)


def _joints_mm(report: str) -> float:
    line = next(line for line in report.splitlines() if line.startswith("joints"))
    return float(line.split()[1])


def test_a_fit_takes_a_trained_network_and_refuses_another_file(amass, tmp_path, capsys):
    junk = tmp_path / "lifting.npz"
    junk.write_bytes(b"junk")
    call = ["demo", "--output", str(tmp_path / "out"), "--lifting.checkpoint"]
    assert main([*call, str(junk)]) == 2
    assert "not a lifting network" in capsys.readouterr().err
