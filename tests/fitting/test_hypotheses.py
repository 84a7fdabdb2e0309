"""Competing hypotheses: their disagreement, and flips that keep the picture and mirror the depth."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from smplifyx import skeleton
from smplifyx.body.model import BodyModel
from smplifyx.body.regressor import OPENPOSE_DEFINITIONS
from smplifyx.fitting.batch import FitTargets, Hypotheses, InitialPose
from smplifyx.fitting.hypotheses import _FLIPS, _LEVELLED, ambiguity, depth_flips, distinct, turned_hands
from smplifyx.fitting.initialization import facing_camera
from smplifyx.fitting.parameters import BodyParameters
from smplifyx.fitting.schedule import KeepDistinct, SelectBest
from smplifyx.fitting.state import BodyView
from smplifyx.priors import make_body_pose_prior
from tests.random_body import random_body_model

_DTYPE = torch.float64
_N_ROWS = 4
_N_VERSIONS = len(_FLIPS) + len(_LEVELLED)


class _Bodies(NamedTuple):
    """Random bodies in random poses, seen from so far that rays are parallel."""

    view: BodyView
    x: torch.Tensor
    initial: InitialPose


@pytest.fixture(scope="module")
def bodies() -> _Bodies:
    data = random_body_model()
    parameters = BodyParameters(data, make_body_pose_prior("gaussian", dtype=_DTYPE), 12, _DTYPE, "cpu")
    view = BodyView(data, BodyModel.from_data(data, _DTYPE), parameters, range(25), OPENPOSE_DEFINITIONS)
    initial = InitialPose(
        facing_camera(torch.zeros(_N_ROWS, dtype=_DTYPE), torch.linspace(0, 2, _N_ROWS, dtype=_DTYPE)),
        torch.tensor([[0.0, 0.0, 1e5]] * _N_ROWS, dtype=_DTYPE),
    )
    generator = torch.Generator().manual_seed(0)
    x = torch.zeros(_N_ROWS, parameters.layout.n_parameters, dtype=_DTYPE)
    for name in ("body_pose", "left_hand", "right_hand"):
        group = parameters.layout.slices[name]
        x[:, group] = 0.5 * torch.randn(_N_ROWS, group.stop - group.start, dtype=_DTYPE, generator=generator)
    return _Bodies(view, x, initial)


@pytest.fixture(scope="module")
def flipped(bodies: _Bodies) -> dict[str, torch.Tensor]:
    """Joints before [4, 55, 3] and after [n_flips, 4, 55, 3] flipping, seen from so far that rays are parallel."""
    view, x, initial = bodies

    def joints(values: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        return view.pose(values, initial.index(rows)).joints

    changed, origin, matters = depth_flips(view, x, initial)
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


class _Turned(NamedTuple):
    """World rotations and joints before [4, ...] and after [2, 2, 4, ...] turning a hand; parameters after."""

    world: torch.Tensor
    joints: torch.Tensor
    world_after: torch.Tensor
    joints_after: torch.Tensor
    x: torch.Tensor


@pytest.fixture(scope="module")
def turned(bodies: _Bodies) -> _Turned:
    view, x, initial = bodies
    changed = turned_hands(view, x, initial)
    before = view.pose(x, initial).output
    after = view.pose(changed.flatten(0, 2), initial.index(torch.arange(_N_ROWS).repeat(4))).output
    shape = (2, 2, _N_ROWS)
    return _Turned(
        before.joint_rotations,
        before.joints,
        after.joint_rotations.unflatten(0, shape),
        after.joints.unflatten(0, shape),
        changed,
    )


_SIDES = list(enumerate(skeleton.SIDES))


@pytest.mark.parametrize("number,side", _SIDES)
def test_a_turned_flat_hand_keeps_its_picture(turned: _Turned, number: int, side: str):
    wrist = skeleton.joint_index(f"{side}_wrist")
    before, after = turned.world[:, wrist], turned.world_after[0, number, :, wrist]
    mirror = torch.tensor([1.0, 1.0, -1.0], dtype=_DTYPE)[:, None]
    in_palm = [0, 2]  # the axes of the wrist's frame along the fingers and across the palm
    torch.testing.assert_close(after[..., in_palm], before[..., in_palm] * mirror, rtol=0, atol=1e-4)
    torch.testing.assert_close(after[..., 1], -before[..., 1] * mirror[:, 0], rtol=0, atol=1e-4)
    torch.testing.assert_close(turned.joints_after[0, number, :, :22], turned.joints[:, :22], rtol=0, atol=1e-4)


@pytest.mark.parametrize("number,side", _SIDES)
def test_a_forearm_turned_with_its_hand_is_mirrored(turned: _Turned, number: int, side: str):
    mirror = torch.tensor([1.0, 1.0, -1.0], dtype=_DTYPE)
    forearm = (f"{side}_elbow", f"{side}_wrist")
    before, after = _bone(turned.joints, *forearm), _bone(turned.joints_after[1, number], *forearm)
    torch.testing.assert_close(after, before * mirror, rtol=0, atol=1e-4)
    wrist = skeleton.joint_index(f"{side}_wrist")
    # Half a turn takes the hand to the other one.
    axis = (after / after.norm(dim=1, keepdim=True))[:, None]
    half_turn = Rotation.from_rotvec(math.pi * axis[:, 0].numpy()).as_matrix()
    alone = torch.from_numpy(half_turn).mT @ turned.world_after[1, number, :, wrist]
    torch.testing.assert_close(alone, turned.world_after[0, number, :, wrist], rtol=0, atol=1e-4)


@pytest.mark.parametrize("number,side", _SIDES)
@pytest.mark.parametrize("way", [0, 1])
def test_the_elbow_takes_half_of_the_twist(turned: _Turned, number: int, side: str, way: int):
    shoulder, elbow, wrist = (skeleton.joint_index(f"{side}_{name}") for name in ("shoulder", "elbow", "wrist"))
    axis = _bone(turned.joints_after[way, number], f"{side}_elbow", f"{side}_wrist")
    axis = (axis / axis.norm(dim=1, keepdim=True)).numpy()
    hand, forearm = turned.world_after[way, number][:, wrist], turned.world_after[way, number][:, elbow]
    # The wrist as it was relative to the forearm as it is now: the rest is what the wrist took.
    own = turned.world[:, elbow].mT @ turned.world[:, wrist]
    by_wrist = _twist_about((hand @ (forearm @ own).mT).numpy(), axis)
    before = turned.world[:, elbow]
    if way == 1:
        level = torch.from_numpy(_mirroring(_bone(turned.joints, f"{side}_elbow", f"{side}_wrist").numpy()))
        before = level @ before
    by_elbow = _twist_about((forearm @ before.mT).numpy(), axis)
    np.testing.assert_allclose(np.cos(by_wrist), np.cos(by_elbow), atol=1e-5)
    np.testing.assert_allclose(np.sin(by_wrist), np.sin(by_elbow), atol=1e-5)
    others = [joint for joint in range(22) if joint not in (elbow, wrist)]
    torch.testing.assert_close(turned.world_after[way, number][:, others], turned.world[:, others], rtol=0, atol=1e-6)
    assert shoulder in others


def test_fingers_of_the_turned_hand_alone_start_anew(bodies: _Bodies, turned: _Turned):
    slices = bodies.view.parameters.layout.slices
    for number, side in _SIDES:
        other = skeleton.SIDES[1 - number]
        assert not turned.x[:, number, :, slices[f"{side}_hand"]].any()
        own = bodies.x[:, slices[f"{other}_hand"]]
        assert torch.equal(turned.x[:, number, :, slices[f"{other}_hand"]], own.expand(2, -1, -1))


def _twist_about(rotations: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Angles of the part of rotations about axes, radians (swing-twist decomposition)."""
    quaternion = Rotation.from_matrix(rotations).as_quat()
    return 2.0 * np.arctan2((quaternion[:, :3] * axes).sum(1), quaternion[:, 3])


