from dataclasses import replace

import numpy as np
import pytest
import scipy.optimize
import torch

from smplifyx.optim import lbfgs
from smplifyx.optim.problem import LBFGSOptions, Status
from tests.optim.problems import OPTIONS, Problem, geman_mcclure, generator, minimize, quadratic, rosenbrock

pytestmark = pytest.mark.usefixtures("run")


def test_an_evaluation_is_asked_for_once_for_each_set_of_rows():
    """Inputs of the rows are gathered then, so that nothing has to be remembered from call to call."""
    asked, goals = [], torch.tensor([[0.0], [1e3], [3.0]])

    def objective(rows):
        asked.append(rows.tolist())
        chosen, evaluations = goals[rows], []

        def evaluate(x):
            evaluations.append(len(x))
            assert set(evaluations) == {len(rows)}
            return (x - chosen).square().sum(1), 2.0 * (x - chosen)

        return evaluate

    result = lbfgs.minimize(objective, torch.zeros(3, 1))
    torch.testing.assert_close(result.x, goals)
    assert asked[0] == [0, 1, 2] and asked[1] == [1, 2] and len(asked) == len({tuple(rows) for rows in asked})


PROBLEMS = {
    "rosenbrock_2": lambda: rosenbrock(8, 2),
    "rosenbrock_5": lambda: rosenbrock(8, 5),
    "rosenbrock_10": lambda: rosenbrock(8, 10),
    "quadratic": lambda: quadratic(4, 8),
    "quadratic_mild": lambda: quadratic(4, 60, 1e3),
    "geman_mcclure": lambda: geman_mcclure(12),
}


def _scipy_reference(problem, row):
    options = {"maxcor": 20, "ftol": 1e-15, "gtol": 1e-8, "maxiter": 4000, "maxfun": 5000}
    start = problem.x0[row].numpy()
    found = scipy.optimize.minimize(problem.single(row), start, jac=True, method="L-BFGS-B", options=options)
    return found.fun, found.nfev


def _torch_reference(problem, row):
    x = problem.x0[row].clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [x], max_iter=4000, max_eval=5000, tolerance_grad=1e-8, tolerance_change=1e-12,
        history_size=20, line_search_fn="strong_wolfe",
    )  # fmt: skip
    evaluations = 0

    def closure():
        nonlocal evaluations
        evaluations += 1
        loss, gradient = problem(x.detach()[None], torch.tensor([row]))
        x.grad = gradient[0]
        return loss[0]

    optimizer.step(closure)
    return closure().item(), evaluations - 1


@pytest.mark.parametrize("name", PROBLEMS)
def test_reaches_the_minima_of_scipy_and_torch_with_as_few_evaluations(name):
    problem = PROBLEMS[name]()
    result = minimize(problem, problem.x0, OPTIONS)
    assert (result.status == Status.CONVERGED).all()
    rows = range(len(problem.x0))
    for reference in (_scipy_reference, _torch_reference):
        losses, evaluations = np.array([reference(problem, row) for row in rows]).T
        # Rosenbrock functions of more than three variables have a second minimum; either is a fair find for a row.
        same = np.isclose(result.loss.numpy(), losses, rtol=1e-6, atol=1e-9)
        assert same.mean() >= (0.75 if name.startswith("rosenbrock") else 1.0)
        assert result.n_evaluations.double().mean() <= 1.2 * evaluations.mean()


def test_result_is_consistent_and_never_worse_than_the_start():
    problem = geman_mcclure(12)
    start_loss, _ = problem(problem.x0, torch.arange(12))
    for limits in ({"max_iterations": 3}, {"max_evaluations": 2}, {"max_evaluations": 4}, {"max_line_search": 1}, {}):
        problem.row_evaluations.zero_()
        result = minimize(problem, problem.x0, LBFGSOptions(**limits))
        # Up to a fifth of the rows wait to be dropped.
        assert (problem.row_evaluations >= result.n_evaluations).all()
        assert problem.row_evaluations.sum() <= 1.25 * result.n_evaluations.sum()
        loss, gradient = problem(result.x, torch.arange(12))
        assert torch.allclose(loss, result.loss, rtol=1e-13) and torch.allclose(gradient, result.gradient, atol=1e-10)
        assert (result.loss <= start_loss).all() and (result.status != Status.RUNNING).all()


def test_limits_are_kept_by_row():
    problem = rosenbrock(6, 10)
    result = minimize(problem, problem.x0, LBFGSOptions(max_iterations=5))
    assert (result.n_iterations == 5).all() and (result.status == Status.MAX_ITERATIONS).all()
    result = minimize(problem, problem.x0, LBFGSOptions(max_evaluations=7))
    assert (result.n_evaluations == 7).all() and (result.status == Status.MAX_ITERATIONS).all()
    result = minimize(problem, problem.x0, LBFGSOptions(max_iterations=0))
    assert torch.equal(result.x, problem.x0) and (result.n_evaluations == 1).all()


