"""People who touch themselves: the poses touch and pass through nothing, and the figures tell a hand in the belly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from smplifyx import skeleton
from smplifyx.body.data import BodyModelData
from smplifyx.evaluation.self_contact import ContactJudge, touching_people
from smplifyx.synthetic.self_contact import PLACES, POSES, ContactPoser, with_flat_hands


@pytest.fixture(scope="module")
def judge(open_body: BodyModelData) -> ContactJudge:
    return ContactJudge(open_body)


@pytest.fixture(scope="module")
def poser(open_body: BodyModelData, judge: ContactJudge) -> ContactPoser:
    return ContactPoser(with_flat_hands(open_body), judge.pairs, judge.meter)


@pytest.fixture(scope="module")
def touching_pose(poser: ContactPoser) -> np.ndarray:
    (pose,) = (pose for pose in POSES if pose.name == "hand to cheek")
    return poser.solve(pose, np.random.default_rng(0))


@pytest.mark.slow
def test_a_contact_pose_touches_and_goes_no_deeper(
    poser: ContactPoser, judge: ContactJudge, touching_pose: np.ndarray
) -> None:
    figures = judge.measure(poser.vertices(torch.as_tensor(touching_pose)).numpy())
    assert figures.penetration.depth <= 0.002
    assert figures.hand_gaps[0] < 0.01
    assert figures.hand_gaps[1] > 0.02


def arm_across(inwards: float) -> torch.Tensor:
    """Body pose [63]: the left arm hangs, its elbow bent, and turns inwards by so many radians."""
    pose = np.zeros((21, 3))
    shoulder, elbow = (skeleton.joint_index(name) - 1 for name in ("left_shoulder", "left_elbow"))
    pose[shoulder] = Rotation.from_euler("ZX", [-1.25, inwards]).as_rotvec()
    pose[elbow] = 0.0, -1.5, 0.0
    return torch.as_tensor(pose.reshape(-1))


@pytest.mark.slow
def test_a_hand_in_the_belly_is_deep(poser: ContactPoser, judge: ContactJudge) -> None:
    off, shallow, deep = (judge.measure(poser.vertices(arm_across(turn)).numpy()) for turn in (0.6, 0.9, 1.1))
    assert off.penetration.depth == off.volume == 0.0
    assert 0.002 < shallow.penetration.depth < 0.02 < deep.penetration.depth < 0.1
    assert 1e-6 < shallow.volume < deep.volume < 1e-3
    assert off.hand_gaps[0] > 0.02


@pytest.mark.slow
def test_touching_people_hold_their_poses(open_body: BodyModelData, touching_pose: np.ndarray) -> None:
    first, second = touching_people(open_body, np.stack([touching_pose, 0.5 * touching_pose]))
    assert (first.name, second.name) == ("person_0000", "person_0001")
    trace = np.trace(first.rotations[1:22], axis1=1, axis2=2)
    angles = np.linalg.norm(touching_pose.reshape(-1, 3), axis=1)
    np.testing.assert_allclose(trace, 1 + 2 * np.cos(angles), atol=1e-9)
    assert not first.betas.any()
    assert (first.keypoints_2d[:, 2] > 0).sum() > 40


def test_poses_name_known_places_and_each_other_only_once() -> None:
    assert {place for pose in POSES for contact in pose.contacts for place in contact} <= set(PLACES)
    assert len({pose.name for pose in POSES}) == len(POSES) >= 20
