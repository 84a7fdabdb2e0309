"""``smplifyx fit`` with each model of the family, on a photo of the demo: two people, one of whom hides a hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from smplifyx.cli.demo import DEMO_INPUTS
from smplifyx.cli.main import main
from smplifyx.config import SHIPPED_CONFIGS, Config, load_config
from smplifyx.fitting.fitter import Fitter
from smplifyx.output import read_summary
from smplifyx.result import field_shapes, load_result
from smplifyx.skeleton import skeleton_of

QUICK = ("--optimizer.max_iterations", "2", "--threads", "1", "--device", "cpu", "--gender", "neutral")
_OF_BODY = ("betas", "_pose", "_pca", "expression")
NO_FILES = ("--no-mesh", "--no-render", "--no-report")


@pytest.fixture
def talking(tmp_path) -> Path:
    for folder, name in (("images", "talking.jpg"), ("keypoints", "talking_keypoints.json")):
        (tmp_path / folder).mkdir()
        shutil.copy(DEMO_INPUTS / folder / name, tmp_path / folder)
    return tmp_path


def _fit(folder: Path, *options: str) -> int:
    folders = ("--images", folder / "images", "--keypoints", folder / "keypoints", "--output", folder / "output")
    return main(["fit", *map(str, folders), *QUICK, *options])


def _results(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "output" / "results" / "talking").iterdir())


@pytest.mark.parametrize("model", ["smplx", "smplh", "smpl", "flame"])
@pytest.mark.parametrize("option", ["--model", "--config"])
@pytest.mark.slow
def test_each_model_by_name(talking, model, option):
    assert _fit(talking, option, model if option == "--model" else f"fit_{model}", *NO_FILES) == 0
    assert _results(talking) == ["000.npz", "001.npz"]
    path = talking / "output" / "results" / "talking" / "000.npz"
    result = load_result(path)
    assert result.model_type == model and np.isfinite(result.betas).all()
    with np.load(path, allow_pickle=False) as stored:
        of_body = {name for name in stored.files if name.endswith(_OF_BODY)}
    assert of_body == {name for name in field_shapes(skeleton_of(model)) if name.endswith(_OF_BODY)}


def test_hands_are_persons_of_their_own(talking, capsys):
    assert _fit(talking, "--model", "mano", "--output.max_render_size", "200") == 0
    files = ["000_left.npz", "001_left.npz", "001_right.npz"]
    assert _results(talking) == files
    rows = read_summary(talking / "output" / "summary.csv")
    assert [(row.person, row.side, row.status) for row in rows] == [
        (0, "left", "ok"), (1, "left", "ok"), (1, "right", "ok"),
    ]  # fmt: skip
    meshes = sorted(path.name for path in (talking / "output" / "meshes" / "talking").iterdir())
    assert meshes == [name.replace("npz", "obj") for name in files]
    pictures = talking / "output" / "images" / "talking"
    assert (pictures / "overlay.jpg").is_file() and all(
        (pictures / "001_right" / f"{name}.jpg").is_file() for name in ("close_up", "side_view")
    )
    result = load_result(talking / "output" / "results" / "talking" / "001_right.npz")
    assert (result.side, result.hand_pose.shape, result.joints.shape) == ("right", (45,), (16, 3))
    assert result.n_keypoints == 21 and not result.keypoints_2d[25:46].any()
    capsys.readouterr()
    assert _fit(talking, "--model", "mano", "--output.max_render_size", "200") == 0
    assert "3 people with existing results are skipped" in capsys.readouterr().err
    output, sheets = talking / "output", talking / "sheets"
    assert main(["evaluate", "photos", str(output), "--sheets", str(sheets), "--people-per-sheet", "2"]) == 0
    assert sorted(path.name for path in sheets.iterdir()) == ["sheet_000.png", "sheet_001.png"]
    assert "left out" not in capsys.readouterr().err


def test_a_hand_needs_no_body(talking):
    path = talking / "keypoints" / "talking_keypoints.json"
    document = json.loads(path.read_text())
    for person in document["people"]:
        person["pose_keypoints_2d"] = [0.0] * 75
    path.write_text(json.dumps(document))
    assert _fit(talking, "--model", "mano", *NO_FILES) == 0
    assert len(_results(talking)) == 3


def test_people_without_what_the_model_sees_are_named(talking, capsys):
    path = talking / "keypoints" / "talking_keypoints.json"
    document = json.loads(path.read_text())
    document["people"][0]["face_keypoints_2d"] = []
    path.write_text(json.dumps(document))
    assert _fit(talking, "--model", "flame", "--verbose", *NO_FILES) == 0
    assert _results(talking) == ["001.npz"]
    assert "person 0: 0 face keypoints of confidence 0.2; needs 20" in capsys.readouterr().err


def test_unused_keypoints_and_weights_are_reported_once(talking, capsys):
    assert _fit(talking, "--model", "smpl", "--stages.5.face_keypoints", "2", *NO_FILES) == 0
    told = capsys.readouterr().err
    assert told.count("smpl has no hand keypoints: 63 seen on 2 people are not used\n") == 1
    assert told.count("smpl has no face keypoints: 136 seen on 2 people are not used\n") == 1
    assert told.count("without effect on smpl: stages.5.face_keypoints\n") == 1
    assert _fit(talking, "--model", "smplh", "--overwrite", *NO_FILES) == 0
    told = capsys.readouterr().err
    assert "no hand keypoints" not in told and "smplh has no face keypoints: 136 seen on 2 people" in told


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--config", "fit_smplx", "--model", "mano"), "stages.1.hand_keypoints: expected more than 0"),
        (("--config", "fit_mano", "--model", "smplx"), "fit_mano: has settings for mano, not for smplx"),
        (("--model", "flame", "--collision.enabled", "true"), "collision.enabled: expected false"),
        (("--model", "smal"), "body.model: expected one of smplx, smplh, smpl, mano, flame"),
    ],
)
def test_incompatible_options_are_refused(talking, capsys, options, told):
    assert _fit(talking, *options) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("model", ["smpl", "smplh"])
def test_whole_bodies_are_fitted_with_the_weights_of_smplx(model):
    """The stages of SMPL-X are written once; the other two leave hands or face out."""
    config = load_config(SHIPPED_CONFIGS / f"fit_{model}.yaml")
    shared = ["body_pose", "joint_limits", "shape", "collision"]
    shared += ["hand_pose", "hand_keypoints"] if model == "smplh" else []
    for stage, default in zip(config.stages, Config().stages, strict=True):
        assert {name: getattr(stage, name) for name in shared} == {name: getattr(default, name) for name in shared}
        assert stage.face_keypoints == 0


@pytest.mark.parametrize(("model", "side"), [("smpl", None), ("smplh", None), ("mano", "left"), ("flame", None)])
def test_shipped_configurations_set_no_weight_without_effect(model, side):
    assert Fitter(model, side=side).unused_settings == ()