def _plain_sum(terms):
    """Sum over the columns in a fixed order, so that a row's bits cannot depend on the number of rows."""
    total = terms[:, 0].clone()
    for column in range(1, terms.shape[1]):
        total = total + terms[:, column]
    return total


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("dimension", [3, 16, 37])
@pytest.mark.parametrize("run", ["native"], indirect=True)
def test_a_row_does_not_depend_on_its_neighbours(dtype, dimension, run):
    n_rows = 7
    weight = torch.logspace(0, 3, dimension, dtype=dtype)
    target = torch.randn(n_rows, dimension, dtype=torch.float64, generator=generator(7)).to(dtype)
    scale = 10.0 ** torch.linspace(-2, 2, n_rows, dtype=dtype)[:, None]

    def among(members):
        def objective(x, rows):
            goal, size = target[members[rows]], scale[members[rows]]
            residual = x - goal
            coupling = x[:, 1:] - x[:, :-1] * x[:, :-1]
            spread = residual * residual + 1
            gradient = weight * residual / (spread * spread) * 2
            gradient[:, 1:] += 20 * coupling
            gradient[:, :-1] += -40 * coupling * x[:, :-1]
            loss = _plain_sum(weight * (1 - 1 / spread)) + _plain_sum(10 * coupling * coupling)
            return size[:, 0] * loss, size * gradient

        return objective

    def solve(members):
        diagonal = 1 / weight if dimension == 16 else None
        start = torch.zeros(len(members), dimension, dtype=dtype)
        return minimize(among(members), start, LBFGSOptions(history_size=6), diagonal)

    together = solve(torch.arange(n_rows))
    assert together.n_evaluations.unique().numel() > 3  # the rows do go separate ways
    order = torch.tensor([4, 2, 6, 0, 1, 5, 3])
    comparisons = [(solve(order), order)] + [
        (solve(torch.tensor([row])), torch.tensor([row])) for row in range(n_rows)
    ]
    for other, rows in comparisons:
        for name in ("x", "loss", "gradient", "n_iterations", "n_evaluations", "status"):
            assert torch.equal(getattr(other, name), getattr(together, name)[rows]), name


@pytest.mark.filterwarnings("error")
def test_rows_that_start_at_nan_or_infinity_stay_put():
    problem = rosenbrock(6, 4)
    clean = minimize(problem, problem.x0, OPTIONS)
    start = problem.x0.clone()
    start[1, 2], start[4, 0] = torch.nan, torch.inf
    result = minimize(problem, start, OPTIONS)
    assert result.status.tolist() == [1, 4, 1, 1, 4, 1]
    assert result.n_evaluations[[1, 4]].tolist() == [1, 1]
    assert torch.equal(result.x[[1, 4]].nan_to_num(), start[[1, 4]].nan_to_num())
    good = [0, 2, 3, 5]
    assert torch.allclose(result.loss[good], clean.loss[good], atol=1e-12)


@pytest.mark.filterwarnings("error")
def test_trials_outside_the_domain_shorten_the_step():
    # -log is NaN for negative arguments, and its gradient infinite at zero; minimum at x = 1 / cost.
    cost = torch.tensor([[0.1, 1.0, 50.0], [3.0, 0.02, 1e3]], dtype=torch.float64)
    problem = Problem(lambda x, rows: (cost[rows] * x - torch.log(x)).sum(-1), torch.full_like(cost, 0.01))
    result = minimize(problem, problem.x0, OPTIONS)
    assert (result.status == Status.CONVERGED).all()
    assert torch.allclose(result.x, 1 / cost, rtol=1e-4)


def test_a_gradient_that_is_not_finite_shortens_the_step_too():
    def objective(x, rows):
        gradient = torch.where(x > 1.5, torch.nan, x - 1)
        return 0.5 * ((x - 1) ** 2).sum(-1), gradient

    start = torch.tensor([[-3.0, -9.0], [0.5, 0.9]], dtype=torch.float64)
    result = minimize(objective, start, OPTIONS)
    assert (result.status == Status.CONVERGED).all() and torch.allclose(result.x, torch.ones_like(start))


def test_a_row_already_at_its_optimum_is_left_there():
    problem = quadratic(4, condition=100.0)
    start = problem.x0.clone()
    start[2] = problem.target[2]
    result = minimize(problem, start, OPTIONS)
    assert (result.status == Status.CONVERGED).all()
    assert result.n_evaluations[2] == 1 and torch.equal(result.x[2], start[2])


def test_finished_rows_are_not_evaluated():
    problem = quadratic(3, condition=100.0)
    start = problem.x0.clone()
    start[0] = problem.target[0]
    start[1] = problem.target[1] + 1e-5
    result = minimize(problem, start, OPTIONS)
    assert torch.equal(problem.row_evaluations, result.n_evaluations)
    assert problem.calls == result.n_evaluations.max() > result.n_evaluations[0]


