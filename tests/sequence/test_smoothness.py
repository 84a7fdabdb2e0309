"""The energy in time: nothing for uniform motion, known values for known accelerations."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from smplifyx.config import SequenceConfig
from smplifyx.fitting.fitter import Fitter
from smplifyx.sequence.smoothness import Motion, Smoothness

_QUIET = SequenceConfig(joint_smoothness=0.0, rotation_smoothness=0.0, face_smoothness=0.0)


def smoothness(fitter: Fitter, config: SequenceConfig, fps: float = 30.0) -> Smoothness:
    return Smoothness(fitter.solver.full_view.model.tree.parents, fitter.solver.parameters.layout, config, fps)


def motion(fitter: Fitter, n_frames: int) -> Motion:
    n_joints = fitter.solver.full_view.model.n_joints
    joints = torch.zeros(n_frames, n_joints, 3, dtype=torch.float64)
    rotations = torch.eye(3, dtype=torch.float64).expand(n_frames, n_joints, 3, 3)
    return Motion(joints, rotations, torch.zeros(n_frames, fitter.solver.parameters.layout.n_parameters).double())


def test_uniform_motion_is_free(plain_fitter: Fitter) -> None:
    still = motion(plain_fitter, 6)
    steps = torch.arange(6.0).double()[:, None, None] * torch.tensor([0.1, -0.2, 0.05])
    moving = replace(still, joints=still.joints + steps)
    assert float(smoothness(plain_fitter, SequenceConfig()).loss(moving)) < 1e-9


@pytest.mark.parametrize("fps", [25.0, 60.0])
def test_energy_of_a_constant_acceleration(plain_fitter: Fitter, fps: float) -> None:
    acceleration, scale, weight, seconds = 3.0, 10.0, 0.7, 2.0
    n_frames = int(seconds * fps) + 2
    still = motion(plain_fitter, n_frames)
    times = torch.arange(n_frames).double() / fps
    joints = still.joints.clone()
    joints[:, 18, 1] = 0.5 * acceleration * times**2  # an elbow
    config = replace(_QUIET, joint_smoothness=weight, joint_acceleration=scale)
    energy = float(smoothness(plain_fitter, config, fps).loss(replace(still, joints=joints)))
    expected = 2.0 * scale**2 * ((1.0 + (acceleration / scale) ** 2) ** 0.5 - 1.0)
    assert energy == pytest.approx(weight**2 * 30.0 * seconds * expected, rel=1e-6)  # for any rate of frames


def test_hands_count_from_their_wrists(plain_fitter: Fitter) -> None:
    still = motion(plain_fitter, 5)
    names = plain_fitter.body.joint_names
    wrist = names.index("left_wrist")
    hand = [joint for joint, anchor in enumerate(smoothness(plain_fitter, _QUIET).anchors) if anchor == wrist]
    assert {names[joint] for joint in hand} == {name for name in names if name[:-1] in {
        f"left_{finger}" for finger in ("index", "middle", "pinky", "ring", "thumb")
    }}  # fmt: skip
    jump = torch.tensor([0.0, 0.0, 0.3, 0.0, 0.0]).double()
    joints = still.joints.clone()
    joints[:, [wrist, *hand], 0] = jump[:, None]
    config = replace(_QUIET, joint_smoothness=1.0)
    together = float(smoothness(plain_fitter, config).loss(replace(still, joints=joints)))
    joints[:, hand] = 0.0
    alone = float(smoothness(plain_fitter, config).loss(replace(still, joints=joints)))
    assert alone == pytest.approx((1 + len(hand)) * together)  # the hand then moves against the wrist


def test_a_jump_costs_in_proportion_to_its_size(plain_fitter: Fitter) -> None:
    still, energies = motion(plain_fitter, 5), []
    for size in (1.0, 2.0):
        joints = still.joints.clone()
        joints[2, 5, 0] = size
        energies.append(float(smoothness(plain_fitter, replace(_QUIET, joint_smoothness=1.0)).loss(
            replace(still, joints=joints)
        )))  # fmt: skip
    assert energies[1] == pytest.approx(2.0 * energies[0], rel=0.05)