def _mirroring(bones: np.ndarray) -> np.ndarray:
    """Smallest rotations that mirror bones in depth, seen along z."""
    across = np.cross(bones, [0.0, 0.0, 1.0])
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    angle = 2.0 * np.arctan2(bones[:, 2], np.linalg.norm(bones[:, :2], axis=1))
    rotations: np.ndarray = Rotation.from_rotvec(-angle[:, None] * across).as_matrix()
    return rotations


def _joints(*offsets: float) -> torch.Tensor:
    """Joints [R, 55, 3] in which the arms of each row are moved by so many metres in depth."""
    joints = torch.randn(1, 55, 3, generator=torch.manual_seed(0)).repeat(len(offsets), 1, 1)
    joints[:, 16:22, 2] += torch.tensor(offsets)[:, None]
    return joints


def test_equal_starts_and_single_starts_leave_no_doubt():
    found = ambiguity(_joints(0, 0, 0), torch.tensor([5.0, 5.0, 5.0]), torch.tensor([0, 0, 1]), torch.tensor([0, 2]))
    torch.testing.assert_close(found.spread, torch.zeros(2))
    torch.testing.assert_close(found.gap, torch.ones(2))


def test_a_different_pose_of_the_same_loss_is_doubt_and_one_of_a_high_loss_is_none():
    loss = torch.tensor([10.0, 10.0, 10.0, 100.0])
    found = ambiguity(_joints(0, 0.5, 0, 0.5), loss, torch.tensor([0, 0, 1, 1]), torch.tensor([0, 2]))
    assert found.gap.tolist() == [0.0, 1.0]
    assert found.spread[0] > 0.05
    assert found.spread[1] < 1e-6


