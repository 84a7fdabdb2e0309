"""The objective: its gradient, its parts, and the independence of its rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from smplifyx.body.model import BodyModel
from smplifyx.config import Config, Stage
from smplifyx.fitting.evidence import FitTargets
from smplifyx.fitting.initialization import facing_camera
from smplifyx.fitting.objective import (
    PriorFactors,
    ReprojectionTerm,
    StageObjective,
    StagePeople,
    StageTerms,
    geman_mcclure,
)
from smplifyx.fitting.parameters import BodyParameters, InitialPose
from smplifyx.fitting.problem import FittingSchedule
from smplifyx.priors import make_body_pose_prior
from tests.random_body import random_body_model

_DTYPE = torch.float64


def _problem() -> FittingSchedule:
    data = random_body_model()
    prior = make_body_pose_prior("gaussian", dtype=_DTYPE)
    parameters = BodyParameters(data, prior, 12, _DTYPE, "cpu")
    return FittingSchedule(data, parameters, BodyModel.from_data(data, _DTYPE), Config(), torch.device("cpu"))


def _objective(
    problem: FittingSchedule,
    n_rows: int = 3,
    stage: Stage | None = None,
    posture: float = 75.0,
    collision=None,
    **evidence_changes,
) -> StageObjective:
    generator = torch.Generator().manual_seed(3)

    def random(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator, dtype=_DTYPE)

    angles = random(2, n_rows)
    evidence = FitTargets(
        keypoints=1000 * random(n_rows, 135, 2),
        confidence=random(n_rows, 135),
        focal_length=1000 + random(n_rows, 2),
        principal_point=500 + random(n_rows, 2),
        pixel_scale=0.5 + random(n_rows),
        upright_stance=torch.ones(n_rows, dtype=_DTYPE),
        swapped_sides=torch.zeros(n_rows, 2, dtype=torch.bool),
        lifted=random(n_rows, 21, 3),
        sqrt_precision=random(n_rows, 21, 3, 3),
    )
    for name, value in evidence_changes.items():
        getattr(evidence, name).copy_(value)
    layout = problem.parameters.layout
    terms = StageTerms(
        problem.full_view,
        ReprojectionTerm(1.0 + random(135), 100.0),
        stage or Stage(),
        PriorFactors(trunk_tilt=posture, upright_stance=posture, lifting=posture),
        depth_weight=10.0,
        collision=collision,
    )
    people = StagePeople(
        evidence,
        InitialPose(facing_camera(angles[0], angles[1]), torch.tensor([[0.1, 0.2, 4.0]] * n_rows, dtype=_DTYPE)),
        0.1 * random(n_rows, layout.n_parameters),
        torch.arange(layout.n_parameters),
    )
    return StageObjective(problem.parameters, terms, people)


def test_gradient_against_finite_differences():
    problem = _problem()
    objective = _objective(problem)
    x = 0.2 * torch.randn(3, problem.parameters.layout.n_parameters, dtype=_DTYPE, generator=torch.manual_seed(0))
    rows = torch.arange(3)
    _, gradient = objective(x, rows)
    step = 1e-6
    for column in range(x.shape[1]):
        shift = torch.zeros_like(x)
        shift[:, column] = step
        numeric = (objective.loss(x + shift, rows) - objective.loss(x - shift, rows)) / (2 * step)
        torch.testing.assert_close(gradient[:, column], numeric, rtol=2e-5, atol=1e-2)


def test_a_row_does_not_see_its_neighbours():
    problem = _problem()
    objective = _objective(problem)
    x = 0.1 * torch.randn(3, problem.parameters.layout.n_parameters, dtype=_DTYPE, generator=torch.manual_seed(1))
    together = objective(x, torch.arange(3))
    for row in range(3):
        alone = objective(x[row : row + 1], torch.tensor([row]))
        torch.testing.assert_close(alone[0][0], together[0][row], rtol=1e-12, atol=0)
        torch.testing.assert_close(alone[1][0], together[1][row], rtol=1e-9, atol=1e-9)


def test_priors_have_the_weights_of_the_paper():
    """With nothing seen, the loss is the sum of the priors; each is checked on its own."""
    problem = _problem()
    layout = problem.parameters.layout
    stage = Stage(body_pose=2.0, shape=3.0, expression=5.0, hand_pose=7.0, jaw_pose=(1.0, 2.0, 3.0), eye_pose=11.0)
    objective = _objective(problem, stage=stage, posture=0.0, confidence=torch.zeros(3, 135, dtype=_DTYPE))
    zero = torch.zeros(3, layout.n_parameters, dtype=_DTYPE)
    base = objective.loss(zero, torch.arange(3))
    expected = {"betas": 9.0, "expression": 25.0, "left_hand": 49.0, "right_hand": 49.0, "leye_pose": 121.0}
    for group, weight in expected.items():
        x = zero.clone()
        x[:, layout.slices[group].start] = 0.5
        change = objective.loss(x, torch.arange(3)) - base
        torch.testing.assert_close(change, torch.full((3,), 0.25 * weight, dtype=_DTYPE))
    x = zero.clone()
    x[:, layout.slices["jaw_pose"]] = 0.5
    change = objective.loss(x, torch.arange(3)) - base
    torch.testing.assert_close(change, torch.full((3,), 0.25 * (1 + 4 + 9), dtype=_DTYPE))


def test_geman_mcclure_is_quadratic_near_zero_and_bounded_far_off():
    squared = torch.tensor([1e-4, 1e8], dtype=_DTYPE)
    near, far = geman_mcclure(squared, 100.0).tolist()
    assert near == pytest.approx(1e-4, rel=1e-6)
    assert far == pytest.approx(1e4, rel=1e-3)
    assert np.isfinite(geman_mcclure(torch.tensor(1e30, dtype=torch.float32), 100.0).item())
