"""``smplifyx train`` on a small AMASS-style folder and on a few simple photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from smplifyx.cli.main import main
from smplifyx.gender import load_checkpoint
from smplifyx.lifting.network import load_lifting
from smplifyx.priors.pose_space import load_gaussian
from smplifyx.priors.vposer_checkpoints import load_vposer
from smplifyx.training import vposer
from tests.training.gender_photos import make_out_of_distribution, make_photos

_SMALL = [
    "--run.n_hidden", "16", "--run.n_surface_points", "10", "--run.batch_size", "16", "--run.steps_per_epoch", "2",
    "--run.epochs", "2", "--run.n_validation", "20", "--data.validation_share", "0.3",
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


@pytest.fixture(autouse=True)
def short_reports(monkeypatch):
    """Reports on fewer poses: the permutation test takes seconds with 2000."""
    monkeypatch.setattr(vposer, "_N_POSES", 200)
    monkeypatch.setattr(vposer, "_N_RESIDUAL_POSES", 200)


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


@pytest.mark.slow
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
    assert "data.held_out" in capsys.readouterr().err


def test_wrong_calls_end_with_status_2(amass, tmp_path, capsys):
    assert main(["train", "vposer", "--output", str(tmp_path)]) == 2
    assert main(["train", "vposer", "--data", str(tmp_path / "none"), "--output", str(tmp_path)]) == 2
    wrong = ["train", "vposer", "--data", str(amass), "--output", str(tmp_path), "--loss.divergense", "1"]
    assert main(wrong) == 2
    assert "did you mean loss.divergence" in capsys.readouterr().err


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


_SMALL_GENDER = [
    "--architecture.width", "16", "--architecture.side", "32", "--run.epochs", "2", "--run.batch_size", "8",
    "--data.test_share", "0.2", "--data.validation_share", "0.2",
]  # fmt: skip


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return make_photos(tmp_path_factory.mktemp("people"), 20)


@pytest.mark.slow
def test_a_gender_run_writes_classifier_settings_state_and_report(manifest, tmp_path, capsys):
    call = ["train", "gender", "--data", str(manifest), "--output", str(tmp_path), "--threads", "1"]
    assert main([*call, *_SMALL_GENDER]) == 0
    told = capsys.readouterr()
    assert "epoch 2" in told.err
    assert "correct" in told.out and "62.38%" in told.out
    assert (tmp_path / "report.txt").read_text() == told.out
    settings = load_checkpoint(tmp_path / "gender.safetensors").settings
    assert (settings.width, settings.side) == (16, 32)
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["architecture"]["width"] == 16
    assert 1 < len((tmp_path / "test.csv").read_text().splitlines()) < 20
    assert {"curves.png", "reliability.png", "state.pt"} <= {path.name for path in tmp_path.iterdir()}

    again = [*call, "--resume", "--config", str(tmp_path / "config.yaml"), "--verdict.threshold", "0.99"]
    assert main(again) == 0
    told = capsys.readouterr()
    assert "epoch 3" not in told.err
    assert "threshold 0.9900" in told.out

    evaluate = [
        "train",
        "gender",
        "--data",
        str(tmp_path / "test.csv"),
        "--evaluate",
        str(tmp_path / "gender.safetensors"),
    ]
    assert main(evaluate) == 0
    assert capsys.readouterr().out == told.out
    assert main([*evaluate, "--verdict.threshold", "0.6"]) == 0
    assert "threshold 0.6000" in capsys.readouterr().out


def test_an_onnx_file_is_evaluated(manifest, capsys):
    onnx = str(Path(__file__).parents[1] / "gender" / "data" / "mean_colour_logits.onnx")
    assert main(["train", "gender", "--data", str(manifest), "--evaluate", onnx]) == 0
    assert "distance none, probability none" in capsys.readouterr().out


def test_the_shipped_classifiers_of_bodies_and_faces_are_evaluated_together(manifest, tmp_path, capsys):
    assert main(["train", "gender", "--data", str(manifest), "--evaluate", "--output", str(tmp_path)]) == 0
    body, faces, joint = capsys.readouterr().out.split("\n\n")
    assert body.startswith("40 people") and "limits: distance none" not in body
    assert faces.startswith("faces\n40 people")
    assert "threshold 0.8500; out-of-distribution limits: distance none" in faces
    assert joint.startswith("joint decisions\nverdicts") and "neutral" in joint
    assert "joint decisions" in (tmp_path / "report.txt").read_text()


def test_wrong_calls_of_gender_end_with_status_2(manifest, tmp_path, capsys):
    assert main(["train", "gender", "--output", str(tmp_path)]) == 2
    assert main(["train", "gender", "--data", str(tmp_path / "none.csv"), "--output", str(tmp_path)]) == 2
    assert main(["train", "gender", "--data", str(manifest), "--output", str(tmp_path), "--run.epoch", "1"]) == 2
    assert "did you mean run.epochs" in capsys.readouterr().err
    few = tmp_path / "few.csv"
    few.write_text(
        "".join(manifest.read_text().splitlines(keepends=True)[:3])
        .replace("images/", f"{manifest.parent}/images/")
        .replace("keypoints/", f"{manifest.parent}/keypoints/")
    )
    assert main(["train", "gender", "--data", str(few), "--output", str(tmp_path)]) == 2
    assert "too few sources" in capsys.readouterr().err


@pytest.mark.slow
def test_out_of_distribution_photos_are_learned(manifest, tmp_path, capsys):
    folder = make_out_of_distribution(tmp_path / "outliers", 12)
    call = ["train", "gender", "--data", str(manifest), "--output", str(tmp_path / "run"), "--threads", "1"]
    assert (
        main([*call, *_SMALL_GENDER, "--out-of-distribution", str(folder), "--out_of_distribution.crops", "40"]) == 0
    )
    told = capsys.readouterr()
    assert "out of distribution: " in told.err and "held out" in told.err
    assert 0 < load_checkpoint(tmp_path / "run" / "gender.safetensors").settings.out_of_distribution_limit < 1
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["out_of_distribution"]["folder"] == str(
        folder
    )
    assert main([*call, "--out-of-distribution", str(tmp_path / "none")]) == 2
    assert "no such folder; expected photos" in capsys.readouterr().err


def test_a_wrong_manifest_is_named(manifest, tmp_path, capsys):
    bad = tmp_path / "bad.csv"
    bad.write_text("image,label\na.jpg,male\n")
    assert main(["train", "gender", "--data", str(bad), "--output", str(tmp_path)]) == 2
    assert "columns are missing: keypoint_file, person" in capsys.readouterr().err
