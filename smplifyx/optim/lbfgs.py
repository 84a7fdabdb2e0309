"""L-BFGS with a strong-Wolfe line search for many independent problems at once: one per row of x `[B, D]`.

Each row has its own history, step length, convergence and failure. All active rows advance by one evaluation of the
objective at a time, whatever phase of its line search a row is in, and finished rows are no longer evaluated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smplifyx.optim.inverse_hessian import InverseHessian, Mask, row_products, to_numpy
from smplifyx.optim.line_search import StrongWolfeSearch

#: x `[A, D]` -> (loss `[A]`, gradient `[A, D]`) of A fixed rows.
Evaluation = Callable[[Tensor], tuple[Tensor, Tensor]]
#: Rows `[A]` int64 of the start point, ascending -> their evaluation. Called again only after rows have ended, so it
#: may gather the data of these rows.
Objective = Callable[[Tensor], Evaluation]

#: (x `[N, D]`, rows `[N]`) -> symmetric positive definite matrices `[N, D, D]` close to the inverse Hessians there.
Preconditioner = Callable[[Tensor, Tensor], Tensor]


def rowwise(function: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> Objective:
    """The objective of a function of x `[A, D]` and rows `[A]`."""
    return lambda rows: lambda x: function(x, rows)


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

    def __post_init__(self) -> None:
        if not 0.0 < self.armijo < self.curvature < 1.0:
            raise ValueError(f"expected 0 < armijo < curvature < 1, found {self.armijo} and {self.curvature}")
        if min(self.history_size, self.patience, self.max_line_search) < 1:
            raise ValueError(f"history_size, patience and max_line_search must be at least 1, found {self}")


#: Steps after which the prediction of a preconditioned model is no longer trusted without a new preconditioner.
_FRESH = 5


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


def minimize(
    objective: Objective,
    x0: Tensor,
    options: LBFGSOptions | None = None,
    initial_inverse_hessian: Tensor | None = None,
    preconditioner: Preconditioner | None = None,
) -> LBFGSResult:
    """Minimise each row's loss from its row of `x0`.

    A trial whose loss or gradient is not finite shortens the step; at the start point it ends the row as NON_FINITE.
    A row whose line search fails forgets its history and tries steepest descent once. On the CPU a row takes the same
    path, to the bit, whatever its neighbours are, if the objective computes rows independently of each other.

    Args:
        objective: asked for the evaluation of the active rows, each time that some have ended; see `Objective`.
        x0: start points `[B, D]`, float32 or float64, B may be 0.
        options: limits and tolerances.
        initial_inverse_hessian: positive diagonal `[D]` or `[B, D]`, up to a factor a row: the guess from which the
            history builds, that is the square of each variable's natural scale.
        preconditioner: the inverse Hessian from which the history builds instead, made at the start point, where a
            line search fails, and as often as the options say. The first trial of each search then is the whole step.

    Raises:
        ValueError: a shape or type is not as above, or the diagonal is not positive.
    """
    if x0.ndim != 2 or x0.shape[1] == 0 or x0.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"x0 must be float32 or float64 [B, D], found {x0.dtype} {list(x0.shape)}")
    x0 = x0.detach().contiguous()
    diagonal = initial_inverse_hessian
    if diagonal is not None:
        diagonal = diagonal.detach().to(x0).expand_as(x0)
        if not bool(((diagonal > 0) & diagonal.isfinite()).all()):
            raise ValueError("initial_inverse_hessian must be positive and finite")
    run = _Run(objective, x0, options or LBFGSOptions(), diagonal, preconditioner)
    while run.n_active:
        run.advance()
    return run.result


class _Run:
    """The active rows of one minimisation; arrays of scalars `[A]` on the host, vectors `[A, D]` on the device."""

    _SCALARS = (
        "_rows",
        "_n_iterations",
        "_n_evaluations",
        "_idle_steps",
        "_age",
        "_status",
        "_loss",
        "_largest",
        "_low_largest",
    )
    _VECTORS = ("_device_rows", "_x", "_direction", "_gradient", "_low_gradient", "_product")

    def __init__(
        self,
        objective: Objective,
        x0: Tensor,
        options: LBFGSOptions,
        diagonal: Tensor | None,
        preconditioner: Preconditioner | None,
    ) -> None:
        n_rows = x0.shape[0]
        counts = torch.zeros(n_rows, dtype=torch.int64, device=x0.device)
        self._objective, self._options = objective, options
        self._preconditioner = preconditioner
        self._epsilon = torch.finfo(x0.dtype).eps
        self._rows = np.arange(n_rows)
        self._device_rows = torch.arange(n_rows, device=x0.device)
        self._at = objective(self._device_rows) if n_rows else None
        self._x = x0
        self._n_iterations, self._n_evaluations = np.zeros(n_rows, dtype=np.int64), np.zeros(n_rows, dtype=np.int64)
        self._idle_steps = np.zeros(n_rows, dtype=np.int64)
        self._age = np.zeros(n_rows, dtype=np.int64)  # steps since the row's preconditioner was made
        self._status = np.zeros(n_rows, dtype=np.int64)
        self._memory = InverseHessian(x0, options.history_size, diagonal)
        self._search = StrongWolfeSearch(
            n_rows, options.armijo, options.curvature, options.max_line_search, self._epsilon
        )
        self._direction = torch.zeros_like(x0)
        self.result = LBFGSResult(
            x0.clone(), x0.new_zeros(n_rows), torch.zeros_like(x0),
            counts, counts.clone(), counts.clone(),
        )  # fmt: skip
        if n_rows:
            self._evaluate_start()

    @property
    def n_active(self) -> int:
        return self._rows.size

    def _evaluate(self, x: Tensor) -> tuple[Tensor, NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Gradient `[A, D]`, loss, slope along the direction and largest gradient component, `[A]` each."""
        assert self._at is not None
        loss, gradient = self._at(x)
        loss, gradient = loss.detach(), gradient.detach().contiguous()
        if loss.shape != x.shape[:1] or gradient.shape != x.shape:
            raise ValueError(
                f"the objective must return loss {list(x.shape[:1])} and gradient {list(x.shape)}, "
                f"found {list(loss.shape)} and {list(gradient.shape)}"
            )
        self._n_evaluations += 1
        slope = row_products(gradient, self._direction)
        scalars = to_numpy(torch.stack((loss, slope, gradient.abs().amax(-1))))
        return gradient, scalars[0], scalars[1], scalars[2]

    def _evaluate_start(self) -> None:
        gradient, self._loss, _, self._largest = self._evaluate(self._x)
        self._gradient = self._low_gradient = gradient.clone()
        self._product = self._memory.initial_product(self._gradient)
        self._low_largest = self._largest
        self._status[self._largest <= self._options.gradient_tolerance] = Status.CONVERGED
        self._status[~(np.isfinite(self._loss) & np.isfinite(self._largest))] = Status.NON_FINITE
        self._apply_limits(np.ones(self.n_active, dtype=bool))
        self._retire()
        self._precondition(np.ones(self.n_active, dtype=bool))
        self._start_searches(np.ones(self.n_active, dtype=bool))
        self._retire()

    def advance(self) -> None:
        """Evaluate the objective once and advance the line search of every row."""
        trial = self._x + self._column(self._search.step) * self._direction
        gradient, loss, slope, largest = self._evaluate(trial)
        outcome = self._search.advance(np.where(np.isfinite(largest), loss, np.nan), slope)

        exhausted = ~outcome.accepted & (self._n_evaluations >= self._options.max_evaluations)
        ended = outcome.stopped | exhausted
        self._keep_low(outcome.improved, gradient, largest)
        settled = ended & (self._search.low_step > 0.0)
        stuck = ended & ~settled
        moved = outcome.accepted | settled
        if settled.any():
            low = self._x + self._column(self._search.low_step) * self._direction
            trial, gradient = self._select(settled, low, trial), self._select(settled, self._low_gradient, gradient)
            loss = np.where(settled, self._search.low_loss, loss)
            largest = np.where(settled, self._low_largest, largest)
        if not (moved | stuck).any():
            return
        self._move(moved, trial, gradient, loss, largest)
        self._apply_limits(moved | stuck)
        self._handle_stuck(stuck & (self._status == Status.RUNNING), outcome.unresolved)
        self._start_searches((moved | stuck) & (self._status == Status.RUNNING))
        self._retire()

    def _keep_low(self, improved: Mask, gradient: Tensor, largest: NDArray[np.float64]) -> None:
        if improved.any():
            self._low_gradient = self._select(improved, gradient, self._low_gradient)
            self._low_largest = np.where(improved, largest, self._low_largest)

    def _move(
        self, moved: Mask, x: Tensor, gradient: Tensor, loss: NDArray[np.float64], largest: NDArray[np.float64]
    ) -> None:
        """Take the step of the rows in `moved`, update their history and test for convergence."""
        x, gradient = self._select(moved, x, self._x), self._select(moved, gradient, self._gradient)
        product = self._select(moved, self._memory.initial_product(gradient), self._product)
        self._memory.update(moved, x - self._x, gradient - self._gradient, product - self._product)
        self._x, self._gradient, self._product = x, gradient, product
        self._age += moved

        options = self._options
        size = np.maximum(np.maximum(np.abs(self._loss), np.abs(loss)), np.finfo(np.float64).tiny)
        idle = (self._loss - loss) / size <= options.relative_loss_tolerance
        self._idle_steps = np.where(moved, np.where(idle, self._idle_steps + 1, 0), self._idle_steps)
        self._loss = np.where(moved, loss, self._loss)
        self._largest = np.where(moved, largest, self._largest)
        self._n_iterations += moved
        converged = (self._idle_steps >= options.patience) | (self._largest <= options.gradient_tolerance)
        self._status[moved & converged] = Status.CONVERGED

    def _handle_stuck(self, stuck: Mask, unresolved: Mask) -> None:
        """Handle rows whose line search found no lower loss: converged, failed, or restart with steepest descent."""
        self._status[stuck & unresolved] = Status.CONVERGED
        self._status[stuck & ~unresolved & self._memory.is_empty] = Status.LINE_SEARCH_FAILED
        again = stuck & (self._status == Status.RUNNING)
        if again.any():
            self._memory.reset(again)
            self._precondition(again)

    def _apply_limits(self, mask: Mask) -> None:
        options = self._options
        spent = (self._n_iterations >= options.max_iterations) | (self._n_evaluations >= options.max_evaluations)
        self._status[mask & spent & (self._status == Status.RUNNING)] = Status.MAX_ITERATIONS

    def _start_searches(self, mask: Mask) -> None:
        """Choose direction and first step of the rows in `mask`; their step is 1 once there is a history."""
        if self._options.renew_every:
            self._precondition(mask & (self._age >= self._options.renew_every))
        if not mask.any():
            return
        direction, slope = self._descend()
        direction, slope = self._test_prediction(mask, direction, slope)
        uphill = mask & ~(slope < 0.0)
        if uphill.any():
            self._memory.reset(uphill)
            direction, slope = self._descend()
        self._direction = self._select(mask, direction, self._direction)
        step = np.ones(self.n_active)
        fresh = mask & self._memory.is_empty
        if self._preconditioner is None and fresh.any():
            # L1 norm of the gradient in the variables where the initial matrix is the identity.
            scaled = (self._gradient * self._product).sqrt()
            norm = to_numpy(row_products(scaled, torch.ones_like(scaled)))
            step = np.where(fresh, 1.0 / np.maximum(norm, 1.0), step)
        self._search.start(mask, self._loss, slope, step)

    def _test_prediction(
        self, mask: Mask, direction: Tensor, slope: NDArray[np.float64]
    ) -> tuple[Tensor, NDArray[np.float64]]:
        """End the rows in `mask` that promise too little, and give back directions of the others."""

        def promise_little() -> Mask:
            too_small = -0.5 * slope <= self._options.predicted_tolerance * np.abs(self._loss)
            return mask & (slope < 0.0) & too_small & (self._status == Status.RUNNING)

        if not self._options.predicted_tolerance:
            return direction, slope
        doubtful = promise_little() & (self._age > _FRESH)
        if self._preconditioner is not None and doubtful.any():
            self._precondition(doubtful)
            direction, slope = self._descend()
        self._status[promise_little()] = Status.CONVERGED
        return direction, slope

    def _precondition(self, mask: Mask) -> None:
        """Make the preconditioner of the rows in `mask` anew."""
        if self._preconditioner is None or not mask.any():
            return
        rows = torch.from_numpy(np.flatnonzero(mask)).to(self._x.device)
        matrices = self._preconditioner(self._x[rows], self._device_rows[rows])
        self._memory.renew(mask, matrices)
        product = row_products(matrices, self._gradient[rows])
        self._product = self._product.index_copy(0, rows, product)
        self._age[mask] = 0

    def _descend(self) -> tuple[Tensor, NDArray[np.float64]]:
        direction = self._memory.descent_direction(self._gradient, self._product)
        return direction, to_numpy(row_products(direction, self._gradient))

    def _retire(self) -> None:
        """Write finished rows to the result and drop them from the state."""
        done = self._status != Status.RUNNING
        if not done.any():
            return
        result, device = self.result, self._x.device
        finished = torch.from_numpy(np.flatnonzero(done)).to(device)
        rows = self._device_rows[finished]
        result.x[rows], result.gradient[rows] = self._x[finished], self._gradient[finished]
        result.loss[rows] = torch.from_numpy(self._loss[done]).to(result.loss)
        for target, values in (
            (result.n_iterations, self._n_iterations),
            (result.n_evaluations, self._n_evaluations),
            (result.status, self._status),
        ):
            target[rows] = torch.from_numpy(values[done]).to(device)
        self._keep(np.flatnonzero(~done))

    def _keep(self, index: NDArray[np.int64]) -> None:
        device_index = torch.from_numpy(index).to(self._x.device)
        for name in self._SCALARS:
            setattr(self, name, getattr(self, name)[index])
        for name in self._VECTORS:
            setattr(self, name, getattr(self, name).index_select(0, device_index))
        self._memory.keep(index)
        self._search.keep(index)
        self._at = self._objective(self._device_rows) if self.n_active else None

    def _column(self, values: NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(values).to(self._x)[:, None]

    def _select(self, mask: Mask, first: Tensor, second: Tensor) -> Tensor:
        """Rows of `first` where `mask`, else of `second`; always a copy, since an objective may reuse its buffers."""
        if mask.all():
            return first.clone()
        return torch.where(torch.from_numpy(mask).to(first.device)[:, None], first, second)
