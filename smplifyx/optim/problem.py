"""Statement of a minimisation of many independent rows: objective, limits and tolerances, results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from torch import Tensor

from smplifyx.optim.inverse_hessian import Operator

#: x `[A, D]` -> (loss `[A]`, gradient `[A, D]`) of A fixed rows. It must not keep x, which is overwritten.
Evaluation = Callable[[Tensor], tuple[Tensor, Tensor]]
#: Rows `[A]` int64 of the start point, ascending -> their evaluation. Called again only after rows have ended, so it
#: may gather the data of these rows.
Objective = Callable[[Tensor], Evaluation]

#: (x `[N, D]`, rows `[N]`) -> Cholesky factors `[N, D, D]` of the Hessians there, or of matrices close to them: U' U
#: with U upper triangular, zero below.
Preconditioner = Callable[[Tensor, Tensor], Tensor]
#: The same, as operators that multiply by the inverses.
Operators = Callable[[Tensor, Tensor], list[Operator]]


def rowwise(function: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> Objective:
    """The objective of a function of x `[A, D]` and rows `[A]`."""
    return lambda rows: lambda x: function(x, rows)


def checked(evaluated: tuple[Tensor, Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Loss `[A]` and gradient `[A, D]` at x `[A, D]`, in its type and without a graph.

    Raises:
        ValueError: the objective gave other shapes.
    """
    loss, gradient = evaluated
    if loss.shape != x.shape[:1] or gradient.shape != x.shape:
        raise ValueError(
            f"the objective must return loss {list(x.shape[:1])} and gradient {list(x.shape)}, "
            f"found {list(loss.shape)} and {list(gradient.shape)}"
        )
    return loss.detach().to(x.dtype).contiguous(), gradient.detach().to(x.dtype).contiguous()


@dataclass(frozen=True)
class LBFGSOptions:
    """Limits and tolerances, each applied to every row on its own.

    max_iterations: accepted steps.
    max_evaluations: evaluations of the objective, the first included.
    history_size: pairs kept for the inverse Hessian.
    relative_loss_tolerance: a step is idle if it lowers the loss by no more than this share of its size.
    patience: consecutive idle steps after which a row has converged.
    gradient_tolerance: a row has converged when no component of its gradient is larger.
    armijo: sufficient-decrease constant c1 of the Wolfe conditions.
    curvature: curvature constant c2.
    max_line_search: evaluations per line search.
    predicted_tolerance: a row has converged when its quadratic model predicts no larger decrease than this share of
        the loss. Unless the row's preconditioner is only a few steps old, it is asked once more with a new one.
    renew_every: steps after which a row's preconditioner is made anew, from where it is then; 0 for never.
    loss_noise: relative error of the loss, see :class:`~smplifyx.optim.line_search.StrongWolfeSearch`.
    """

    max_iterations: int = 100
    max_evaluations: int = 1000
    history_size: int = 20
    relative_loss_tolerance: float = 1e-9
    patience: int = 1
    gradient_tolerance: float = 1e-9
    armijo: float = 1e-4
    curvature: float = 0.9
    max_line_search: int = 20
    predicted_tolerance: float = 0.0
    renew_every: int = 0
    loss_noise: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 < self.armijo < self.curvature < 1.0:
            raise ValueError(f"expected 0 < armijo < curvature < 1, found {self.armijo} and {self.curvature}")
        if min(self.history_size, self.patience, self.max_line_search) < 1:
            raise ValueError(f"history_size, patience and max_line_search must be at least 1, found {self}")


class Status(IntEnum):
    """Reasons why the minimisation of a row ended."""

    RUNNING = 0
    CONVERGED = 1  # by the loss or the gradient tolerance, or because the loss resolves no further decrease
    MAX_ITERATIONS = 2  # or evaluations
    LINE_SEARCH_FAILED = 3
    NON_FINITE = 4  # loss or gradient at the start point


@dataclass
class LBFGSResult:
    """Best points found; `loss` and `gradient` belong to `x`, and no loss is above that of the start point.

    x: `[B, D]`. loss: `[B]`. gradient: `[B, D]`.
    n_iterations, n_evaluations: `[B]` int64. status: `[B]` int64, values of `Status`.
    All lie on the device of the start point.
    """

    x: Tensor
    loss: Tensor
    gradient: Tensor
    n_iterations: Tensor
    n_evaluations: Tensor
    status: Tensor