def test_a_start_that_failed_does_not_count_and_moving_as_a_whole_is_no_difference():
    joints = _joints(0, 0.5, 0)
    joints[2] += 3.0
    loss = torch.tensor([10.0, torch.nan, 10.0])
    found = ambiguity(joints, loss, torch.tensor([0, 0, 0]), torch.tensor([0]))
    torch.testing.assert_close(found.spread, torch.zeros(1), atol=1e-6, rtol=0)
    assert found.gap.tolist() == [1.0]


class _PosedAs:
    """A solver that poses every row as some joints."""

    def __init__(self, joints: torch.Tensor) -> None:
        self.joints = joints

    def padded_pose(self, hypotheses: Hypotheses) -> _PosedAs:
        return self


def test_selecting_keeps_the_worse_of_two_ambiguities():
    zeros = torch.zeros(3)
    targets = FitTargets(*(zeros for _ in range(9)))
    initial = InitialPose(zeros, zeros)
    hypotheses = Hypotheses.start(torch.tensor([0, 0, 1]), targets, initial, torch.zeros(3, 2))
    hypotheses = replace(hypotheses, loss=torch.tensor([12.0, 10.0, 7.0]), gap=torch.tensor([1.0, 0.1, 1.0]))
    chosen = SelectBest().run(_PosedAs(_joints(0.5, 0, 0)), hypotheses)
    assert chosen.person.tolist() == [0, 1] and chosen.loss.tolist() == [10.0, 7.0]
    torch.testing.assert_close(chosen.gap, torch.tensor([0.1, 1.0]))
    assert chosen.spread[0] > 0.01 and chosen.spread[1] < 1e-6


def test_of_equal_poses_the_lowest_loss_stays_and_too_high_losses_go():
    joints = _joints(0, 0, 0.5, 0.5, 0, 0.5)
    joints[1] += 3.0  # moving as a whole is no difference
    person = torch.tensor([0, 0, 0, 1, 1, 1])
    loss = torch.tensor([11.0, 10.0, 12.0, 10.0, 13.1, torch.nan])
    assert distinct(joints, loss, person).tolist() == [1, 2, 3]


def test_losses_below_zero_and_people_in_any_order():
    joints, person = _joints(0, 0.5, 0, 0.5), torch.tensor([1, 0, 0, 1])
    assert distinct(joints, torch.tensor([-10.0, -6.0, -10.0, -8.0]), person).tolist() == [0, 2, 3]


def test_each_person_keeps_a_hypothesis_where_all_failed():
    loss = torch.tensor([torch.nan, torch.inf, 5.0])
    assert distinct(_joints(0, 0.5, 0), loss, torch.tensor([0, 0, 1])).tolist() == [0, 2]


def test_distinct_hypotheses_stay_with_all_that_is_theirs():
    zeros = torch.zeros(3)
    targets = FitTargets(*(zeros for _ in range(9)))
    hypotheses = Hypotheses.start(torch.tensor([0, 0, 1]), targets, InitialPose(zeros, zeros), torch.zeros(3, 2))
    hypotheses = replace(hypotheses, loss=torch.tensor([12.0, 10.0, 7.0]))
    kept = KeepDistinct().run(_PosedAs(_joints(0, 0, 0)), hypotheses)
    assert kept.person.tolist() == [0, 1] and kept.loss.tolist() == [10.0, 7.0]
