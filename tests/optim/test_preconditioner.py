from dataclasses import replace

import pytest
import torch

from smplifyx.optim import lbfgs
from smplifyx.optim.problem import LBFGSOptions, Status, rowwise
from tests.optim.problems import OPTIONS, Problem, generator, minimize

pytestmark = pytest.mark.usefixtures("run")


def _preconditioned(n_rows=6, dimension=12):
    """A problem that is nearly quadratic, a preconditioner from its curvature, and the rows that asked for one."""
    root = torch.randn(n_rows, dimension, dimension, dtype=torch.float64, generator=generator(5))
    hessian = root @ root.mT * 100.0 + torch.eye(dimension, dtype=torch.float64)
    goal = torch.randn(n_rows, dimension, dtype=torch.float64, generator=generator(6))
    asked = []

    def loss(x, rows):
        offset = x - goal[rows]
        product = (hessian[rows] * offset[:, None]).sum(2)
        return 1.0 + 0.5 * (offset * product).sum(1) + 0.1 * offset.square().sum(1).square()

    def preconditioner(x, rows):
        asked.extend(rows.tolist())
        return torch.linalg.cholesky(hessian[rows], upper=True)

    return Problem(loss, goal * 0), preconditioner, asked


def test_a_preconditioner_saves_evaluations():
    problem, preconditioner, asked = _preconditioned()
    options = replace(OPTIONS, predicted_tolerance=1e-9)
    plain = minimize(problem, problem.x0, OPTIONS)
    result = lbfgs.minimize(rowwise(problem), problem.x0, options, preconditioner=preconditioner)
    torch.testing.assert_close(result.loss, plain.loss)
    assert (result.status == Status.CONVERGED).all()
    assert (3 * result.n_evaluations < plain.n_evaluations).all()
    assert set(asked) == set(range(6))


def test_a_preconditioner_is_renewed():
    problem, preconditioner, asked = _preconditioned()
    options = replace(OPTIONS, renew_every=2)
    result = lbfgs.minimize(rowwise(problem), problem.x0, options, preconditioner=preconditioner)
    assert (result.status == Status.CONVERGED).all()
    assert len(asked) > 12


def test_small_steps_do_not_end_a_row_that_promises_more():
    """One part has converged; another, of little weight, has not moved yet."""
    weights = torch.tensor([1e6, 1.0], dtype=torch.float64)
    goal = torch.tensor([0.0, 50.0], dtype=torch.float64)
    problem = Problem(lambda x, rows: 1e4 + (weights * (x - goal).square()).sum(1), torch.zeros(3, 2).double())
    options = LBFGSOptions(predicted_tolerance=1e-4, relative_loss_tolerance=0.0)
    factors = torch.diag((2.0 * weights).sqrt()).expand(3, 2, 2)
    result = lbfgs.minimize(rowwise(problem), problem.x0, options, None, lambda x, rows: factors[rows])
    assert (result.status == Status.CONVERGED).all()
    assert torch.allclose(result.loss, torch.tensor(1e4).double(), rtol=1e-4)


def test_a_preconditioned_row_does_not_see_its_neighbours():
    problem, preconditioner, _ = _preconditioned()
    options = replace(OPTIONS, predicted_tolerance=1e-9, renew_every=3)
    together = lbfgs.minimize(rowwise(problem), problem.x0, options, None, preconditioner)
    for row in range(6):

        def alone(x, rows, row=row):
            return problem(x, rows + row)

        result = lbfgs.minimize(
            rowwise(alone), problem.x0[row : row + 1], options, None,
            lambda x, rows, row=row: preconditioner(x, rows + row),
        )  # fmt: skip
        torch.testing.assert_close(result.x[0], together.x[row], rtol=1e-9, atol=1e-9)
        assert result.n_evaluations[0] == together.n_evaluations[row]


def test_a_noisy_loss_does_not_end_a_minimisation_early():
    """Losses of about 1000 in single precision do not show the last millimetres; gradients do."""
    factors = 10.0 ** torch.linspace(-4, 1, 12)
    goal = torch.linspace(-1, 1, 12)

    def function(x, rows):
        error = x - goal
        noise = 1e-3 * torch.sin(1e5 * x.sum(1))
        return 1000.0 + (factors * error.square()).sum(1) + noise, 2.0 * factors * error

    options = LBFGSOptions(relative_loss_tolerance=-1.0, predicted_tolerance=1e-13, loss_noise=3e-6)
    roots = torch.diag((factors / torch.linspace(0.05, 0.5, 12)).sqrt())[None]
    results = [
        lbfgs.minimize(
            rowwise(function), torch.zeros(1, 12), one, preconditioner=lambda x, rows: roots.repeat(len(x), 1, 1)
        )
        for one in (options, replace(options, loss_noise=0.0))
    ]
    errors = [(result.x - goal).abs().max() for result in results]
    assert results[0].status.item() == Status.CONVERGED
    assert errors[0] < 1e-3 and errors[1] > 10 * errors[0]


def test_operators_precondition_as_their_matrices_do():
    """Rows end at different times, so that operators are kept and renewed row by row."""
    problem, preconditioner, _ = _preconditioned()

    def operator(factor):
        return lambda vector: torch.cholesky_solve(vector[:, None], factor, upper=True)[:, 0]

    def operators(x, rows):
        return [operator(factor) for factor in preconditioner(x, rows)]

    options = replace(OPTIONS, renew_every=2)
    dense = lbfgs.minimize(rowwise(problem), problem.x0, options, preconditioner=preconditioner)
    products = lbfgs.minimize(rowwise(problem), problem.x0, options, operators=operators)
    torch.testing.assert_close(products.x, dense.x, rtol=1e-5, atol=1e-5)
    assert (products.n_iterations - dense.n_iterations).abs().max() <= 1


@pytest.mark.parametrize(("scale", "status"), [(1.0, Status.CONVERGED), (12.5, Status.LINE_SEARCH_FAILED)])
def test_a_row_without_a_lower_loss_gets_a_new_matrix_before_it_ends(scale, status):
    """After one step the loss is higher wherever the search looks, by which the step promised 4 or 50 millionths."""
    made, asked = [], []

    def function(x, rows):
        asked.append(len(x))
        loss = 1e6 + (scale * x.square().sum(1) if len(asked) <= 2 else 1e3 * x.abs().sum(1) + 1e4)
        return loss, 2.0 * scale * x

    def preconditioner(x, rows):
        made.append(len(x))
        return torch.full((len(x), 1, 1), (4.0 * scale) ** 0.5, dtype=x.dtype)

    options = LBFGSOptions(predicted_tolerance=1e-9, relative_loss_tolerance=-1.0, loss_noise=3e-6)
    result = lbfgs.minimize(rowwise(function), torch.full((1, 1), 4.0).double(), options, None, preconditioner)
    assert result.status.item() == status and result.x.item() == 2.0
    assert made == [1, 1]
