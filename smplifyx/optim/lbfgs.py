"""L-BFGS with a strong-Wolfe line search for many independent problems at once: one per row of x `[B, D]`.

Each row has its own history, step length, convergence and failure. All active rows advance by one evaluation of the
objective at a time, whatever phase of its line search a row is in. Finished rows are dropped a fifth at a time.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from smplifyx.optim.arrays import Array, arrays_on
from smplifyx.optim.inverse_hessian import InverseHessian, Mask, matrix_products, row_products
from smplifyx.optim.line_search import StrongWolfeSearch
from smplifyx.optim.problem import LBFGSOptions, LBFGSResult, Objective, Preconditioner, Status

#: Share of the rows that have to end before they are dropped, as this copies the state of all others. Until then they
#: are evaluated along with them. On a device that has to be waited for: evaluations between two looks.
_WORTH_DROPPING, _LOOK_EVERY = 0.2, 4
#: Steps after which the prediction of a preconditioned model is no longer trusted without a new preconditioner.
_FRESH = 5


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
    with np.errstate(invalid="ignore", over="ignore"):  # rows that wait to be dropped may not be finite
        while run.n_active:
            run.advance()
    return run.result


class _Run:
    """The active rows of one minimisation: scalars `[A]` as :mod:`~smplifyx.optim.arrays`, vectors `[A, D]`."""

    _SCALARS = (
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
        self._xp = xp = arrays_on(x0.device)
        self._device_rows = torch.arange(n_rows, device=x0.device)
        self._at = objective(self._device_rows) if n_rows else None
        self._x = x0
        self._n_iterations, self._n_evaluations = xp.integers(n_rows), xp.integers(n_rows)
        self._idle_steps = xp.integers(n_rows)
        self._age = xp.integers(n_rows)  # steps since the row's preconditioner was made
        self._status = xp.integers(n_rows)
        self._until_look = 0
        self._memory = InverseHessian(x0, options.history_size, diagonal)
        self._search = StrongWolfeSearch(
            n_rows, options.armijo, options.curvature, options.max_line_search, self._epsilon, xp, options.loss_noise
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
        return len(self._device_rows)

    @property
    def _is_running(self) -> Mask:
        """Rows that have not ended; the others wait to be dropped."""
        return self._status == int(Status.RUNNING)

    def _end(self, mask: Mask, status: Status) -> None:
        """Set the status of the rows in `mask`."""
        self._status = self._xp.where(mask, int(status), self._status)

    def _evaluate(self, x: Tensor) -> tuple[Tensor, Array, Array, Array]:
        """Gradient `[A, D]`, loss, slope along the direction and largest gradient component, `[A]` each."""
        assert self._at is not None
        loss, gradient = self._at(x)
        loss, gradient = loss.detach(), gradient.detach().contiguous()
        if loss.shape != x.shape[:1] or gradient.shape != x.shape:
            raise ValueError(
                f"the objective must return loss {list(x.shape[:1])} and gradient {list(x.shape)}, "
                f"found {list(loss.shape)} and {list(gradient.shape)}"
            )
        self._n_evaluations = self._n_evaluations + self._is_running
        slope = row_products(gradient, self._direction)
        scalars = self._xp.doubles(torch.stack((loss, slope, gradient.abs().amax(-1))))
        return gradient, scalars[0], scalars[1], scalars[2]

    def _evaluate_start(self) -> None:
        gradient, self._loss, _, self._largest = self._evaluate(self._x)
        self._gradient = self._low_gradient = gradient.clone()
        self._product = self._memory.initial_product(self._gradient)
        self._low_largest = self._largest
        xp = self._xp
        self._end(self._largest <= self._options.gradient_tolerance, Status.CONVERGED)
        self._end(~(xp.isfinite(self._loss) & xp.isfinite(self._largest)), Status.NON_FINITE)
        self._apply_limits(self._is_running)
        self._retire()
        self._precondition(self._memory.is_empty)
        self._start_searches(self._is_running)
        self._retire()

    def advance(self) -> None:
        """Evaluate the objective once and advance the line search of every row."""
        xp, running = self._xp, self._is_running
        trial = self._x + self._column(self._search.step) * self._direction
        gradient, loss, slope, largest = self._evaluate(trial)
        outcome = self._search.advance(xp.where(xp.isfinite(largest), loss, math.nan), slope)

        exhausted = ~outcome.accepted & (self._n_evaluations >= self._options.max_evaluations)
        ended = outcome.stopped | exhausted
        self._keep_low(outcome.improved, gradient, largest)
        settled = ended & (self._search.low_step > 0.0) & running
        stuck = ended & ~settled & running
        moved = (outcome.accepted & running) | settled
        if xp.any(settled):
            low = self._x + self._column(self._search.low_step) * self._direction
            trial, gradient = self._select(settled, low, trial), self._select(settled, self._low_gradient, gradient)
            loss = xp.where(settled, self._search.low_loss, loss)
            largest = xp.where(settled, self._low_largest, largest)
        if not xp.any(moved | stuck):
            return
        self._move(moved, trial, gradient, loss, largest)
        self._apply_limits(moved | stuck)
        self._handle_stuck(stuck & self._is_running, outcome.unresolved)
        self._start_searches((moved | stuck) & self._is_running)
        self._retire()

    def _keep_low(self, improved: Mask, gradient: Tensor, largest: Array) -> None:
        if self._xp.any(improved):
            self._low_gradient = self._select(improved, gradient, self._low_gradient)
            self._low_largest = self._xp.where(improved, largest, self._low_largest)

    def _move(self, moved: Mask, x: Tensor, gradient: Tensor, loss: Array, largest: Array) -> None:
        """Take the step of the rows in `moved`, update their history and test for convergence."""
        x, gradient = self._select(moved, x, self._x), self._select(moved, gradient, self._gradient)
        product = self._select(moved, self._memory.initial_product(gradient), self._product)
        self._memory.update(moved, x - self._x, gradient - self._gradient, product - self._product)
        self._x, self._gradient, self._product = x, gradient, product
        self._age = self._age + moved

        xp, options = self._xp, self._options
        size = xp.clip(xp.maximum(xp.abs(self._loss), xp.abs(loss)), np.finfo(np.float64).tiny, None)
        idle = (self._loss - loss) / size <= options.relative_loss_tolerance
        self._idle_steps = xp.where(moved, xp.where(idle, self._idle_steps + 1, 0), self._idle_steps)
        self._loss = xp.where(moved, loss, self._loss)
        self._largest = xp.where(moved, largest, self._largest)
        self._n_iterations = self._n_iterations + moved
        converged = (self._idle_steps >= options.patience) | (self._largest <= options.gradient_tolerance)
        self._end(moved & converged, Status.CONVERGED)

    def _handle_stuck(self, stuck: Mask, unresolved: Mask) -> None:
        """Handle rows whose line search found no lower loss.

        They begin anew once, without a history and with a new preconditioner. If that does not help, they have
        converged where the loss cannot show what is left, else failed.
        """
        if not self._xp.any(stuck):
            return
        last_try = self._memory.is_empty
        last_try = last_try | unresolved if self._preconditioner is None else last_try & (self._age == 0)
        self._end(stuck & last_try & unresolved, Status.CONVERGED)
        self._end(stuck & last_try & ~unresolved, Status.LINE_SEARCH_FAILED)
        again = stuck & self._is_running
        if self._xp.any(again):
            self._memory.reset(again)
            self._precondition(again)

    def _apply_limits(self, mask: Mask) -> None:
        options = self._options
        spent = (self._n_iterations >= options.max_iterations) | (self._n_evaluations >= options.max_evaluations)
        self._end(mask & spent & self._is_running, Status.MAX_ITERATIONS)

    def _start_searches(self, mask: Mask) -> None:
        """Choose direction and first step of the rows in `mask`; their step is 1 once there is a history."""
        if self._options.renew_every:
            self._precondition(mask & (self._age >= self._options.renew_every))
        xp = self._xp
        if not xp.any(mask):
            return
        direction, slope = self._descend()
        direction, slope = self._test_prediction(mask, direction, slope)
        uphill = mask & ~(slope < 0.0)
        if xp.any(uphill):
            self._memory.reset(uphill)
            direction = self._select(uphill, -self._product, direction)
            slope = xp.where(uphill, -xp.doubles(row_products(self._product, self._gradient)), slope)
        self._direction = self._select(mask, direction, self._direction)
        step = xp.zeros(self.n_active) + 1.0
        fresh = mask & self._memory.is_empty
        if self._preconditioner is None and xp.any(fresh):
            # L1 norm of the gradient in the variables where the initial matrix is the identity.
            scaled = (self._gradient * self._product).sqrt()
            norm = xp.doubles(row_products(scaled, torch.ones_like(scaled)))
            step = xp.where(fresh, 1.0 / xp.clip(norm, 1.0, None), step)
        self._search.start(mask, self._loss, slope, step)

    def _test_prediction(self, mask: Mask, direction: Tensor, slope: Array) -> tuple[Tensor, Array]:
        """End the rows in `mask` that promise too little, and give back directions of the others."""

        def promise_little() -> Mask:
            too_small = -0.5 * slope <= self._options.predicted_tolerance * self._xp.abs(self._loss)
            return mask & (slope < 0.0) & too_small & self._is_running

        if not self._options.predicted_tolerance:
            return direction, slope
        doubtful = promise_little() & (self._age > _FRESH)
        if self._preconditioner is not None and self._xp.any(doubtful):
            self._precondition(doubtful)
            direction, slope = self._descend()
        self._end(promise_little(), Status.CONVERGED)
        return direction, slope

    def _precondition(self, mask: Mask) -> None:
        """Make the preconditioner of the rows in `mask` anew."""
        if self._preconditioner is None:
            return
        rows = self._xp.tensor(self._xp.indices(mask))
        if not len(rows):
            return
        matrices = self._preconditioner(self._x[rows], self._device_rows[rows])
        self._memory.renew(mask, matrices)
        product = matrix_products(matrices, self._gradient[rows])
        self._product = self._product.index_copy(0, rows, product)
        self._age = self._xp.where(mask, 0, self._age)

    def _descend(self) -> tuple[Tensor, Array]:
        direction = self._memory.descent_direction(self._gradient, self._product)
        return direction, self._xp.doubles(row_products(direction, self._gradient))

    def _retire(self) -> None:
        """Write finished rows to the result and drop them from the state."""
        xp, done = self._xp, ~self._is_running
        if not self._is_time_to_drop(done):
            return
        finished, result = xp.indices(done), self.result
        index = xp.tensor(finished)
        rows = self._device_rows[index]
        result.x[rows], result.gradient[rows] = self._x[index], self._gradient[index]
        for target, values in (
            (result.loss, self._loss),
            (result.n_iterations, self._n_iterations),
            (result.n_evaluations, self._n_evaluations),
            (result.status, self._status),
        ):
            target[rows] = xp.tensor(values[finished]).to(target.dtype)
        self._keep(xp.indices(~done))

    def _is_time_to_drop(self, done: Mask) -> bool:
        if not self._xp.waits_to_look:
            return bool(done.sum() > _WORTH_DROPPING * len(done))
        self._until_look -= 1
        if self._until_look > 0:
            return False
        self._until_look = _LOOK_EVERY
        n_done = int(done.sum())
        return n_done == len(done) or n_done > _WORTH_DROPPING * len(done)

    def _keep(self, index: Array) -> None:
        device_index = self._xp.tensor(index)
        for name in self._SCALARS:
            setattr(self, name, getattr(self, name)[index])
        for name in self._VECTORS:
            setattr(self, name, getattr(self, name).index_select(0, device_index))
        self._memory.keep(index)
        self._search.keep(index)
        self._at = self._objective(self._device_rows) if self.n_active else None

    def _column(self, values: Array) -> Tensor:
        return self._xp.tensor(values).to(self._x.dtype)[:, None]

    def _select(self, mask: Mask, first: Tensor, second: Tensor) -> Tensor:
        """Rows of `first` where `mask`, else of `second`; always a copy, since an objective may reuse its buffers."""
        if not self._xp.waits_to_look and mask.all():
            return first.clone()
        return torch.where(self._xp.tensor(mask)[:, None], first, second)
