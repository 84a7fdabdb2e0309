"""The objective: its gradient, its terms, and the independence of its rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from smplifyx.body.model import BodyModel
from smplifyx.config import Config, Stage
from smplifyx.errors import UsageError
from smplifyx.fitting.batch import FitTargets, Hypotheses, InitialPose
from smplifyx.fitting.initialization import facing_camera
from smplifyx.fitting.objective import Objective
from smplifyx.fitting.parameters import BodyParameters
from smplifyx.fitting.solver import Solver
from smplifyx.fitting.state import geman_mcclure
from smplifyx.fitting.terms import CAMERA_DEPTH, Term, default_terms
from smplifyx.priors import make_body_pose_prior
from tests.random_body import random_body_model

_DTYPE = torch.float64
_ALL = Stage(hand_keypoints=1.3, face_keypoints=1.7)


def _solver(stage: Stage = _ALL, posture: float = 75.0, terms: list[Term] | None = None) -> Solver:
    data = random_body_model()
    prior = make_body_pose_prior("gaussian", dtype=_DTYPE)
    parameters = BodyParameters(data, prior, 12, _DTYPE, "cpu")
    config = Config()
    config = replace(
        config,
        stages=(stage,),
        objective=replace(config.objective, trunk_tilt=posture, upright_stance=posture),
        lifting=replace(config.lifting, weight=posture),
    )
    depth = replace(CAMERA_DEPTH, weight=10.0)
    chosen = [*default_terms(), depth] if terms is None else terms
    return Solver(data, BodyModel.from_data(data, _DTYPE), parameters, config, chosen)


def _hypotheses(solver: Solver, n_rows: int = 3, **changes: torch.Tensor) -> Hypotheses:
    generator = torch.Generator().manual_seed(3)

    def random(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator, dtype=_DTYPE)

    angles = random(2, n_rows)
    targets = FitTargets(
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
    initial = InitialPose(facing_camera(angles[0], angles[1]), torch.tensor([[0.1, 0.2, 4.0]] * n_rows, dtype=_DTYPE))
    x = 0.1 * random(n_rows, solver.parameters.layout.n_parameters)
    targets = replace(targets, **changes)
    return Hypotheses.start(torch.arange(n_rows), targets, initial, x)


def _objective(solver: Solver, **changes: torch.Tensor) -> Objective:
    return solver.objective(solver.stage_terms(1), _hypotheses(solver, **changes))


def _x(solver: Solver, scale: float, seed: int) -> torch.Tensor:
    n_parameters = solver.parameters.layout.n_parameters
    return scale * torch.randn(3, n_parameters, dtype=_DTYPE, generator=torch.manual_seed(seed))


def _losses(solver: Solver, objective: Objective, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """The losses of the only stage's terms, for hypotheses that it left at x."""
    end = replace(_hypotheses(solver), x=x, contour_rows=objective.contour_rows)
    (losses,) = solver.losses([end], [1])
    return losses


def test_gradient_against_finite_differences():
    solver = _solver()
    objective = _objective(solver)
    x = _x(solver, 0.2, 0)
    _, gradient = objective(torch.arange(3))(x)
    step = 1e-6
    for column in range(x.shape[1]):
        shift = torch.zeros_like(x)
        shift[:, column] = step
        numeric = (objective.loss(x + shift) - objective.loss(x - shift)) / (2 * step)
        torch.testing.assert_close(gradient[:, column], numeric, rtol=2e-5, atol=1e-2)


def test_a_row_does_not_see_its_neighbours():
    solver = _solver()
    objective = _objective(solver)
    x = _x(solver, 0.1, 1)
    together = objective(torch.arange(3))(x)
    for row in range(3):
        alone = objective(torch.tensor([row]))(x[row : row + 1])
        torch.testing.assert_close(alone[0][0], together[0][row], rtol=1e-12, atol=0)
        torch.testing.assert_close(alone[1][0], together[1][row], rtol=1e-9, atol=1e-9)


def test_nothing_is_remembered_from_earlier_rows():
    """The rows of a call are its argument, even where the caller reuses the tensor that holds them."""
    solver = _solver()
    objective = _objective(solver)
    x = _x(solver, 0.1, 1)
    rows = torch.tensor([0])
    objective(rows)(x[:1])
    rows.fill_(2)
    torch.testing.assert_close(objective(rows)(x[2:])[0], objective.loss(x)[2:])


def test_the_terms_add_up_to_the_loss():
    solver = _solver()
    objective = _objective(solver)
    x = _x(solver, 0.2, 2)
    losses = _losses(solver, objective, x)
    assert set(losses) == {term.name for term in solver.terms} - {"neck_pose", "collision"}
    assert all((value > 0).all() for value in losses.values())
    torch.testing.assert_close(sum(losses.values()), objective.loss(x), rtol=1e-12, atol=0)


