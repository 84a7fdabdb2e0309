"""Results of any of the whole bodies on disk, read and written as those of another body."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from smplifyx.body.data import BodyModelData
from smplifyx.body.files import load_body_model_data
from smplifyx.body.search import OPEN_BODY_DIR
from smplifyx.errors import InputError
from smplifyx.fitting.conversion import convert
from smplifyx.fitting.result import FitResult
from smplifyx.output import load_result, load_source, save_result
from smplifyx.output.results import read_parameters, save_converted


def load(name: str) -> BodyModelData:
    return load_body_model_data(OPEN_BODY_DIR / f"{name}.npz")


@pytest.fixture
def stored(result: FitResult, tmp_path: Path) -> Path:
    path = tmp_path / "walking" / "000.npz"
    path.parent.mkdir()
    save_result(dataclasses.replace(result, model_name="open-body 1"), "a.jpg", "a.json", "1.0", path)
    return path


def test_parameters_are_read_in_the_model_s_joint_order(stored: Path, result: FitResult) -> None:
    person = read_parameters(stored)
    assert (person.model_type, person.model_name, person.gender) == ("smplx", "open-body 1", "female")
    groups = (
        result.global_orient, result.body_pose, result.jaw_pose, result.leye_pose, result.reye_pose,
        result.left_hand_pose, result.right_hand_pose,
    )  # fmt: skip
    np.testing.assert_array_equal(person.parameters.pose[0].ravel(), np.concatenate(groups))
    np.testing.assert_array_equal(person.parameters.translation[0], result.camera_translation)
    np.testing.assert_array_equal(person.parameters.expression[0], result.expression)


def test_smplh_and_back(stored: Path, result: FitResult, tmp_path: Path) -> None:
    smplx, smplh = load("SMPLX_FEMALE"), load("SMPLH_FEMALE")
    person, there = read_parameters(stored), tmp_path / "smplh.npz"
    conversion = convert(person.parameters, smplx, smplh)
    save_converted(person, smplh, conversion, there)
    with np.load(there, allow_pickle=False) as file:
        assert str(file["model_type"]) == "smplh"
        assert str(file["converted_from"]) == "smplx open-body 1 female"
        assert file["conversion_error_mm"] == np.float32(conversion.vertex_error_mm[0])
        assert not {"jaw_pose", "leye_pose", "expression", "body_pose_embedding"} & set(file.files)
        assert {file[name].dtype for name in ("betas", "body_pose", "joints")} == {np.dtype(np.float32)}
        np.testing.assert_allclose(file["left_hand_pose"], result.left_hand_pose, atol=1e-6)
        np.testing.assert_array_equal(file["keypoints_2d"], result.keypoints_2d)
        assert file["joints"].shape == (52, 3)
        coefficients = file["right_hand_pca"]
    hand = smplh.hand("right")
    expected = hand.components[:12] @ (result.right_hand_pose - hand.mean)
    np.testing.assert_allclose(coefficients, expected, atol=1e-5)

    person, back = read_parameters(there), tmp_path / "smplx.npz"
    save_converted(person, smplx, convert(person.parameters, smplh, smplx), back)
    # The file is a result like those that a fit writes.
    again = load_result(back)
    assert (again.model_type, again.gender, again.joints.shape) == ("smplx", "female", (55, 3))
    np.testing.assert_allclose(again.body_pose, result.body_pose, atol=1e-6)
    np.testing.assert_allclose(again.joints[:22], conversion.joints[0, :22], atol=1e-5)
    assert not again.jaw_pose.any()
    assert load_source(back).image_path == "a.jpg"


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("model_type", "mano", "expected one of smpl, smplh, smplx"),
        ("gender", "other", "expected one of neutral, male, female"),
        ("body_pose", np.zeros(69), r"found shape \(69,\), expected shape \(63,\)"),
        ("betas", None, "is missing"),
    ],
)
def test_other_files_are_refused(stored: Path, key: str, value: object, problem: str) -> None:
    with np.load(stored) as file:
        entries = {name: file[name] for name in file.files if name != key}
    if value is not None:
        entries[key] = value
    np.savez(stored, **entries)
    with pytest.raises(InputError, match=problem):
        read_parameters(stored)
