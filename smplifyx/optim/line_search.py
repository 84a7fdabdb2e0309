"""Strong-Wolfe line search for many rows at once: each row brackets and zooms independently, one trial per call.

Nocedal & Wright, Numerical Optimization (2nd ed.), algorithms 3.5 and 3.6, written as one loop: while no upper end is
known it lies at infinity, so that bracketing and zooming share every rule but the choice of the next step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Next step while expanding, in units of the last stride, beyond the last step; the values of Moré & Thuente (1994),
# with a longer reach, because the very first step of a problem is often far too short.
_EXPAND_MIN, _EXPAND_DEFAULT, _EXPAND_MAX = 1.1, 4.0, 9.0
# While zooming: the share of the interval kept clear at both ends, and where to go when a trial was not finite.
_MARGIN, _RETREAT = 0.1, 0.25
# An interval that keeps more than this share of its width over two trials is halved.
_ENOUGH_SHRINKAGE = 0.66
# In units in the last place of the loss: differences too small to search for, and the expected decrease below which
# a search without success means that rounding is all that is left.
_RESOLUTION, _ROUNDING = 8.0, 1000.0


@dataclass(frozen=True)
class SearchOutcome:
    """Effect of a trial on each row; masks `[A]`, of which `accepted` and `stopped` exclude each other.

    accepted: the trial satisfies the strong Wolfe conditions.
    stopped: the search gave up; `StrongWolfeSearch.low_step` is its best step, 0 if none lowered the loss.
    unresolved: of the stopped rows, those where the direction promised no more than rounding from the start.
    improved: the trial became the best step so far, without ending the search.
    """

    accepted: Mask
    stopped: Mask
    unresolved: Mask
    improved: Mask


class StrongWolfeSearch:
    """State of one line search per row, in double precision.

    `step [A]` is the trial that each row wants evaluated next. Along a row's direction the loss is phi(t), its
    derivative phi'(t). A trial is accepted when phi(t) <= phi(0) + armijo t phi'(0) and
    |phi'(t)| <= curvature |phi'(0)|; a demanded decrease smaller than the loss can resolve counts as zero.

    Args:
        n_rows: number of rows A.
        armijo: sufficient-decrease constant c1.
        curvature: curvature constant c2.
        max_trials: trials after which a row's search stops.
        epsilon: relative spacing of the objective's floating-point numbers.
    """

    _ARRAYS = (
        "step", "_loss_0", "_slope_0", "_low_step", "_low_loss", "_low_slope", "_high_step", "_high_loss",
        "_high_slope", "_promise", "_width", "_older_width", "_trials",
    )  # fmt: skip

    def __init__(self, n_rows: int, armijo: float, curvature: float, max_trials: int, epsilon: float) -> None:
        self._armijo, self._curvature = armijo, curvature
        self._max_trials, self._epsilon = max_trials, epsilon
        self.step: Floats = np.zeros(n_rows)
        self._loss_0, self._slope_0 = np.zeros(n_rows), np.zeros(n_rows)
        self._low_step, self._low_loss, self._low_slope = np.zeros(n_rows), np.zeros(n_rows), np.zeros(n_rows)
        self._high_step, self._high_loss, self._high_slope = np.zeros(n_rows), np.zeros(n_rows), np.zeros(n_rows)
        self._promise = np.zeros(n_rows)
        self._width, self._older_width = np.zeros(n_rows), np.zeros(n_rows)
        self._trials = np.zeros(n_rows, dtype=np.int64)

    @property
    def low_step(self) -> Floats:
        """Best step so far `[A]`; 0 where no trial has lowered the loss enough."""
        return self._low_step

    @property
    def low_loss(self) -> Floats:
        """Loss at `low_step`, `[A]`."""
        return self._low_loss

    def keep(self, index: NDArray[np.int64]) -> None:
        """Drop all rows but `index`."""
        for name in self._ARRAYS:
            setattr(self, name, getattr(self, name)[index])

    def start(self, mask: Mask, loss: Floats, slope: Floats, step: Floats) -> None:
        """Begin a new search in the rows of `mask`; all arrays `[A]`, `slope` negative there, `step` positive."""
        for target, value in (
            (self._loss_0, loss), (self._slope_0, slope), (self.step, step),
            (self._low_step, 0.0), (self._low_loss, loss), (self._low_slope, slope),
            (self._high_step, np.inf), (self._high_loss, np.inf), (self._high_slope, np.nan),
            (self._width, np.inf), (self._older_width, np.inf), (self._trials, 0), (self._promise, -slope * step),
        ):  # fmt: skip
            np.copyto(target, value, where=mask)

    def advance(self, loss: Floats, slope: Floats) -> SearchOutcome:
        """Process phi and phi' `[A]` at `step` and set the next `step`; a value that is not finite is too high."""
        with np.errstate(all="ignore"):
            return self._advance(loss, slope)

    def _advance(self, loss: Floats, slope: Floats) -> SearchOutcome:
        finite = np.isfinite(loss) & np.isfinite(slope)
        loss = np.where(finite, loss, np.inf)
        resolution = self._epsilon * np.maximum(np.abs(self._loss_0), np.abs(self._low_loss))

        decrease = -self._armijo * self.step * self._slope_0
        decrease = np.where(decrease < resolution, 0.0, decrease)
        lower = finite & (loss <= self._loss_0 - decrease)
        accepted = lower & (np.abs(slope) <= -self._curvature * self._slope_0)
        improved = lower & ~accepted & ((loss < self._low_loss) | (self._low_step == 0.0))

        previous = (self._low_step, self._low_loss, self._low_slope)
        turned = improved & (slope * (self._high_step - self._low_step) >= 0.0)
        trial = (self.step, loss, slope)
        self._high_step, self._high_loss, self._high_slope = (
            np.where(improved, np.where(turned, low, high), new)
            for low, high, new in zip(
                previous, (self._high_step, self._high_loss, self._high_slope), trial, strict=True
            )
        )
        self._low_step, self._low_loss, self._low_slope = (
            np.where(improved, new, low) for low, new in zip(previous, trial, strict=True)
        )

        self._trials += 1
        width = np.abs(self._high_step - self._low_step)
        exhausted = np.abs(self._low_slope) * width <= _RESOLUTION * resolution
        stopped = ~accepted & ((self._trials >= self._max_trials) | exhausted)
        unresolved = stopped & (self._promise <= _ROUNDING * resolution)
        self.step = np.where(np.isinf(width), self._expanded(previous), self._zoomed(width))
        self._older_width, self._width = self._width, width
        return SearchOutcome(accepted, stopped, unresolved, improved)

    def _expanded(self, previous: tuple[Floats, Floats, Floats]) -> Floats:
        """Next step `[A]` beyond the last one, extrapolated from it and the one before."""
        low = (self._low_step, self._low_loss, self._low_slope)
        stride = self._low_step - previous[0]
        step = _cubic_minimizer(previous, low)
        step = np.where(np.isfinite(step), step, self._low_step + _EXPAND_DEFAULT * stride)
        return np.clip(step, self._low_step + _EXPAND_MIN * stride, self._low_step + _EXPAND_MAX * stride)

    def _zoomed(self, width: Floats) -> Floats:
        """Next step `[A]` between the low and the high end: the cubic's minimiser, kept away from both ends."""
        span = self._high_step - self._low_step
        step = _cubic_minimizer(
            (self._low_step, self._low_loss, self._low_slope), (self._high_step, self._high_loss, self._high_slope)
        )
        share = np.clip((step - self._low_step) / span, _MARGIN, 1.0 - _MARGIN)
        lazy = np.isfinite(self._older_width) & (width > _ENOUGH_SHRINKAGE * self._older_width)
        share = np.where(lazy | ~np.isfinite(share), 0.5, share)
        share = np.where(np.isinf(self._high_loss), _RETREAT, share)
        return self._low_step + share * span


def _cubic_minimizer(a: tuple[Floats, Floats, Floats], b: tuple[Floats, Floats, Floats]) -> Floats:
    """Minimiser of the cubic with the given (step, loss, slope) at two steps, `[A]`; NaN where there is none.

    Nocedal & Wright, equation 3.59.
    """
    span = b[0] - a[0]
    d1 = a[2] + b[2] + 3.0 * (a[1] - b[1]) / span
    d2 = np.sign(span) * np.sqrt(d1 * d1 - a[2] * b[2])
    return b[0] - span * (b[2] + d2 - d1) / (b[2] - a[2] + 2.0 * d2)
