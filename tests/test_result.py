"""The result of a fit: its file, the one table of its fields, and the body it stands for."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from smplifyx.body.files import load_body_model_data
from smplifyx.body.search import OPEN_BODY_DIR
from smplifyx.camera import Camera
from smplifyx.errors import InputError
from smplifyx.result import RESULT_FIELDS, FitResult, load_result
from smplifyx.result_fields import fields_as_markdown
from smplifyx.skeleton import CANONICAL_KEYPOINT_NAMES, JOINT_NAMES
from tests.random_result import random_result

CONTRACT_KEYS = {
    "model_type", "model_name", "gender", "betas", "expression", "global_orient", "body_pose", "jaw_pose",
    "leye_pose", "reye_pose", "left_hand_pose", "right_hand_pose", "left_hand_pca", "right_hand_pca",
    "body_pose_embedding", "camera_translation", "camera_rotation", "focal_length", "principal_point",
    "image_size", "joints", "keypoints_2d", "projected_keypoints_2d", "loss", "stage_losses", "loss_names", "losses",
    "n_evaluations", "converged", "flags", "image_path", "keypoint_path", "version",
}  # fmt: skip
MODELS = [("smplx", ""), ("smplh", ""), ("smpl", ""), ("mano", "left"), ("mano", "right"), ("flame", "")]


@pytest.fixture
def result() -> FitResult:
    return random_result()


def _saved(result: FitResult, path: Path) -> Path:
    result.save(path)
    return path


def _assert_same(first: FitResult, second: FitResult) -> None:
    for field in fields(FitResult):
        a, b = getattr(first, field.name), getattr(second, field.name)
        if isinstance(a, np.ndarray):
            np.testing.assert_array_equal(a, b, err_msg=field.name)
            assert a.dtype == b.dtype, field.name
        elif field.name == "stage_term_losses":
            assert list(a) == list(b)
            np.testing.assert_array_equal(list(a.values()), list(b.values()))
        else:
            assert a == b and type(a) is type(b), field.name


def test_file_holds_the_keys_of_the_contract_as_plain_arrays(result: FitResult, tmp_path: Path) -> None:
    with np.load(_saved(result, tmp_path / "000.npz"), allow_pickle=False) as stored:
        assert set(stored.files) >= CONTRACT_KEYS
        assert set(stored.files) >= {"n_keypoints", "reprojection_error_px", "camera_source", "status", "seconds"}
        assert {stored[key].dtype.kind for key in stored.files} <= set("fiubU")
        assert str(stored["gender"]) == "female" and stored["loss"].shape == ()
        assert stored["image_size"].tolist() == [640, 480]
        assert dict(zip(stored["loss_names"], stored["losses"], strict=True)) == result.losses
        assert tuple(stored["joint_names"]) == JOINT_NAMES
        assert tuple(stored["keypoint_names"]) == CANONICAL_KEYPOINT_NAMES
    with np.load(_saved(replace(result, body_pose_embedding=None), tmp_path / "1.npz"), allow_pickle=False) as stored:
        assert "body_pose_embedding" not in stored.files


@pytest.mark.parametrize(("model_type", "side"), MODELS)
def test_every_field_comes_back(model_type: str, side: str, tmp_path: Path) -> None:
    result = random_result(model_type, side)
    _assert_same(result, load_result(_saved(result, tmp_path / "000.npz")))


@pytest.mark.parametrize(
    "changes", [{"body_pose_embedding": None}, {"flags": ()}, {"losses": {}, "stage_term_losses": {}}]
)
def test_empty_values_come_back(result: FitResult, tmp_path: Path, changes: dict) -> None:
    result = replace(result, **changes)
    _assert_same(result, load_result(_saved(result, tmp_path / "000.npz")))


def test_what_a_file_does_not_say_has_its_default(result: FitResult, tmp_path: Path) -> None:
    optional = {one.name for one in RESULT_FIELDS if not one.required} - {"side"}
    with np.load(_saved(result, tmp_path / "000.npz"), allow_pickle=False) as stored:
        entries = {name: stored[name] for name in stored.files if name not in optional}
    np.savez(tmp_path / "earlier.npz", **entries)
    loaded = load_result(tmp_path / "earlier.npz")
    assert (loaded.gender, loaded.gender_source, loaded.status, loaded.losses) == ("female", "", "ok", {})
    assert loaded.stage_term_losses == {}
    assert np.isnan(loaded.gender_probability) and np.isnan(loaded.seconds)


def test_damaged_files_raise_input_error(result: FitResult, tmp_path: Path) -> None:
    good = _saved(result, tmp_path / "good.npz")
    bad = tmp_path / "bad.npz"
    data = good.read_bytes()
    middle = len(data) // 2
    scrambled = data[:middle] + bytes(255 - b for b in data[middle : middle + 60]) + data[middle + 60 :]
    for content in (b"", b"not a zip", data[:middle], scrambled):
        bad.write_bytes(content)
        with pytest.raises(InputError, match=r"bad\.npz"):
            load_result(bad)
    with pytest.raises(InputError, match="does not exist"):
        load_result(tmp_path / "absent.npz")


def test_plain_array_file_raises_input_error(tmp_path: Path) -> None:
    with (tmp_path / "bad.npz").open("wb") as stream:
        np.save(stream, np.zeros(3))
    with pytest.raises(InputError):
        load_result(tmp_path / "bad.npz")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("betas", np.zeros(9)),
        ("joints", np.zeros((55, 2))),
        ("joints", np.zeros((52, 3))),
        ("body_pose", np.zeros(69)),
        ("loss", np.zeros(2)),
        ("losses", np.zeros(7)),
        ("stage_term_losses", np.zeros(2)),
        ("stage_term_losses", np.zeros((3, 5))),
        ("gender", np.zeros(2)),
        ("gender", np.array("femle")),
        ("body_pose", np.array(["a"] * 63)),
        ("betas", np.array([None] * 10, dtype=object)),
        ("flags", None),
        ("camera_translation", None),
        ("model_type", None),
        ("model_type", np.array("smal")),
    ],
)
def test_wrong_or_missing_entries_are_named(
    result: FitResult, tmp_path: Path, name: str, value: np.ndarray | None
) -> None:
    with np.load(_saved(result, tmp_path / "good.npz")) as stored:
        entries = {key: stored[key] for key in stored.files if key != name}
    if value is not None:
        entries[name] = value
    np.savez(tmp_path / "bad.npz", **entries)
    with pytest.raises(InputError) as error:
        load_result(tmp_path / "bad.npz")
    assert (value is not None and value.dtype == object) or error.value.field == name


def test_the_documentation_has_the_table_of_fields():
    page = Path(__file__).parent.parent / "docs" / "results.md"
    assert fields_as_markdown(RESULT_FIELDS) in page.read_text(encoding="utf-8"), "print(fields_as_markdown(...))"


def test_the_camera_of_a_result(result: FitResult) -> None:
    assert result.camera == Camera(result.focal_length, result.principal_point, "exif", (640, 480))


@pytest.mark.parametrize(("model_type", "side"), MODELS)
def test_a_loaded_result_poses_its_body(model_type: str, side: str, tmp_path: Path) -> None:
    name = "_".join(filter(None, (model_type, side or "neutral"))).upper()
    data = load_body_model_data(OPEN_BODY_DIR / f"{name}.npz")
    path = tmp_path / "000.npz"
    random_result(model_type, side, model_name=data.name, gender=data.gender).save(path)
    result = load_result(path)
    parameters = {name: tensor.requires_grad_() for name, tensor in result.parameters.items()}
    posed = result.body(OPEN_BODY_DIR)(**parameters)
    assert posed.joints.shape == (1, len(result.joint_names), 3)
    np.testing.assert_allclose(posed.vertices[0].detach(), result.vertices, atol=1e-6)
    gradient = torch.autograd.grad(posed.keypoints.sum(), parameters["transl"])[0]
    np.testing.assert_allclose(gradient[0], posed.keypoints.shape[1], rtol=1e-5)
    mesh = result.mesh()
    np.testing.assert_allclose(mesh.vertices, (result.vertices - result.camera_translation) * [1, -1, -1], atol=1e-6)
    np.testing.assert_array_equal(mesh.faces, data.faces)


def test_a_body_that_is_not_there_is_named(result: FitResult) -> None:
    with pytest.raises(InputError, match=r"expected the body model 'open body', found 'open-body 1"):
        result.body(OPEN_BODY_DIR)


def test_a_folder_of_models_counts_after_a_body_was_found(result: FitResult, tmp_path: Path) -> None:
    result = replace(result, model_name="open-body 1")
    found = result.body(OPEN_BODY_DIR)
    assert result.body() is found
    with pytest.raises(InputError):
        result.body(tmp_path)
