"""Second attempts at stretches whose poses are wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from smplifyx.fitting.fitter import Fitter
from smplifyx.sequence.evidence import observed_with_cameras
from smplifyx.sequence.fitter import _TrackRun
from smplifyx.sequence.known import Known
from smplifyx.sequence.problem import JointObjective
from smplifyx.sequence.restarts import Restarts, bad_stretches
from smplifyx.sequence.solve import solve
from smplifyx.sequence.world import world_joints
from tests.sequence.moving_people import moving_person

_FRAMES = 24


def test_stretches_of_large_loss_are_found_and_single_frames_are_not() -> None:
    loss, used = np.full(60, 100.0), np.ones(60, bool)
    loss[[5, 30, 31, 32, 33, 38, 39]] = 300.0
    assert bad_stretches(loss, used) == [range(30, 40)]
    used[31:40] = False
    assert bad_stretches(loss, used) == []
    assert bad_stretches(loss[:2], used[:2]) == []


def test_wrong_poses_of_a_stretch_are_left(plain_fitter: Fitter) -> None:
    track, solver = moving_person(_FRAMES, 1).track, plain_fitter.solver
    observed, cameras = observed_with_cameras(track, plain_fitter.config.camera, plain_fitter.config.people)
    run = _TrackRun(plain_fitter, track, observed, cameras, Known())
    right, wrong = run.poses, torch.arange(8, 14)
    x, columns = right.x.clone(), solver.parameters.layout.slices["body_pose"]
    x[wrong, columns] = -2.0 * x[wrong, columns]
    start = replace(right, x=x)
    objective = JointObjective(solver, run._data(), start, run._smoothness, fixed_shape=True)
    restarts = Restarts(solver, run._smoothness, Known(), track.fps, run._data_of)
    better = restarts(solve(solver, objective, max_iterations=1), np.ones(_FRAMES, bool))
    assert better is not None
    before, after = (
        float((world_joints(solver, one) - world_joints(solver, right))[wrong].norm(dim=2).mean())
        for one in (start, better)
    )
    assert after < 0.5 * before
