"""Minimisation problems with one independent problem a row."""

import numpy as np
import torch

from smplifyx.optim import lbfgs
from smplifyx.optim.problem import LBFGSOptions, LBFGSResult, rowwise

OPTIONS = LBFGSOptions(
    max_iterations=4000, max_evaluations=4000, relative_loss_tolerance=1e-12, gradient_tolerance=1e-8
)


def minimize(function, x0, options=None, diagonal=None) -> LBFGSResult:
    """Minimise a function of x and rows."""
    return lbfgs.minimize(rowwise(function), x0, options, diagonal)


def generator(seed):
    return torch.Generator().manual_seed(seed)


class Problem:
    """Independent problems, one a row: `loss(x, rows)` differentiated by autograd; counts what it is asked for."""

    def __init__(self, loss, x0):
        self.loss, self.x0 = loss, x0
        self.calls, self.row_evaluations = 0, torch.zeros(len(x0), dtype=torch.int64)

    def __call__(self, x, rows):
        self.calls += 1
        self.row_evaluations[rows] += 1
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            loss = self.loss(x, rows)
            return loss, torch.autograd.grad(loss.sum(), x)[0]

    def single(self, row):
        def value_and_gradient(x):
            loss, gradient = self(torch.from_numpy(x)[None], torch.tensor([row]))
            return loss.item(), gradient[0].numpy()

        return value_and_gradient


def rosenbrock(n_rows, dimension, dtype=torch.float64):
    def loss(x, rows):
        head, tail = x[:, :-1], x[:, 1:]
        return (100 * (tail - head**2) ** 2 + (1 - head) ** 2).sum(-1)

    return Problem(
        loss, torch.randn(n_rows, dimension, dtype=torch.float64, generator=generator(dimension)).to(dtype)
    )


def quadratic(n_rows, dimension=20, condition=1e6, dtype=torch.float64):
    eigenvalues = torch.logspace(0, float(np.log10(condition)), dimension, dtype=torch.float64)
    random = torch.randn(n_rows, dimension, dimension, dtype=torch.float64, generator=generator(1))
    basis = torch.linalg.qr(random)[0]
    target = torch.randn(n_rows, dimension, dtype=torch.float64, generator=generator(2)).to(dtype)
    root = (eigenvalues.sqrt()[:, None] * basis.mT).to(dtype)

    def loss(x, rows):
        return 1 + 0.5 * (torch.einsum("bij,bj->bi", root[rows], x - target[rows]) ** 2).sum(-1)

    problem = Problem(loss, torch.zeros(n_rows, dimension, dtype=dtype))
    problem.target = target
    return problem


def geman_mcclure(n_rows, dimension=8, n_points=60, dtype=torch.float64):
    """A non-convex robust regression with a fifth of outliers, as keypoint terms are."""
    design = torch.randn(n_rows, n_points, dimension, dtype=torch.float64, generator=generator(3))
    truth = torch.randn(n_rows, dimension, dtype=torch.float64, generator=generator(4))
    observed = (design @ truth[..., None])[..., 0]
    observed += 0.05 * torch.randn(n_rows, n_points, dtype=torch.float64, generator=generator(5))
    observed[:, ::5] += 10.0
    design, observed = design.to(dtype), observed.to(dtype)

    def loss(x, rows):
        squares = (torch.einsum("bkd,bd->bk", design[rows], x) - observed[rows]) ** 2
        return (squares / (squares + 4.0)).sum(-1) + 0.5e-3 * (x**2).sum(-1)

    start = truth + 0.4 * torch.randn(n_rows, dimension, dtype=torch.float64, generator=generator(6))
    return Problem(loss, start.to(dtype))
