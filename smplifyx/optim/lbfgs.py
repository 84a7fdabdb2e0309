"""L-BFGS with a strong-Wolfe line search for many independent problems at once: one per row of x `[B, D]`.

Each row has its own history, step length, convergence and failure. All active rows advance by one evaluation of the
objective at a time, whatever phase of its line search a row is in.
"""

from __future__ import annotations

import torch
from torch import Tensor

from smplifyx.optim.native_run import NativeRun
from smplifyx.optim.problem import LBFGSOptions, LBFGSResult, Objective, Operators, Preconditioner
from smplifyx.optim.torch_run import TorchRun
from smplifyx.warp_runtime import has_warp


def minimize(
    objective: Objective,
    x0: Tensor,
    options: LBFGSOptions | None = None,
    initial_inverse_hessian: Tensor | None = None,
    preconditioner: Preconditioner | None = None,
    operators: Operators | None = None,
) -> LBFGSResult:
    """Minimise each row's loss from its row of `x0`.

    A trial whose loss or gradient is not finite shortens the step; at the start point it ends the row as NON_FINITE.
    A row whose line search fails forgets its history and tries steepest descent once. On the CPU, unless there are
    operators, a row takes the same path, to the bit, whatever its neighbours are, if the objective computes rows
    independently of each other.

    Args:
        objective: asked for the evaluation of the active rows, each time that some have ended; see `Objective`.
        x0: start points `[B, D]`, float32 or float64, B may be 0.
        options: limits and tolerances.
        initial_inverse_hessian: positive diagonal `[D]` or `[B, D]`, up to a factor a row: the guess from which the
            history builds, that is the square of each variable's natural scale.
        preconditioner: the Hessian from which the history builds instead, made at the start point, where a line
            search fails, and as often as the options say. The first trial of each search then is the whole step.
        operators: as `preconditioner`, for Hessians that are too large to be stored.

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
    options = options or LBFGSOptions()
    if x0.device.type == "cpu" and operators is None and has_warp():
        return NativeRun(objective, x0, options, diagonal, preconditioner).minimize()
    return TorchRun(objective, x0, options, diagonal, operators or preconditioner).minimize()
