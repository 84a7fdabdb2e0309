"""``smplifyx train gender`` on a small folder of crude photos."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from smplifyx.cli.main import main
from smplifyx.gender import load_checkpoint
from tests.training.gender_photos import make_foreign, make_photos

_SMALL = [
    "--architecture.width", "4", "--architecture.side", "32", "--run.epochs", "2", "--run.batch_size", "8",
    "--data.test_share", "0.2", "--data.validation_share", "0.2",
]  # fmt: skip


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return make_photos(tmp_path_factory.mktemp("people"), 20)


def test_a_run_writes_classifier_settings_state_and_report(manifest, tmp_path, capsys):
    call = ["train", "gender", "--data", str(manifest), "--output", str(tmp_path), "--threads", "1"]
    assert main([*call, *_SMALL]) == 0
    told = capsys.readouterr()
    assert "epoch 2" in told.err
    assert "correct" in told.out and "62.38%" in told.out
    assert (tmp_path / "report.txt").read_text() == told.out
    settings = load_checkpoint(tmp_path / "gender.safetensors").settings
    assert (settings.width, settings.side) == (4, 32)
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["architecture"]["width"] == 4
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


def test_wrong_calls_end_with_status_2(manifest, tmp_path, capsys):
    assert main(["train", "gender", "--output", str(tmp_path)]) == 2
    assert main(["train", "gender", "--data", str(tmp_path / "none.csv"), "--output", str(tmp_path)]) == 2
    assert main(["train", "gender", "--data", str(manifest), "--output", str(tmp_path), "--run.epoch", "1"]) == 2
    assert "did you mean epochs" in capsys.readouterr().err
    few = tmp_path / "few.csv"
    few.write_text(
        "".join(manifest.read_text().splitlines(keepends=True)[:3])
        .replace("images/", f"{manifest.parent}/images/")
        .replace("keypoints/", f"{manifest.parent}/keypoints/")
    )
    assert main(["train", "gender", "--data", str(few), "--output", str(tmp_path)]) == 2
    assert "too few sources" in capsys.readouterr().err


def test_foreign_photos_are_learned(manifest, tmp_path, capsys):
    folder = make_foreign(tmp_path / "foreign", 12)
    call = ["train", "gender", "--data", str(manifest), "--output", str(tmp_path / "run"), "--threads", "1"]
    assert main([*call, *_SMALL, "--foreign", str(folder), "--foreign.crops", "40"]) == 0
    told = capsys.readouterr()
    assert "foreign: " in told.err and "held out" in told.err
    assert 0 < load_checkpoint(tmp_path / "run" / "gender.safetensors").settings.foreign_probability_limit < 1
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["foreign"]["folder"] == str(folder)
    assert main([*call, "--foreign", str(tmp_path / "none")]) == 2
    assert "no such folder; expected photos" in capsys.readouterr().err


def test_a_wrong_manifest_is_named(manifest, tmp_path, capsys):
    bad = tmp_path / "bad.csv"
    bad.write_text("image,label\na.jpg,male\n")
    assert main(["train", "gender", "--data", str(bad), "--output", str(tmp_path)]) == 2
    assert "columns are missing: keypoint_file, person" in capsys.readouterr().err
