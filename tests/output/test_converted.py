"""Results of any of the whole bodies as those of another body."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smplifyx.body.data import BodyModelData
from smplifyx.body.files import load_body_model_data
from smplifyx.body.search import OPEN_BODY_DIR
from smplifyx.errors import InputError
from smplifyx.fitting.conversion import Converter
from smplifyx.output.results import converted_result, model_parameters
from smplifyx.result import FitResult, load_result
from tests.random_result import random_result


def load(name: str) -> BodyModelData:
    return load_body_model_data(OPEN_BODY_DIR / f"{name}.npz")


def test_parameters_are_in_the_model_s_joint_order(result: FitResult) -> None:
    parameters = model_parameters(result)
    groups = (
        result.global_orient, result.body_pose, result.jaw_pose, result.leye_pose, result.reye_pose,
        result.left_hand_pose, result.right_hand_pose,
    )  # fmt: skip
    np.testing.assert_array_equal(parameters.pose[0].ravel(), np.concatenate(groups))
    np.testing.assert_array_equal(parameters.translation[0], result.camera_translation)
    np.testing.assert_array_equal(parameters.expression[0], result.expression)


def test_smplh_and_back(tmp_path: Path) -> None:
    smplx, smplh = load("SMPLX_FEMALE"), load("SMPLH_FEMALE")
    result, there = random_result(model_name="open-body 1"), tmp_path / "smplh.npz"
    conversion = Converter(smplx, smplh)(model_parameters(result))
    converted_result(result, smplh, conversion).save(there)
    other = load_result(there)
    assert (other.model_type, other.converted_from) == ("smplh", "smplx open-body 1 female")
    assert other.conversion_error_mm == np.float32(conversion.vertex_error_mm[0])
    assert other.body_pose_embedding is None
    assert not any(array.size for array in (other.jaw_pose, other.leye_pose, other.expression))
    assert {array.dtype for array in (other.betas, other.body_pose, other.joints)} == {np.dtype(np.float32)}
    np.testing.assert_allclose(other.left_hand_pose, result.left_hand_pose, atol=1e-6)
    np.testing.assert_array_equal(other.keypoints_2d, result.keypoints_2d)
    assert other.joints.shape == (52, 3)
    hand = smplh.hand("right")
    expected = hand.components[:12] @ (result.right_hand_pose - hand.mean)
    np.testing.assert_allclose(other.right_hand_pca, expected, atol=1e-5)

    again = converted_result(other, smplx, Converter(smplh, smplx)(model_parameters(other)))
    assert (again.model_type, again.gender, again.joints.shape) == ("smplx", "female", (55, 3))
    np.testing.assert_allclose(again.body_pose, result.body_pose, atol=1e-6)
    np.testing.assert_allclose(again.joints[:22], conversion.joints[0, :22], atol=1e-5)
    assert not again.jaw_pose.any()
    assert again.image_path == result.image_path


@pytest.mark.parametrize("result", [random_result("mano", "left"), random_result("flame")])
def test_hands_and_heads_are_refused(result: FitResult) -> None:
    with pytest.raises(InputError, match="expected one of smpl, smplh, smplx"):
        model_parameters(result)
