"""The joint objective of a track: its gradient, its native form, and its Gauss-Newton matrix."""

from __future__ import annotations

import pytest
import torch

from smplifyx.config import SequenceConfig
from smplifyx.fitting.fitter import Fitter
from smplifyx.sequence.evidence import Evidence, observed_with_cameras
from smplifyx.sequence.known import Known
from smplifyx.sequence.problem import JointObjective
from smplifyx.sequence.smoothness import Smoothness
from smplifyx.sequence.world import WorldPoses, with_shape
from tests.sequence.moving_people import moving_person
from tests.sequence.test_world import random_poses


def joint_objective(fitter: Fitter, n_frames: int, n_views: int, known: Known | None = None) -> JointObjective:
    solver, track = fitter.solver, moving_person(n_frames, n_views).track
    observed, cameras = observed_with_cameras(track, fitter.config.camera, fitter.config.people)
    targets = fitter.initial_hypotheses([one for _, _, one in observed]).targets
    evidence = Evidence.of(track, observed, targets, cameras)
    poses = random_poses(fitter, n_frames)
    upright = torch.eye(3, dtype=torch.float64).expand(n_frames, 3, 3)
    pelvis = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64) + 0.1 * poses.pelvis
    poses = WorldPoses(upright, pelvis, 0.3 * poses.x)
    poses = with_shape(poses, poses.x[0, solver.parameters.layout.slices["betas"]], solver.parameters.layout)
    smoothness = Smoothness(
        solver.full_view.model.tree.parents, solver.parameters.layout, SequenceConfig(), track.fps
    )
    return JointObjective(solver, evidence.data, poses, smoothness, known=known)


def random_direction(objective: JointObjective, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    scales = objective.natural_scales()
    return torch.randn(len(scales), generator=generator, dtype=torch.float64) * scales


@pytest.mark.parametrize(("n_views", "with_knowledge"), [(1, False), (2, False), (2, True)])
def test_gradient_is_that_of_finite_differences(exact_fitter: Fitter, n_views: int, with_knowledge: bool) -> None:
    # All feet are below a floor at the height of the pelvis.
    known = Known.of(exact_fitter.data, 1.5, (0.0, 1.0, 0.0, -1.0)) if with_knowledge else None
    objective = joint_objective(exact_fitter, 3, n_views, known)
    z, step = objective.start, 1e-5
    _, gradient = objective.evaluate(z)
    for seed in range(3):
        direction = random_direction(objective, seed)
        higher, lower = (float(objective.evaluate(z + sign * step * direction)[0]) for sign in (1, -1))
        assert float(gradient @ direction) == pytest.approx((higher - lower) / (2 * step), rel=1e-6)


def test_native_and_torch_objectives_agree(plain_fitter: Fitter, exact_fitter: Fitter) -> None:
    native, exact = (joint_objective(fitter, 4, 2) for fitter in (plain_fitter, exact_fitter))
    assert native.has_gauss_newton and exact.has_gauss_newton
    z = exact.start + 0.01 * random_direction(exact, 5)
    (loss, gradient), (expected, true_gradient) = native.evaluate(z), exact.evaluate(z)
    assert float(loss) == pytest.approx(float(expected), rel=1e-4)
    scaled = objective_scaled(exact, gradient), objective_scaled(exact, true_gradient)
    assert float((scaled[0] - scaled[1]).norm() / scaled[1].norm()) < 1e-3


def objective_scaled(objective: JointObjective, gradient: torch.Tensor) -> torch.Tensor:
    return gradient * objective.natural_scales()


def test_gauss_newton_matrix_is_the_curvature_near_a_minimum(plain_fitter: Fitter) -> None:
    objective = joint_objective(plain_fitter, 6, 2)
    z, first = objective.start, torch.zeros(1, dtype=torch.int64)
    for _ in range(5):
        _, gradient = objective.evaluate(z)
        (inverse,) = objective.preconditioner(z[None], first)
        step = inverse(gradient)
        losses = {share: float(objective.evaluate(z - share * step)[0]) for share in (0.0, 0.25, 0.5, 1.0)}
        z = z - min(losses, key=lambda share: losses[share]) * step
    (inverse,) = objective.preconditioner(z[None], first)
    scales = objective.natural_scales()
    for seed in range(3):
        force = random_direction(objective, seed) / scales.square()
        along = inverse(force)
        step = 0.02 * along / (along / scales).abs().max()
        change = objective.evaluate(z + step)[1] - objective.evaluate(z - step)[1]
        assert float(change @ step) == pytest.approx(
            2.0 * float(force @ step) * float(step.norm() / along.norm()), rel=0.1
        )