def test_priors_have_the_weights_of_the_paper():
    """With nothing seen, the loss is the sum of the priors; each is checked on its own."""
    stage = Stage(
        body_pose=2.0, shape=3.0, expression=5.0, hand_pose=7.0, jaw_pose=(1.0, 2.0, 3.0), eye_pose=11.0,
        hand_keypoints=1.0, face_keypoints=1.0,
    )  # fmt: skip
    solver = _solver(stage, posture=0.0)
    layout = solver.parameters.layout
    objective = _objective(solver, confidence=torch.zeros(3, 135, dtype=_DTYPE))
    zero = torch.zeros(3, layout.n_parameters, dtype=_DTYPE)
    base = objective.loss(zero)
    expected = {"betas": 9.0, "expression": 25.0, "left_hand": 49.0, "right_hand": 49.0, "leye_pose": 121.0}
    for group, weight in expected.items():
        x = zero.clone()
        x[:, layout.slices[group].start] = 0.5
        torch.testing.assert_close(objective.loss(x) - base, torch.full((3,), 0.25 * weight, dtype=_DTYPE))
    x = zero.clone()
    x[:, layout.slices["jaw_pose"]] = 0.5
    torch.testing.assert_close(objective.loss(x) - base, torch.full((3,), 0.25 * (1 + 4 + 9), dtype=_DTYPE))


def test_a_stage_moves_what_its_keypoints_constrain():
    for stage, frozen in (
        (Stage(), {"left_hand", "right_hand", "expression", "jaw_pose", "leye_pose", "reye_pose"}),
        (Stage(hand_keypoints=1.0), {"expression", "jaw_pose", "leye_pose", "reye_pose"}),
        (_ALL, set()),
    ):
        solver = _solver(stage)
        terms = solver.stage_terms(1)
        assert set(solver.parameters.layout.sizes) - set(terms.groups) == frozen
        names = {term.name for term, _ in terms.terms}
        assert ("hand_pose" in names) == ("left_hand" not in frozen)
        assert ("jaw_pose" in names) == ("jaw_pose" not in frozen)


def test_an_own_term_enters_loss_gradient_and_breakdown():
    far = Term("far", 2.0, lambda state: state.joint("pelvis")[:, 2].square())
    plain, solver = _solver(), _solver(terms=[*_solver().terms, far])
    objective, without = _objective(solver), _objective(plain)
    x = _x(solver, 0.1, 4)
    value = _losses(solver, objective, x)["far"]
    torch.testing.assert_close(objective.loss(x) - without.loss(x), value)
    depth = solver.pose(x, _hypotheses(solver).initial).joints[:, 0, 2]
    torch.testing.assert_close(value, 4.0 * depth.square())
    rows = torch.arange(3)
    change = objective(rows)(x)[1] - without(rows)(x)[1]
    assert (change.abs().sum(1) > 0).all()


@pytest.mark.parametrize(
    ("term", "problem"),
    [
        (Term("body_pose", 1.0, lambda state: state.joints[:, 0, 0]), "twice"),
        (Term("own", [1.0, 2.0], lambda state: state.joints[:, 0, 0]), "2 weights"),
        (Term("own", None, lambda state: state.joints[:, 0, 0]), "no weight"),
    ],
)
def test_unusable_terms_are_refused(term, problem):
    with pytest.raises(UsageError, match=problem):
        _solver(terms=[*default_terms(), term])


@pytest.mark.parametrize(
    ("energy", "problem"),
    [
        (lambda state: state.joint("left_ankel")[:, 1], "did you mean left_ankle"),
        (lambda state: state.keypoint("nos")[:, 1], "did you mean nose"),
        (lambda state: state.joints.square().sum(), "term own: expected an energy of one number per body"),
    ],
)
def test_wrong_energies_of_own_terms_are_named(energy, problem):
    solver = _solver(terms=[*default_terms(), Term("own", 1.0, energy)])
    with pytest.raises(UsageError, match=problem):
        _losses(solver, _objective(solver), _x(solver, 0.1, 4))


def test_hypotheses_share_no_tensors():
    hypotheses = _hypotheses(_solver())
    hypotheses.status.fill_(3)
    assert not hypotheses.n_evaluations.any()


def test_geman_mcclure_is_quadratic_near_zero_and_bounded_far_off():
    squared = torch.tensor([1e-4, 1e8], dtype=_DTYPE)
    near, far = geman_mcclure(squared, 100.0).tolist()
    assert near == pytest.approx(1e-4, rel=1e-6)
    assert far == pytest.approx(1e4, rel=1e-3)
    assert np.isfinite(geman_mcclure(torch.tensor(1e30, dtype=torch.float32), 100.0).item())
