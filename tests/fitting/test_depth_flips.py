"""Flips keep the picture and mirror the depth."""

from __future__ import annotations

import pytest
import torch

from smplifyx import skeleton
from smplifyx.body.model import BodyModel
from smplifyx.fitting.hypotheses import _FLIPS, _LEVELLED, depth_flips
from smplifyx.fitting.initialization import facing_camera
from smplifyx.fitting.parameters import BodyParameters, InitialPose
from smplifyx.priors import make_body_pose_prior
from tests.random_body import random_body_model

_DTYPE = torch.float64
_N_ROWS = 4
_N_VERSIONS = len(_FLIPS) + len(_LEVELLED)


@pytest.fixture(scope="module")
def flipped() -> dict[str, torch.Tensor]:
    """Joints before [4, 55, 3] and after [n_flips, 4, 55, 3] flipping, seen from so far that rays are parallel."""
    data = random_body_model()
    parameters = BodyParameters(data, make_body_pose_prior("gaussian", dtype=_DTYPE), 12, _DTYPE, "cpu")
    model = BodyModel.from_data(data, _DTYPE)
    frame = InitialPose(
        facing_camera(torch.zeros(_N_ROWS, dtype=_DTYPE), torch.linspace(0, 2, _N_ROWS, dtype=_DTYPE)),
        torch.tensor([[0.0, 0.0, 1e5]] * _N_ROWS, dtype=_DTYPE),
    )
    generator = torch.Generator().manual_seed(0)
    x = torch.zeros(_N_ROWS, parameters.layout.n_parameters, dtype=_DTYPE)
    pose = parameters.layout.slices["body_pose"]
    x[:, pose] = 0.5 * torch.randn(_N_ROWS, pose.stop - pose.start, dtype=_DTYPE, generator=generator)

    def joints(values: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        posed = parameters(parameters.layout.split(values), frame.index(rows))
        return model(posed.betas, posed.expression, posed.rotations, posed.translation).joints

    changed, origin, matters = depth_flips(parameters, model, x, frame)
    rows = torch.arange(_N_ROWS)
    return {
        "before": joints(x, rows),
        "after": joints(changed, origin).unflatten(0, (_N_VERSIONS, _N_ROWS)),
        "origin": origin,
        "matters": matters,
    }


def _bone(joints: torch.Tensor, start: str, end: str) -> torch.Tensor:
    return joints[..., skeleton.joint_index(end), :] - joints[..., skeleton.joint_index(start), :]


@pytest.mark.parametrize(
    "start,end", [("left_hip", "left_knee"), ("right_knee", "right_ankle"), ("left_elbow", "left_wrist")]
)
def test_a_flipped_bone_is_mirrored_and_the_next_one_keeps_its_direction(flipped, start, end):
    after = flipped["after"][_FLIPS.index((start,))]
    mirror = torch.tensor([1.0, 1.0, -1.0], dtype=_DTYPE)
    torch.testing.assert_close(
        _bone(after, start, end), _bone(flipped["before"], start, end) * mirror, rtol=0, atol=1e-4
    )
    if start == "left_hip":
        below = ("left_knee", "left_ankle")
        torch.testing.assert_close(_bone(after, *below), _bone(flipped["before"], *below), rtol=0, atol=1e-6)


def test_flipping_the_trunk_keeps_the_limbs_directions(flipped):
    after = flipped["after"][_FLIPS.index(("pelvis",))]
    for bone in (("left_hip", "left_knee"), ("right_shoulder", "right_elbow")):
        torch.testing.assert_close(_bone(after, *bone), _bone(flipped["before"], *bone), rtol=0, atol=1e-6)
    mirror = torch.tensor([1.0, 1.0, -1.0], dtype=_DTYPE)
    trunk = _bone(flipped["before"], "pelvis", "neck") * mirror
    torch.testing.assert_close(_bone(after, "pelvis", "neck"), trunk, rtol=0, atol=1e-4)


def test_the_picture_of_the_main_joints_stays(flipped):
    names = ("left_hip", "left_knee", "left_ankle", "right_shoulder", "right_elbow", "right_wrist")
    for flip in (("left_hip", "left_knee"), ("right_shoulder", "right_elbow"), ("right_elbow",)):
        after = flipped["after"][_FLIPS.index(flip)]
        for name in names:
            index = skeleton.joint_index(name)
            torch.testing.assert_close(after[:, index, :2], flipped["before"][:, index, :2], rtol=0, atol=1e-4)


def test_rows_are_named_and_flat_bones_are_not_worth_a_try(flipped):
    assert flipped["origin"].tolist() == list(range(_N_ROWS)) * _N_VERSIONS
    hip = _FLIPS.index(("left_hip",))
    bone = _bone(flipped["before"], "left_hip", "left_knee")
    sine = (bone[:, 2] / bone.norm(dim=1)).abs()
    matters = flipped["matters"].unflatten(0, (_N_VERSIONS, _N_ROWS))[hip]
    assert matters.tolist() == (sine > 0.15).tolist()


def test_levelled_bones_lie_in_the_image_plane(flipped):
    after = flipped["after"][len(_FLIPS) + 1]
    for bone in (("pelvis", "neck"), ("left_hip", "left_knee"), ("right_knee", "right_ankle")):
        torch.testing.assert_close(_bone(after, *bone)[:, 2], torch.zeros(_N_ROWS, dtype=_DTYPE), rtol=0, atol=1e-4)
