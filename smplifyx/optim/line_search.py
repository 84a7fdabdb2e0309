"""Strong-Wolfe line search for many rows at once: each row brackets and zooms independently, one trial per call.

Nocedal & Wright, Numerical Optimization (2nd ed.), algorithms 3.5 and 3.6, written as one loop: while no upper end is
known it lies at infinity, so that bracketing and zooming share every rule but the choice of the next step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

#: [A] in double precision, and [A] booleans.
Floats = Tensor
Mask = Tensor

# Next step while expanding, in units of the last stride, beyond the last step; the values of Moré & Thuente (1994),
# with a longer reach, because the very first step of a problem is often far too short.
_EXPAND_MIN, _EXPAND_DEFAULT, _EXPAND_MAX = 1.1, 4.0, 9.0
# While zooming: the share of the interval kept clear at both ends, and where to go when a trial was not finite.
_MARGIN, _RETREAT = 0.1, 0.25
# An interval that keeps more than this share of its width over two trials is halved.
_ENOUGH_SHRINKAGE = 0.66
# Differences of the loss too small to search for, in units in the last place.
_RESOLUTION = 8.0
# Promised decrease that shows in the loss, in errors of the loss; trials of a search that promises less; and promise
# below which a search without success means that rounding is all that is left.
_CLEAR, _UNCLEAR_TRIALS, _LEFT = 4.0, 4, 10.0
#: By their names in the native optimiser.
CONSTANTS = {
    "EXPAND_MIN": _EXPAND_MIN, "EXPAND_DEFAULT": _EXPAND_DEFAULT, "EXPAND_MAX": _EXPAND_MAX,
    "MARGIN": _MARGIN, "RETREAT": _RETREAT, "ENOUGH_SHRINKAGE": _ENOUGH_SHRINKAGE, "RESOLUTION": _RESOLUTION,
    "CLEAR": _CLEAR, "UNCLEAR_TRIALS": _UNCLEAR_TRIALS, "LEFT": _LEFT,
}  # fmt: skip


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
        device: where the numbers are.
        noise: relative error of the loss. Where the first step promises little more than that, the slope alone
            decides, as long as the loss does not rise by more (approximate Wolfe conditions, Hager & Zhang 2005); so
            it does where no more is left up to a trial.
    """

    _ARRAYS = (
        "step", "_loss_0", "_slope_0", "_low_step", "_low_loss", "_low_slope", "_high_step", "_high_loss",
        "_high_slope", "_promise", "_width", "_older_width", "_trials",
    )  # fmt: skip

    def __init__(
        self,
        n_rows: int,
        armijo: float,
        curvature: float,
        max_trials: int,
        epsilon: float,
        device: torch.device | None = None,
        noise: float = 0.0,
    ) -> None:
        self._armijo, self._curvature = armijo, curvature
        self._max_trials, self._epsilon, self._noise = max_trials, epsilon, noise
        zeros = torch.zeros(n_rows, dtype=torch.float64, device=device)
        self.step: Floats = zeros
        self._loss_0 = self._slope_0 = zeros
        self._low_step = self._low_loss = self._low_slope = zeros
        self._high_step = self._high_loss = self._high_slope = zeros
        self._promise = self._width = self._older_width = zeros
        self._trials = torch.zeros(n_rows, dtype=torch.int64, device=device)

    @property
    def low_step(self) -> Floats:
        """Best step so far `[A]`; 0 where no trial has lowered the loss enough."""
        return self._low_step

    @property
    def low_loss(self) -> Floats:
        """Loss at `low_step`, `[A]`."""
        return self._low_loss

    def keep(self, index: Tensor) -> None:
        """Drop all rows but `index`."""
        for name in self._ARRAYS:
            setattr(self, name, getattr(self, name)[index])

    def start(self, mask: Mask, loss: Floats, slope: Floats, step: Floats) -> None:
        """Begin a new search in the rows of `mask`; all arrays `[A]`, `slope` negative there, `step` positive."""
        for name, value in (
            ("_loss_0", loss), ("_slope_0", slope), ("step", step),
            ("_low_step", 0.0), ("_low_loss", loss), ("_low_slope", slope),
            ("_high_step", math.inf), ("_high_loss", math.inf), ("_high_slope", math.nan),
            ("_width", math.inf), ("_older_width", math.inf), ("_trials", 0), ("_promise", -slope * step),
        ):  # fmt: skip
            setattr(self, name, torch.where(mask, value, getattr(self, name)))

    def advance(self, loss: Floats, slope: Floats) -> SearchOutcome:
        """Process phi and phi' `[A]` at `step` and set the next `step`; a value that is not finite is too high."""
        finite = torch.isfinite(loss) & torch.isfinite(slope)
        loss = torch.where(finite, loss, math.inf)
        resolution = self._epsilon * torch.maximum(torch.abs(self._loss_0), torch.abs(self._low_loss))

        decrease = -self._armijo * self.step * self._slope_0
        decrease = torch.where(decrease < resolution, 0.0, decrease)
        noise = self._noise * torch.abs(self._loss_0)
        unclear = self._promise <= _CLEAR * noise
        # The model may promise far more than there is to gain up to a trial that is flat. Both losses have errors.
        flat = torch.abs(slope) <= -self._curvature * self._slope_0
        gain = torch.abs(self._low_slope * (self.step - self._low_step))
        rise = torch.where(unclear, noise, torch.where(flat & (gain <= _CLEAR * noise), 2.0 * noise, -decrease))
        lower = finite & (loss <= self._loss_0 + rise)
        accepted = lower & flat
        improved = lower & ~accepted & ((loss < self._low_loss) | (self._low_step == 0.0))

        previous = (self._low_step, self._low_loss, self._low_slope)
        turned = improved & (slope * (self._high_step - self._low_step) >= 0.0)
        trial = (self.step, loss, slope)
        self._high_step, self._high_loss, self._high_slope = (
            torch.where(improved, torch.where(turned, low, high), new)
            for low, high, new in zip(
                previous, (self._high_step, self._high_loss, self._high_slope), trial, strict=True
            )
        )
        self._low_step, self._low_loss, self._low_slope = (
            torch.where(improved, new, low) for low, new in zip(previous, trial, strict=True)
        )

        self._trials = self._trials + 1
        width = torch.abs(self._high_step - self._low_step)
        exhausted = torch.abs(self._low_slope) * width <= _RESOLUTION * resolution
        exhausted = torch.where(unclear, self._trials >= _UNCLEAR_TRIALS, exhausted)
        stopped = ~accepted & ((self._trials >= self._max_trials) | exhausted)
        # A direction uphill, as of an indefinite matrix, promises a rise: that says nothing about a minimum.
        left = _LEFT * torch.maximum(noise, _RESOLUTION * resolution)
        unresolved = stopped & (self._promise >= 0.0) & (self._promise <= left)
        self.step = torch.where(torch.isinf(width), self._expanded(previous), self._zoomed(width))
        self._older_width, self._width = self._width, width
        return SearchOutcome(accepted, stopped, unresolved, improved)

    def _expanded(self, previous: tuple[Floats, Floats, Floats]) -> Floats:
        """Next step `[A]` beyond the last one, extrapolated from it and the one before."""
        low = (self._low_step, self._low_loss, self._low_slope)
        stride = self._low_step - previous[0]
        step = _cubic_minimizer(previous, low)
        step = torch.where(torch.isfinite(step), step, self._low_step + _EXPAND_DEFAULT * stride)
        return torch.clamp(step, self._low_step + _EXPAND_MIN * stride, self._low_step + _EXPAND_MAX * stride)

    def _zoomed(self, width: Floats) -> Floats:
        """Next step `[A]` between the low and the high end: the cubic's minimiser, kept away from both ends."""
        span = self._high_step - self._low_step
        step = _cubic_minimizer(
            (self._low_step, self._low_loss, self._low_slope),
            (self._high_step, self._high_loss, self._high_slope),
        )
        share = torch.clamp((step - self._low_step) / span, _MARGIN, 1.0 - _MARGIN)
        lazy = torch.isfinite(self._older_width) & (width > _ENOUGH_SHRINKAGE * self._older_width)
        share = torch.where(lazy | ~torch.isfinite(share), 0.5, share)
        share = torch.where(torch.isinf(self._high_loss), _RETREAT, share)
        return self._low_step + share * span


def _cubic_minimizer(a: tuple[Floats, Floats, Floats], b: tuple[Floats, Floats, Floats]) -> Floats:
    """Minimiser of the cubic with the given (step, loss, slope) at two steps, `[A]`; NaN where there is none.

    Nocedal & Wright, equation 3.59.
    """
    span = b[0] - a[0]
    d1 = a[2] + b[2] + 3.0 * (a[1] - b[1]) / span
    d2 = torch.sign(span) * torch.sqrt(d1 * d1 - a[2] * b[2])
    return b[0] - span * (b[2] + d2 - d1) / (b[2] - a[2] + 2.0 * d2)
