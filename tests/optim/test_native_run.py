"""The native optimiser takes the steps of the one that is made of torch operations."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from smplifyx.optim.native_run import NativeRun
from smplifyx.optim.problem import LBFGSOptions, LBFGSResult, rowwise
from smplifyx.optim.torch_run import TorchRun
from tests.optim.problems import Problem, geman_mcclure, generator, rosenbrock

_NOISY = LBFGSOptions(predicted_tolerance=1e-10, relative_loss_tolerance=-1.0, loss_noise=3e-6, renew_every=7)


def _compare(found: LBFGSResult, expected: LBFGSResult) -> None:
    assert torch.equal(found.status, expected.status)
    assert torch.equal(found.n_iterations, expected.n_iterations)
    assert torch.equal(found.n_evaluations, expected.n_evaluations)
    torch.testing.assert_close(found.x, expected.x, rtol=1e-6, atol=1e-6, equal_nan=True)
    torch.testing.assert_close(found.loss, expected.loss, rtol=1e-9, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("history", [1, 3, 20])
@pytest.mark.parametrize("size", [(1, 3), (9, 6), (5, 8), (4, 17)])
@pytest.mark.parametrize("make", [rosenbrock, geman_mcclure])
def test_steps_without_a_preconditioner(make: object, size: tuple[int, int], history: int, scaled: bool) -> None:
    problem = make(*size)  # type: ignore[operator]
    start = problem.x0.clone()
    start[-1, 2] = torch.nan if size[0] > 1 else start[-1, 2]
    diagonal = torch.linspace(0.1, 1.0, start.numel(), dtype=start.dtype).reshape(size) if scaled else None
    # A few steps: later ones depend on the last digit.
    options = LBFGSOptions(max_iterations=12, history_size=history)
    runs = [run(rowwise(problem), start, options, diagonal, None) for run in (NativeRun, TorchRun)]
    _compare(*(run.minimize() for run in runs))


@pytest.mark.parametrize("dimension", [5, 8, 17])
@pytest.mark.parametrize("options", [_NOISY, replace(_NOISY, loss_noise=0.0, renew_every=0, max_evaluations=9)])
def test_steps_with_a_preconditioner(options: LBFGSOptions, dimension: int) -> None:
    roots = torch.randn(7, 2 * dimension, dimension, dtype=torch.float64, generator=generator(2))
    goals = torch.randn(7, 2 * dimension, dtype=torch.float64, generator=generator(3))

    def loss(x: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        residuals = torch.einsum("bkd,bd->bk", roots[rows], x) - goals[rows]
        return 10.0 + (residuals.square() + 0.3 * residuals.square().square()).sum(1)

    def factors(x: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        matrices = 2.5 * roots[rows].mT @ roots[rows] + 0.01 * torch.eye(dimension, dtype=torch.float64)
        return torch.linalg.cholesky(matrices, upper=True)

    problem = Problem(loss, torch.zeros(7, dimension, dtype=torch.float64))
    runs = [run(rowwise(problem), problem.x0, options, None, factors) for run in (NativeRun, TorchRun)]
    _compare(*(run.minimize() for run in runs))
