"""The native objective: equal to the torch one, row by row the same bits, and a Gauss-Newton matrix that fits."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch

from smplifyx.body.data import BodyModelData
from smplifyx.body.files import load_body_model_data
from smplifyx.body.model import BodyModel
from smplifyx.body.search import find_body_model
from smplifyx.camera import project
from smplifyx.collision.skinning import BoneStates
from smplifyx.config import Config, Stage, load_config
from smplifyx.fitting import native_objective
from smplifyx.fitting.batch import FitTargets, Hypotheses, InitialPose
from smplifyx.fitting.initialization import facing_camera
from smplifyx.fitting.objective import Objective
from smplifyx.fitting.parameters import BodyParameters
from smplifyx.fitting.solver import _LOSS_NOISE, Solver
from smplifyx.fitting.terms import CAMERA_DEPTH, Term, default_terms
from smplifyx.priors import make_body_pose_prior, vposer
from tests.bone_derivatives import bone_derivatives
from tests.random_body import random_body_model

_N = 19
_ALL = Stage(hand_keypoints=1.3, face_keypoints=1.7)


def _solver(
    data: BodyModelData,
    prior: str = "vposer",
    residual: float = 2.0,
    rounding: float = 0.15,
    config: Config | None = None,
    dtype: torch.dtype = torch.float32,
) -> Solver:
    has_body = data.model_type not in ("mano", "flame")
    pose_prior = None
    if has_body:
        pose_prior = make_body_pose_prior(prior, residual=residual, rounding=rounding, dtype=dtype)
    parameters = BodyParameters(data, pose_prior, 12, dtype, "cpu")
    if config is None:
        config = replace(Config(), stages=(_ALL,))
    depth = replace(CAMERA_DEPTH, weight=10.0)
    return Solver(data, BodyModel.from_data(data, dtype), parameters, config, [*default_terms(), depth])


def _hypotheses(solver: Solver) -> Hypotheses:
    generator = torch.Generator().manual_seed(3)

    def random(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator)

    angles = random(2, _N)
    targets = FitTargets(
        keypoints=1000 * random(_N, 135, 2),
        confidence=random(_N, 135).round(decimals=1),
        focal_length=1000 + random(_N, 2),
        principal_point=500 + random(_N, 2),
        pixel_scale=0.5 + random(_N),
        upright_stance=random(_N).round(),
        swapped_sides=torch.zeros(_N, 2, dtype=torch.bool),
        lifted=random(_N, 21, 3),
        sqrt_precision=random(_N, 21, 3, 3),
    )
    initial = InitialPose(facing_camera(angles[0], angles[1]), torch.tensor([0.1, 0.2, 4.0]) + random(_N, 3))
    x = random(_N, solver.parameters.layout.n_parameters) - 0.5
    return Hypotheses.start(torch.arange(_N), targets, initial, x)


def _objective(solver: Solver) -> tuple[Objective, torch.Tensor]:
    hypotheses = _hypotheses(solver)
    objective = solver.objective(solver.stage_terms(1), hypotheses)
    return objective, hypotheses.x[:, objective.free] * 0.8


def _kinds() -> dict[str, tuple[BodyModelData, dict[str, object]]]:
    random = random_body_model()
    return {
        "vposer with residual": (random, {}),
        "vposer": (random, {"residual": 0.0}),
        "vposer with kinks": (random, {"rounding": 0.0}),
        "gaussian": (random_body_model(low_rank=True), {"prior": "gaussian"}),
        "mixture": (random, {"prior": "gmm"}),
        "no prior": (random, {"prior": "none"}),
    }


@pytest.mark.parametrize("kind", list(_kinds()))
def test_losses_and_gradients_are_those_of_torch(kind):
    data, options = _kinds()[kind]
    _compare(_solver(data, **options))


def test_degenerate_frames_of_the_decoder_have_an_energy(monkeypatch):
    """With a limit that frames of random codes are below."""
    for module in (native_objective, vposer):
        monkeypatch.setattr(module, "FRAME_LIMIT", 20.0)
    solver = _solver(random_body_model())
    objective, x = _objective(solver)
    place = torch.searchsorted(objective.free, solver.parameters.layout.slices["body_pose"].start)
    prior, rows = solver.parameters.prior, torch.arange(_N)
    codes = x[:, place : place + prior.n_parameters]
    assert (prior.energy(codes) > codes.square().sum(1) + 1.0).sum() > 10
    loss, gradient = objective(rows)(x)
    variable = x.clone().requires_grad_()
    expected = objective.loss(variable)
    (expected_gradient,) = torch.autograd.grad(expected.sum(), variable)
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-4, atol=1e-3)
    scale = expected_gradient.abs().amax(1, keepdim=True)
    torch.testing.assert_close(gradient / scale, expected_gradient / scale, rtol=0, atol=1e-3)


@pytest.mark.parametrize("model", ["smplx", "smplh", "smpl", "mano", "flame"])
def test_all_models_of_the_family(model):
    data = load_body_model_data(find_body_model(model, "neutral", side="right" if model == "mano" else None))
    config = load_config(f"fit_{model}")
    config = replace(config, stages=config.stages[-1:], collision=replace(config.collision, enabled=False))
    _compare(_solver(data, config=config))


def _compare(solver: Solver) -> None:
    objective, x = _objective(solver)
    rows = torch.arange(_N)
    loss, gradient = objective(rows)(x)
    variable = x.clone().requires_grad_()
    expected = objective.loss(variable)
    (expected_gradient,) = torch.autograd.grad(expected.sum(), variable)
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-4, atol=1e-3)
    scale = expected_gradient.abs().amax(1, keepdim=True)
    torch.testing.assert_close(gradient / scale, expected_gradient / scale, rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", ["vposer with residual", "mixture"])
def test_rows_have_the_same_bits_in_any_batch(kind):
    data, options = _kinds()[kind]
    objective, x = _objective(_solver(data, **options))
    loss, gradient = objective(torch.arange(_N))(x)
    matrices = objective.hessian_factors(x, torch.arange(_N), 0.1)
    generator = torch.Generator().manual_seed(1)
    for size in (1, 2, 7, 8, 9, 16, 18):
        rows = torch.randperm(_N, generator=generator)[:size]
        some_loss, some_gradient = objective(rows)(x[rows])
        assert torch.equal(some_loss, loss[rows])
        assert torch.equal(some_gradient, gradient[rows])
        assert torch.equal(objective.hessian_factors(x[rows], rows, 0.1), matrices[rows])


@pytest.mark.parametrize("kind", ["vposer with residual", "mixture"])
def test_double_precision_has_the_matrices_of_single_precision(kind):
    data, options = _kinds()[kind]
    single, x = _objective(_solver(data, **options))
    solver = _solver(data, dtype=torch.float64, **options)
    start = _hypotheses(solver)
    start = _in_double_precision(start)
    double = solver.objective(solver.stage_terms(1), start)
    rows = torch.arange(_N)
    assert double(rows)(x.double())[1].dtype == torch.float64
    for found, expected in (
        (double.gauss_newton(x.double(), rows)[0], single.gauss_newton(x, rows)[0]),
        (double.hessian_factors(x.double(), rows, 0.1), single.hessian_factors(x, rows, 0.1)),
    ):
        largest = expected.abs().amax((1, 2), keepdim=True)
        torch.testing.assert_close(found / largest, (expected / largest).to(found), rtol=0, atol=1e-3)


def _in_double_precision(start: Hypotheses) -> Hypotheses:
    targets = replace(start.targets, **_doubled(start.targets))
    return Hypotheses.start(start.person, targets, start.initial.to(torch.float64), start.x.double())


def _doubled(targets: FitTargets) -> dict[str, torch.Tensor]:
    values = {field.name: getattr(targets, field.name) for field in fields(targets)}
    return {
        name: value.double() for name, value in values.items() if torch.is_tensor(value) and value.is_floating_point()
    }


def test_the_mixture_adds_its_curvature_to_the_matrices():
    data = random_body_model()
    with_prior, x = _objective(_solver(data, prior="gmm"))
    without = _solver(data, prior="gmm", config=replace(Config(), stages=(replace(_ALL, body_pose=0.0),)))
    plain, rows = _objective(without)[0], torch.arange(_N)
    added = with_prior.gauss_newton(x, rows)[0] - plain.gauss_newton(x, rows)[0]
    first, prior = without.parameters.layout.slices["body_pose"].start, without.parameters.prior
    place = torch.searchsorted(plain.free, torch.arange(first, first + prior.n_parameters))
    expected = torch.zeros_like(added)
    expected[:, place[:, None], place] = _ALL.body_pose**2 * prior.curvature(x[:, place])
    torch.testing.assert_close(added, expected, rtol=1e-3, atol=1e-5 * float(plain.gauss_newton(x, rows)[0].max()))


@pytest.mark.parametrize(
    ("prior", "stage", "expected"),
    [
        ("vposer", {}, True),
        ("gmm", {}, True),
        ("l2", {}, True),
        ("none", {}, False),
        ("vposer", {"body_pose": 0.0}, False),
        ("gmm", {"body_pose": 0.0}, False),
        ("vposer", {"expression": 0.0}, False),
    ],
)
def test_matrices_need_a_prior_of_all_that_keypoints_may_not_show(prior, stage, expected):
    config = replace(Config(), stages=(replace(_ALL, **stage),))
    assert _objective(_solver(random_body_model(), prior=prior, config=config))[0].has_gauss_newton is expected


def test_gauss_newton_is_the_hessian_where_residuals_vanish():
    """Without pose blend shapes, whose derivatives it leaves out, and robust errors."""
    data = random_body_model()
    data = replace(data, posedirs=0.0 * data.posedirs)
    config = replace(Config(), stages=(replace(_ALL, joint_limits=0.0),))
    config = replace(config, objective=replace(config.objective, trunk_tilt=0.0, upright_stance=0.0))
    solver = _solver(data, config=config)
    hypotheses = _hypotheses(solver)
    stage = solver.stage_terms(1)
    state = stage.view.pose(hypotheses.x, hypotheses.initial)
    points, targets = state.keypoints, hypotheses.targets
    exact = points[..., :2] / points[..., 2:] * targets.focal_length[:, None] + targets.principal_point[:, None]
    pelvis = state.joints[:, :1]
    targets = replace(targets, keypoints=exact, lifted=state.joints[:, 1:22] - pelvis)
    objective = solver.objective(stage, replace(hypotheses, targets=targets))
    x = hypotheses.x[:, objective.free]
    factors = objective.hessian_factors(x, torch.arange(_N), 0.0).double()
    hessian = factors.mT @ factors
    generator = torch.Generator().manual_seed(2)
    natural = solver.parameters.layout.natural_scales()[objective.free].clamp(max=1.0)
    for _ in range(4):
        step = 1e-3 * natural * torch.randn(x.shape, generator=generator)
        evaluate = objective(torch.arange(_N))
        change = evaluate(x + step)[1] - evaluate(x - step)[1]
        measured = 0.5 * (change * step).sum(1)
        predicted = torch.einsum("af,afg,ag->a", step.double(), hessian, step.double()).float()
        torch.testing.assert_close(predicted, measured, rtol=0.05, atol=0)


def test_a_term_that_is_not_native_is_added():
    solver = _solver(random_body_model())

    def height(state):
        return state.joint("head")[:, 1].square()

    terms = [*default_terms(), Term("height", 30.0, height)]
    solver = Solver(solver.data, solver.model, solver.parameters, solver.config, terms)
    _compare(solver)


def test_without_warp_torch_computes_the_objective(monkeypatch):
    monkeypatch.setattr(native_objective, "has_warp", lambda: False)
    data, options = next(iter(_kinds().values()))
    assert _solver(data, **options).first_view.native is None


class Heights:
    """Heights of some joints in the place of collisions, and their gradients as the directions of curvature."""

    def __init__(self, *joints: int) -> None:
        self._joints = joints

    def evaluation(self, rows, weight):
        return lambda state: (
            weight * state.positions[:, self._joints, 1].sum(1), self._gradient(state, self._joints).times(weight)
        )  # fmt: skip

    def directions(self, state, rows, weight):
        gradients = [self._gradient(state, [joint]).times(weight**0.5) for joint in self._joints]
        return torch.stack([bone_derivatives(state, gradient, 20) for gradient in gradients], 1)

    def _gradient(self, state, joints):
        gradient = state.zeros(len(state.positions))
        gradient.positions[:, joints, 1] = 1.0
        return gradient


def test_matrices_have_the_curvature_of_collisions_along_their_directions():
    config = replace(Config(), stages=(replace(_ALL, collision=10.0),))
    solver = _solver(random_body_model(), config=config)
    plain, x = _objective(solver)
    hypotheses, rows, stage = _hypotheses(solver), torch.arange(_N), solver.stage_terms(1)
    factors = plain.hessian_factors(x, rows, 0.1).double()
    hessian = factors.mT @ factors
    own, columns = plain(rows)(x)[1], []
    for joint in (15, 20):
        gradient = solver.objective(stage, hypotheses, Heights(joint))(rows)(x)[1] - own
        columns.append(gradient.double() / 10.0)  # the gradient has the squared weight, the direction the weight
    found = solver.objective(stage, hypotheses, Heights(15, 20)).hessian_factors(x, rows, 0.1).double()
    expected = hessian + sum(column[:, :, None] * column[:, None, :] for column in columns)
    for column in columns:
        product = torch.cholesky_solve(expected @ column[..., None], found, upper=True)[..., 0]
        scale = column.abs().amax(1, keepdim=True)
        torch.testing.assert_close(product / scale, column / scale, rtol=0, atol=0.02)

    # A term that torch computes is no collision.
    own = Term("own", 5.0, lambda state: state.joint("head")[:, 1].square())
    solver = Solver(solver.data, solver.model, solver.parameters, solver.config, [*default_terms(), own])
    with_own = solver.objective(solver.stage_terms(1), hypotheses, Heights(15))
    solver = Solver(solver.data, solver.model, solver.parameters, solver.config, default_terms())
    alone = solver.objective(solver.stage_terms(1), hypotheses, Heights(15))
    assert torch.equal(with_own.hessian_factors(x, rows, 0.1), alone.hessian_factors(x, rows, 0.1))


def test_more_residuals_of_bones_are_rows_of_the_matrix():
    """The matrix rises by the product of the gradients by autograd; twice the residual, four times the product."""
    solver = _solver(random_body_model(), config=replace(Config(), stages=(_ALL,)))
    objective, x = _objective(solver)
    rows, native = torch.arange(_N), objective._native
    free, data = x.clone().requires_grad_(), _hypotheses(solver)
    state = solver.stage_terms(1).view.pose(data.x.index_copy(1, objective.free, free), data.initial).bones
    generator = torch.Generator().manual_seed(3)
    to_bones = BoneStates(*(3e3 * torch.randn(part.shape, generator=generator) for part in state.parts))
    to_bones.coefficients[:, native.n_shape :] = 0.0  # pose correctives are left out

    def more(bones):
        extra = bone_derivatives(bones, to_bones, native.n_shape)
        return torch.stack([extra, 2.0 * extra], 1)

    found = native.gauss_newton(x, rows, more)[0] - native.gauss_newton(x, rows)[0]
    (gradient,) = torch.autograd.grad(
        sum((one * other).sum() for one, other in zip(state.parts, to_bones.parts, strict=True)), free
    )
    expected = 5.0 * gradient[:, :, None] * gradient[:, None, :]
    for row in rows:
        torch.testing.assert_close(found[row], expected[row], rtol=1e-3, atol=2e-3 * float(expected[row].abs().max()))


def test_digits_of_a_far_body_are_kept():
    """At 60 m single precision has steps of 4 micrometres: native losses do not show them."""
    data, config = random_body_model(), replace(Config(), stages=(_ALL,))
    exact, single = (_solver(data, config=config, dtype=dtype) for dtype in (torch.float64, torch.float32))
    near = _hypotheses(single)
    place = torch.tensor([4.0, 2.0, 60.0]) + near.initial.translation
    seen = replace(near.targets, focal_length=2000.0 + torch.zeros(_N, 2), pixel_scale=torch.full((_N,), 17.0))
    far = replace(near, initial=replace(near.initial, translation=place), targets=seen, x=0.1 * near.x)
    with torch.no_grad():
        points = single.full_view.pose(far.x, far.initial).keypoints
    pixels = torch.zeros(_N, 135, 2)
    pixels[:, single.full_view.keypoints] = project(points, seen.focal_length, seen.principal_point) + 2.0
    far = replace(far, targets=replace(seen, keypoints=pixels))
    objective = single.objective(single.stage_terms(1), far)
    x = far.x[:, objective.free]
    double = exact.objective(exact.stage_terms(1), _in_double_precision(far))
    with torch.no_grad():
        expected = double.loss(x.double())
        found = objective(torch.arange(_N))(x)[0].double()
    torch.testing.assert_close(found, expected, rtol=_LOSS_NOISE, atol=0)  # torch: 7e-6
