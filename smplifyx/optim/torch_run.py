"""L-BFGS by torch operations on all rows: on GPUs, and where Hessians are operators."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from smplifyx.optim.inverse_hessian import InverseHessian, Mask, matrix_products, row_products
from smplifyx.optim.line_search import StrongWolfeSearch
from smplifyx.optim.native_tables import FRESH
from smplifyx.optim.problem import (
    LBFGSOptions,
    LBFGSResult,
    Objective,
    Operators,
    Preconditioner,
    Status,
    checked,
)

#: Share of the rows that have to end before they are dropped, as this copies the state of all others, and evaluations
#: between two looks at a GPU, which has to be waited for.
_WORTH_DROPPING, _LOOK_EVERY = 0.2, 4


class TorchRun:
    """The active rows of one minimisation: scalars `[A]` in double precision, vectors `[A, D]`.

    Rows that have ended are dropped a fifth at a time. A step that only some rows need is done for all of them, and
    its result kept for those: a GPU would have to be waited for to know which ones need it.
    """

    _ARRAYS = (
        "_n_iterations",
        "_n_evaluations",
        "_idle_steps",
        "_age",
        "_status",
        "_loss",
        "_largest",
        "_low_largest",
        "_rows",
        "_x",
        "_direction",
        "_gradient",
        "_low_gradient",
        "_product",
    )

    def __init__(
        self,
        objective: Objective,
        x0: Tensor,
        options: LBFGSOptions,
        diagonal: Tensor | None,
        preconditioner: Preconditioner | Operators | None,
    ) -> None:
        n_rows = x0.shape[0]
        counts = x0.new_zeros(n_rows, dtype=torch.int64)
        self._objective, self._options = objective, options
        self._preconditioner = preconditioner
        self._epsilon = torch.finfo(x0.dtype).eps
        self._rows = torch.arange(n_rows, device=x0.device)
        self._at = objective(self._rows) if n_rows else None
        self._x = x0
        self._n_iterations = self._n_evaluations = self._idle_steps = self._status = counts
        self._age = counts  # steps since the row's preconditioner was made
        self._looks_for_free, self._until_look = x0.device.type == "cpu", 0
        self._memory = InverseHessian(x0, options.history_size, diagonal)
        self._search = StrongWolfeSearch(
            n_rows,
            options.armijo,
            options.curvature,
            options.max_line_search,
            self._epsilon,
            x0.device,
            options.loss_noise,
        )
        self._direction = torch.zeros_like(x0)
        self.result = LBFGSResult(
            x0.clone(), x0.new_zeros(n_rows), torch.zeros_like(x0),
            counts, counts.clone(), counts.clone(),
        )  # fmt: skip
        if n_rows:
            self._evaluate_start()

    def minimize(self) -> LBFGSResult:
        """Minimise all rows."""
        while self.n_active:
            self.advance()
        return self.result

    @property
    def n_active(self) -> int:
        """Rows that are not dropped yet."""
        return len(self._rows)

    @property
    def _is_running(self) -> Mask:
        """Rows that have not ended; the others wait to be dropped."""
        return self._status == int(Status.RUNNING)

    def _end(self, mask: Mask, status: Status) -> None:
        """Set the status of the rows in `mask`."""
        self._status = torch.where(mask, int(status), self._status)

    def _evaluate(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Gradient `[A, D]`, loss, slope along the direction and largest gradient component, `[A]` each."""
        assert self._at is not None
        loss, gradient = checked(self._at(x), x)
        self._n_evaluations = self._n_evaluations + self._is_running
        slope = row_products(gradient, self._direction)
        scalars = torch.stack((loss, slope, gradient.abs().amax(-1))).double()
        return gradient, scalars[0], scalars[1], scalars[2]

    def _evaluate_start(self) -> None:
        gradient, self._loss, _, self._largest = self._evaluate(self._x)
        self._gradient = self._low_gradient = gradient.clone()
        self._product = self._memory.initial_product(self._gradient)
        self._low_largest = self._largest
        self._end(self._largest <= self._options.gradient_tolerance, Status.CONVERGED)
        self._end(~(self._loss.isfinite() & self._largest.isfinite()), Status.NON_FINITE)
        self._apply_limits(self._is_running)
        self._retire()
        self._precondition(self._memory.is_empty)
        self._start_searches(self._is_running, torch.zeros_like(self._is_running))
        self._retire()

    def advance(self) -> None:
        """Evaluate the objective once and advance the line search of every row."""
        running = self._is_running
        trial = self._x + self._column(self._search.step) * self._direction
        gradient, loss, slope, largest = self._evaluate(trial)
        outcome = self._search.advance(torch.where(largest.isfinite(), loss, math.nan), slope)

        exhausted = ~outcome.accepted & (self._n_evaluations >= self._options.max_evaluations)
        ended = outcome.stopped | exhausted
        self._keep_low(outcome.improved, gradient, largest)
        settled = ended & (self._search.low_step > 0.0) & running
        stuck = ended & ~settled & running
        moved = (outcome.accepted & running) | settled
        if self._looks_for_free and not bool((moved | stuck).any()):
            return
        low = self._x + self._column(self._search.low_step) * self._direction
        trial, gradient = self._select(settled, low, trial), self._select(settled, self._low_gradient, gradient)
        loss = torch.where(settled, self._search.low_loss, loss)
        largest = torch.where(settled, self._low_largest, largest)
        self._move(moved, trial, gradient, loss, largest)
        self._apply_limits(moved | stuck)
        again = self._begin_anew(stuck & self._is_running, outcome.unresolved)
        self._start_searches((moved | stuck) & self._is_running, again)
        self._retire()

    def _keep_low(self, improved: Mask, gradient: Tensor, largest: Tensor) -> None:
        self._low_gradient = self._select(improved, gradient, self._low_gradient)
        self._low_largest = torch.where(improved, largest, self._low_largest)

    def _move(self, moved: Mask, x: Tensor, gradient: Tensor, loss: Tensor, largest: Tensor) -> None:
        """Take the step of the rows in `moved`, update their history and test for convergence."""
        x, gradient = self._select(moved, x, self._x), self._select(moved, gradient, self._gradient)
        product = self._select(moved, self._memory.initial_product(gradient), self._product)
        self._memory.update(moved, x - self._x, gradient - self._gradient, product - self._product)
        self._x, self._gradient, self._product = x, gradient, product
        self._age = self._age + moved

        options = self._options
        size = torch.maximum(self._loss.abs(), loss.abs()).clamp(min=torch.finfo(torch.float64).tiny)
        idle = (self._loss - loss) / size <= options.relative_loss_tolerance
        self._idle_steps = torch.where(moved, torch.where(idle, self._idle_steps + 1, 0), self._idle_steps)
        self._loss = torch.where(moved, loss, self._loss)
        self._largest = torch.where(moved, largest, self._largest)
        self._n_iterations = self._n_iterations + moved
        converged = (self._idle_steps >= options.patience) | (self._largest <= options.gradient_tolerance)
        self._end(moved & converged, Status.CONVERGED)

    def _begin_anew(self, stuck: Mask, unresolved: Mask) -> Mask:
        """Let rows begin anew whose line search found no lower loss, and say which.

        They do it once, without a history and with a new preconditioner. If that does not help, they have
        converged where the loss cannot show the rest, else failed.
        """
        last_try = self._memory.is_empty
        last_try = last_try | unresolved if self._preconditioner is None else last_try & (self._age == 0)
        self._end(stuck & last_try & unresolved, Status.CONVERGED)
        self._end(stuck & last_try & ~unresolved, Status.LINE_SEARCH_FAILED)
        again = stuck & self._is_running
        self._memory.reset(again)
        return again

    def _apply_limits(self, mask: Mask) -> None:
        options = self._options
        spent = (self._n_iterations >= options.max_iterations) | (self._n_evaluations >= options.max_evaluations)
        self._end(mask & spent & self._is_running, Status.MAX_ITERATIONS)

    def _start_searches(self, mask: Mask, anew: Mask) -> None:
        """Choose direction and first step of the rows in `mask`; their step is 1 once there is a history.

        Those in `anew` get a new preconditioner, as do those whose own is old.
        """
        if self._options.renew_every:
            anew = anew | (self._age >= self._options.renew_every)
        self._precondition(mask & anew)
        direction, slope = self._descend()
        direction, slope = self._test_prediction(mask, direction, slope)
        uphill = mask & ~(slope < 0.0)
        self._memory.reset(uphill)
        direction = self._select(uphill, -self._product, direction)
        slope = torch.where(uphill, -row_products(self._product, self._gradient).double(), slope)
        self._direction = self._select(mask, direction, self._direction)
        step = torch.ones_like(slope)
        if self._preconditioner is None:
            # L1 norm of the gradient in the variables where the initial matrix is the identity.
            scaled = (self._gradient * self._product).sqrt()
            norm = scaled.sum(1).double()
            step = torch.where(self._memory.is_empty, 1.0 / norm.clamp(min=1.0), step)
        self._search.start(mask, self._loss, slope, step)

    def _test_prediction(self, mask: Mask, direction: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
        """End the rows in `mask` that promise too little, and give back directions of the others."""

        def promise_little() -> Mask:
            too_small = -0.5 * slope <= self._options.predicted_tolerance * self._loss.abs()
            return mask & (slope < 0.0) & too_small & self._is_running

        if not self._options.predicted_tolerance:
            return direction, slope
        doubtful = promise_little() & (self._age > FRESH)
        if self._preconditioner is not None:
            self._precondition(doubtful)
            direction, slope = self._descend()
        self._end(promise_little(), Status.CONVERGED)
        return direction, slope

    def _precondition(self, mask: Mask) -> None:
        """Make the preconditioner of the rows in `mask` anew."""
        if self._preconditioner is None:
            return
        rows = mask.nonzero()[:, 0]
        if not len(rows):
            return
        matrices = self._preconditioner(self._x[rows], self._rows[rows])
        self._memory.renew(mask, rows, matrices)
        product = matrix_products(matrices, self._gradient[rows])
        self._product = self._product.index_copy(0, rows, product)
        self._age = torch.where(mask, 0, self._age)

    def _descend(self) -> tuple[Tensor, Tensor]:
        direction = self._memory.descent_direction(self._gradient, self._product)
        return direction, row_products(direction, self._gradient).double()

    def _retire(self) -> None:
        """Write finished rows to the result and drop them from the state."""
        done = ~self._is_running
        if not self._is_time_to_drop(done):
            return
        index, result = done.nonzero()[:, 0], self.result
        rows = self._rows[index]
        result.x[rows], result.gradient[rows] = self._x[index], self._gradient[index]
        for target, values in (
            (result.loss, self._loss),
            (result.n_iterations, self._n_iterations),
            (result.n_evaluations, self._n_evaluations),
            (result.status, self._status),
        ):
            target[rows] = values[index].to(target.dtype)
        self._keep((~done).nonzero()[:, 0])

    def _is_time_to_drop(self, done: Mask) -> bool:
        self._until_look -= 1
        if self._until_look > 0:
            return False
        self._until_look = 0 if self._looks_for_free else _LOOK_EVERY
        n_done = int(done.sum())
        return n_done == len(done) or n_done > _WORTH_DROPPING * len(done)

    def _keep(self, index: Tensor) -> None:
        for name in self._ARRAYS:
            setattr(self, name, getattr(self, name)[index])
        self._memory.keep(index)
        self._search.keep(index)
        self._at = self._objective(self._rows) if self.n_active else None

    def _column(self, values: Tensor) -> Tensor:
        return values.to(self._x.dtype)[:, None]

    def _select(self, mask: Mask, first: Tensor, second: Tensor) -> Tensor:
        """Rows of `first` where `mask`, else of `second`; always a copy, since an objective may reuse its buffers."""
        return torch.where(mask[:, None], first, second)
