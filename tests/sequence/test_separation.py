"""Self-collisions of tracks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from smplifyx.collision.penetration import Penetration
from smplifyx.config import SequenceConfig
from smplifyx.fitting.batch import InitialPose
from smplifyx.fitting.fitter import Fitter
from smplifyx.sequence.evidence import Evidence, observed_with_cameras
from smplifyx.sequence.known import Known
from smplifyx.sequence.problem import FrameCollisions, JointObjective
from smplifyx.sequence.separation import Separation, stretches
from smplifyx.sequence.smoothness import Smoothness
from smplifyx.sequence.solve import solve
from smplifyx.sequence.world import WorldPoses, world_joints
from smplifyx.skeleton import BODY_JOINTS, joint_index
from tests.sequence.moving_people import moving_person

_FRAMES = 5


@pytest.fixture(scope="module")
def colliding() -> tuple[Fitter, Evidence, WorldPoses, Smoothness]:
    """A person whose left hand is inside the thigh in all frames."""
    off = {"stages.all.hand_keypoints": 0, "stages.all.face_keypoints": 0}
    fitter = Fitter("smplx", overrides=off)
    solver, track = fitter.solver, moving_person(_FRAMES, 1).track
    layout = solver.parameters.layout
    observed, cameras = observed_with_cameras(track, fitter.config.camera, fitter.config.people)
    targets = fitter.initial_hypotheses([one for _, _, one in observed]).targets
    pose = torch.zeros(1, 21, 3)
    pose[:, joint_index("left_shoulder") - 1] = torch.tensor([0.0, 0.0, -1.5])
    x = torch.zeros(_FRAMES, layout.n_parameters, dtype=torch.float64)
    x[:, layout.slices["body_pose"]] = solver.parameters.prior.encode(pose.flatten(1)).double()
    upright = torch.eye(3, dtype=torch.float64).expand(_FRAMES, 3, 3)
    poses = WorldPoses(upright, torch.tensor([[0.0, 1.0, 0.0]] * _FRAMES).double(), x)
    smoothness = Smoothness(solver.full_view.model.tree.parents, layout, SequenceConfig(), track.fps)
    return fitter, Evidence.of(track, observed, targets, cameras), poses, smoothness


def test_stretches_cover_what_collides() -> None:
    assert stretches(np.array([3, 5]), 100, 150) == [range(0, 14)]
    assert stretches(np.array([20, 60]), 100, 150) == [range(12, 29), range(52, 69)]
    long = stretches(np.arange(300), 300, 100)
    assert set().union(*long) == set(range(300)) and max(map(len, long)) <= 116


def test_gradient_of_collisions(colliding: tuple[Fitter, Evidence, WorldPoses, Smoothness]) -> None:
    fitter, evidence, poses, smoothness = colliding
    solver = fitter.solver
    assert solver.self_collision is not None
    plain = JointObjective(solver, evidence.data, poses, smoothness)
    contacts, touching = solver.contacts(plain.hypotheses)
    assert touching.all()
    frames = torch.tensor([1, 3])
    marked = torch.zeros(_FRAMES, dtype=torch.bool)
    marked[frames] = True
    term = solver.self_collision.contact_term(contacts.of(marked), 1.0)
    collisions = FrameCollisions(frames, term, 100.0)
    objective = JointObjective(solver, evidence.data, poses, smoothness, collisions=collisions)
    z = objective.start

    def collision_loss(at: torch.Tensor) -> float:
        return float(objective.evaluate(at)[0] - plain.evaluate(at)[0])

    assert collision_loss(z) > 0.0
    gradient = objective.evaluate(z)[1] - plain.evaluate(z)[1]
    step = 1e-2 * gradient / gradient.norm()
    change = collision_loss(z + step) - collision_loss(z - step)
    assert change == pytest.approx(2.0 * float(gradient @ step), rel=0.1)


@pytest.mark.slow
def test_bodies_come_apart_and_frozen_frames_stay(
    colliding: tuple[Fitter, Evidence, WorldPoses, Smoothness],
) -> None:
    fitter, evidence, poses, smoothness = colliding
    solver = fitter.solver
    unobserved = evidence.weighted(np.zeros((_FRAMES, 1)), torch.zeros(_FRAMES, 21, 3))
    frozen = torch.tensor([True, False, False, False, True])
    held = JointObjective(solver, unobserved, poses, smoothness, fixed_shape=True, frozen=frozen)
    moved = solve(solver, held, max_iterations=3)
    torch.testing.assert_close(moved.poses.x[frozen], poses.x[frozen])
    assert not torch.allclose(moved.poses.x[2], poses.x[2])

    # The joints of this pose hold the bodies near it.
    data = evidence.weighted(np.zeros((_FRAMES, 1)), _relative(world_joints(solver, poses)))
    loose = data.targets.sqrt_precision / 6.0
    data = replace(data, targets=replace(data.targets, sqrt_precision=loose))
    before = solve(solver, JointObjective(solver, data, poses, smoothness, fixed_shape=True), max_iterations=3)
    depth = [one.depth for one in _penetration(fitter, before.poses)]
    after = Separation(solver, data, smoothness, Known())(before)
    assert max(one.depth for one in _penetration(fitter, after.poses)) < 0.5 * max(depth)


def _relative(joints: torch.Tensor) -> torch.Tensor:
    """Joints of the body from the pelvis in the axes of the only view."""
    view = torch.diag(torch.tensor([1.0, -1.0, -1.0]).double())
    return (joints[:, BODY_JOINTS] - joints[:, :1]) @ view


def _penetration(fitter: Fitter, poses: WorldPoses) -> list[Penetration]:
    solver = fitter.solver
    assert solver.self_collision is not None
    initial = InitialPose(poses.orientation, poses.pelvis).to(solver.dtype)
    posed = solver.pose(poses.x.to(solver.dtype), initial).inputs
    return solver.self_collision.measure(posed.betas, posed.expression, posed.rotations)
