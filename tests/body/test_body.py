"""The interface for people who pose bodies: names, shapes, defaults, errors."""

from __future__ import annotations

import pytest
import torch

import smplifyx.body
from smplifyx.body import Body, HandOptions, load_body_model
from smplifyx.errors import UsageError
from smplifyx.rotations import axis_angle_to_matrix
from tests.random_body import random_body_model


@pytest.fixture(scope="module")
def body() -> Body:
    return Body(random_body_model(), dtype=torch.float64)


def random(*shape: int) -> torch.Tensor:
    return 0.5 * torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_nothing_given_is_the_mean_body_at_rest(body: Body) -> None:
    posed = body()
    assert posed.vertices.shape == (1, 200, 3)
    torch.testing.assert_close(posed.vertices[0], torch.as_tensor(body.data.v_template))
    assert posed.keypoints.shape == (1, len(body.keypoint_names), 3)
    assert posed.joints.shape == (1, len(body.joint_names), 3)


def test_rotations_and_axis_angle_are_the_same(body: Body) -> None:
    pose = random(2, 63)
    matrices = axis_angle_to_matrix(pose.reshape(2, 21, 3))
    expected = body(body_pose=pose).vertices
    torch.testing.assert_close(body(body_pose=matrices).vertices, expected)
    torch.testing.assert_close(body(body_pose=pose.reshape(2, 21, 3)).vertices, expected)


def test_one_row_is_for_all_and_missing_coefficients_are_zero(body: Body) -> None:
    pose, betas, transl = random(3, 63), random(1, 4), random(1, 3)
    together = body(body_pose=pose, betas=betas, transl=transl, expression=random(1, 2))
    padded = torch.nn.functional.pad(betas, (0, 6))
    for row in range(3):
        alone = body(body_pose=pose[row : row + 1], betas=padded, transl=transl, expression=random(1, 2))
        torch.testing.assert_close(together.vertices[row], alone.vertices[0])
        torch.testing.assert_close(together.keypoints[row], alone.keypoints[0])


@pytest.mark.parametrize(("options", "adds"), [(HandOptions(), 0.0), (HandOptions(flat_mean=False), 1.0)])
def test_hand_means(options: HandOptions, adds: float) -> None:
    data = random_body_model()
    hand = torch.as_tensor(data.hand("left").mean)[None]
    complete = Body(data, dtype=torch.float64)(left_hand_pose=adds * hand, right_hand_pose=random(1, 45))
    body = Body(data, options, dtype=torch.float64)
    right = random(1, 45) - adds * torch.as_tensor(data.hand("right").mean)
    torch.testing.assert_close(body(right_hand_pose=right).vertices, complete.vertices)


def test_coefficients_are_relative_to_the_mean_hand() -> None:
    data = random_body_model()
    body = Body(data, HandOptions(n_components=6), dtype=torch.float64)
    assert body.pose_sizes["left_hand_pose"] == 6
    components, mean = data.hand("left")
    left = torch.as_tensor(mean + random(2, 6).numpy() @ components[:6])
    right = torch.as_tensor(data.hand("right").mean)[None]
    expected = Body(data, dtype=torch.float64)(left_hand_pose=left, right_hand_pose=right)
    torch.testing.assert_close(body(left_hand_pose=random(2, 6)).vertices, expected.vertices)


def test_contour_follows_the_camera(body: Body) -> None:
    far = torch.tensor([0.0, 0.0, 1e4], dtype=torch.float64)
    torch.testing.assert_close(body(camera=far).keypoints, body().keypoints)
    beside = body(camera=torch.tensor([[1e4, 0.0, 1e4]], dtype=torch.float64)).keypoints
    torch.testing.assert_close(beside[:, :118], body().keypoints[:, :118])
    assert not torch.allclose(beside[:, 118:], body().keypoints[:, 118:])


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"hand_pose": torch.zeros(1, 45)}, "smplx has no hand_pose; its pose parts are global_orient, body_pose"),
        ({"body_pose": torch.zeros(1, 69)}, r"body_pose has shape \(1, 69\); expected \[B, 63\] or rotations"),
        ({"betas": torch.zeros(1, 11)}, r"betas has shape \(1, 11\); expected \[B, 10\] or fewer"),
        ({"expression": torch.zeros(10)}, r"expression has shape \(10,\)"),
    ],
)
def test_wrong_inputs_are_named(body: Body, inputs: dict[str, torch.Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        body(**inputs)


@pytest.mark.parametrize(
    ("model_type", "side", "n_joints"),
    [("smplx", None, 55), ("smplh", None, 52), ("smpl", None, 24), ("mano", "left", 16), ("flame", None, 5)],
)
def test_every_model_is_there(model_type: str, side: str | None, n_joints: int) -> None:
    body = load_body_model(model_type, side=side)
    assert len(body.joint_names) == n_joints
    assert sum(body.pose_sizes.values()) == 3 * n_joints
    with pytest.raises(UsageError):
        load_body_model(model_type, side="up")


def test_public_names() -> None:
    for name in smplifyx.body.__all__:
        assert getattr(smplifyx.body, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        smplifyx.body.nothing  # noqa: B018