def test_wrong_gradient_ends_as_a_failed_line_search_at_the_best_point():
    def uphill(x, rows):
        return (x**2).sum(-1), torch.where(rows[:, None] == 0, -2 * x, 2 * x)

    start = torch.full((2, 3), 2.0, dtype=torch.float64)
    result = minimize(uphill, start, LBFGSOptions())
    assert result.status.tolist() == [Status.LINE_SEARCH_FAILED, Status.CONVERGED]
    assert torch.equal(result.x[0], start[0]) and result.loss[1] < 1e-12


def test_failed_line_search_tries_steepest_descent_once_more():
    problem = rosenbrock(1, 3)
    deceived = range(6, 14)

    def objective(x, rows):
        loss, gradient = problem(x, rows)
        return loss + (1e3 if problem.calls in deceived else 0.0), gradient

    result = minimize(objective, problem.x0, replace(OPTIONS, max_line_search=8))
    assert result.status.item() == Status.CONVERGED and result.loss.item() < 1e-9
    problem.calls, deceived = 0, range(6, 10**6)
    result = minimize(objective, problem.x0, replace(OPTIONS, max_line_search=8))
    assert result.status.item() == Status.LINE_SEARCH_FAILED and result.n_evaluations.item() <= 5 + 2 * 8


def test_no_rows():
    result = minimize(lambda x, rows: pytest.fail("nothing to evaluate"), torch.zeros(0, 5))
    assert result.x.shape == (0, 5) and result.loss.shape == result.status.shape == (0,)


@pytest.mark.parametrize(
    "make", [lambda: rosenbrock(12, 5, torch.float32), lambda: geman_mcclure(12, dtype=torch.float32)]
)
def test_single_precision_stops_where_its_rounding_begins(make):
    problem = make()
    result = minimize(problem, problem.x0, LBFGSOptions(max_iterations=500))
    assert result.x.dtype == result.loss.dtype == torch.float32
    assert (result.status == Status.CONVERGED).all()
    assert result.gradient.abs().max() < 0.02


def test_single_precision_wastes_no_evaluations_on_rounding():
    problem = geman_mcclure(12, dtype=torch.float32)
    exact = geman_mcclure(12)
    loose = minimize(exact, exact.x0, LBFGSOptions(relative_loss_tolerance=1e-7))
    result = minimize(problem, problem.x0, LBFGSOptions(relative_loss_tolerance=0.0))
    assert (result.status == Status.CONVERGED).all()
    assert (result.n_evaluations <= loose.n_evaluations + 12).all()


def test_large_constant_in_single_precision_still_converges():
    small = geman_mcclure(12, dtype=torch.float32)
    problem = Problem(lambda x, rows: small.loss(x, rows) + 3000.0, small.x0)
    result = minimize(problem, problem.x0, LBFGSOptions(relative_loss_tolerance=0.0))
    assert (result.status == Status.CONVERGED).all()
    assert result.n_evaluations.max() < 100


def test_patience_demands_idle_steps_in_a_row():
    problem = geman_mcclure(12)
    n_iterations = [
        minimize(problem, problem.x0, LBFGSOptions(relative_loss_tolerance=1e-4, patience=patience)).n_iterations
        for patience in (1, 2, 4)
    ]
    assert (n_iterations[0] + 1 <= n_iterations[1]).all() and (n_iterations[1] + 2 <= n_iterations[2]).all()


def test_a_good_diagonal_saves_iterations():
    curvature = torch.logspace(-1, 4, 30, dtype=torch.float64)
    goal = torch.randn(5, 30, dtype=torch.float64, generator=generator(8))
    problem = Problem(lambda x, rows: torch.cosh(curvature.sqrt() * (x - goal[rows]) / 100).sum(-1), goal * 0)
    plain = minimize(problem, problem.x0, OPTIONS)
    scaled = minimize(problem, problem.x0, OPTIONS, 1 / curvature)
    by_row = minimize(problem, problem.x0, OPTIONS, (1 / curvature).expand(5, 30))
    assert torch.equal(scaled.x, by_row.x)
    assert (3 * scaled.n_evaluations < plain.n_evaluations).all()
    assert torch.allclose(scaled.x, goal, atol=1e-2)


def test_wrong_calls_are_refused():
    objective = rosenbrock(2, 3)
    with pytest.raises(ValueError, match=r"\[B, D\]"):
        minimize(objective, torch.zeros(3))
    with pytest.raises(ValueError, match="int64"):
        minimize(objective, torch.zeros(2, 3, dtype=torch.int64))
    with pytest.raises(ValueError, match="positive"):
        minimize(objective, torch.zeros(2, 3), None, torch.tensor([1.0, 0.0, 1.0]))
    with pytest.raises(ValueError, match="must return"):
        minimize(lambda x, rows: (x.sum(), x), torch.zeros(2, 3))
    with pytest.raises(ValueError, match="armijo"):
        LBFGSOptions(armijo=0.95)
