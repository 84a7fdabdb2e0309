"""L-BFGS on the CPU as one native call a step for all rows, instead of a hundred operations on arrays.

It takes the steps of :class:`~smplifyx.optim.torch_run.TorchRun`. Questions of the active rows and the answers to
them pass through arrays; the state of a row stays in its place, so that rows are dropped at no cost.
"""

from __future__ import annotations

from functools import cache, partial
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from smplifyx.native_function import NativeCall
from smplifyx.optim.native_tables import (
    ADDRESSES,
    COUNTS,
    KINDS,
    NUMBERS,
    SCALARS,
    SIZES,
    VECTORS,
    WAITS,
    declarations,
)
from smplifyx.optim.problem import Evaluation, LBFGSOptions, LBFGSResult, Objective, Preconditioner, checked

#: Whole numbers.
IntArray = npt.NDArray[np.int32]

#: Share of the rows that have to end before the objective is asked for the evaluation of the others.
_WORTH_DROPPING = 0.1
_VECTOR, _ADDRESS, _SIZE, _NUMBER, _SCALAR, _COUNT, _WAIT, _KIND = (
    {name: place for place, name in enumerate(names)}
    for names in (
        VECTORS, [name for _, name in ADDRESSES], SIZES, NUMBERS, SCALARS, COUNTS, WAITS, KINDS,
    )
)  # fmt: skip


@cache
def optimiser_source(real: str) -> str:
    """C++ of the optimiser for "float" or "double"."""
    body = (resources.files("smplifyx.optim") / "native" / "lbfgs.cpp").read_text(encoding="utf-8")
    return f"typedef {real} real;\n" + body.replace("// DECLARATIONS", f"{declarations()}\n// DECLARATIONS")


def _zeros(kind: type[np.floating[Any]], *shape: int) -> Tensor:
    """Zeros that take memory only once they are touched, unlike torch's."""
    return torch.from_numpy(np.zeros(shape, kind))


class NativeRun:
    """The rows of one minimisation on the CPU; arguments as of :func:`~smplifyx.optim.lbfgs.minimize`."""

    def __init__(
        self,
        objective: Objective,
        x0: Tensor,
        options: LBFGSOptions,
        diagonal: Tensor | None,
        preconditioner: Preconditioner | None,
    ) -> None:
        n_rows, n_parameters = x0.shape
        self._objective, self._preconditioner = objective, preconditioner
        self._x0, self._n_parameters = x0, n_parameters
        length = -(-n_parameters // 8) * 8
        zeros = partial(_zeros, np.float32 if x0.dtype == torch.float32 else np.float64)
        self._vectors = zeros(n_rows, len(VECTORS), length)
        self._vectors[:, _VECTOR["X"], :n_parameters] = x0
        self._counts = np.zeros((len(COUNTS), n_rows), np.int32)
        self._counts[_COUNT["WAITS_FOR"]] = _WAIT["EVALUATION"]
        self._scalars = np.zeros((len(SCALARS), n_rows))
        self._scalars[_SCALAR["GAMMA"]] = 1.0
        size = options.history_size
        if preconditioner is not None:
            kind, self._matrices = "DENSE", zeros(n_rows, n_parameters, length)
        elif diagonal is not None:
            kind, self._matrices = "DIAGONAL", zeros(n_rows, length)
            self._matrices[:, :n_parameters] = diagonal
        else:
            kind, self._matrices = "IDENTITY", zeros(0)
        self._state = {
            "vectors": self._vectors,
            "pairs": zeros(n_rows, 3 * size, length),
            "rhos": torch.zeros(n_rows, size, dtype=torch.float64),
            "scalars": torch.from_numpy(self._scalars),
            "counts": torch.from_numpy(self._counts),
            "preconditioners": self._matrices,
            "scratch": torch.zeros(2 * length + size, dtype=torch.float64),
        }
        sizes = {
            "B": n_rows, "D": n_parameters, "H": size, "kind": _KIND[kind], "renews": preconditioner is not None,
            "max_iterations": options.max_iterations, "max_evaluations": options.max_evaluations,
            "max_line_search": options.max_line_search, "patience": options.patience,
            "renew_every": options.renew_every,
        }  # fmt: skip
        self._addresses, self._sizes = np.zeros(len(ADDRESSES), np.uint64), np.zeros(len(SIZES), np.int32)
        for name, number in sizes.items():
            self._sizes[_SIZE[name]] = number
        for name, array in self._state.items():
            self._addresses[_ADDRESS[name]] = array.data_ptr()
        epsilon = torch.finfo(x0.dtype).eps
        self._numbers = np.array([epsilon if name == "epsilon" else getattr(options, name) for name in NUMBERS])
        source = optimiser_source("float" if x0.dtype == torch.float32 else "double")
        self._call = NativeCall(source, len(ADDRESSES), len(SIZES), len(NUMBERS))

    def minimize(self) -> LBFGSResult:
        """Minimise all rows."""
        rows, questions = torch.arange(len(self._x0)), self._x0.clone()
        while len(rows):
            left = self._minimize_some(rows, questions, self._objective(rows))
            rows, questions = rows[left], questions[left]
        return self._result()

    def _minimize_some(self, rows: Tensor, questions: Tensor, evaluation: Evaluation) -> Tensor:
        """Answer the questions of the active rows, which become the next ones, until enough of them have ended.

        Returns:
            places of those that go on.
        """
        while True:
            answer = checked(evaluation(questions), questions)
            waiting = self._advance(rows, questions, *answer)
            while (asking := np.flatnonzero(waiting == _WAIT["PRECONDITIONER"])).size:
                assert self._preconditioner is not None
                places = torch.from_numpy(asking)
                factors = self._preconditioner(questions[places], rows[places])
                self._matrices[rows[places], :, : self._n_parameters] = factors
                waiting = self._advance(rows, questions)
            left = np.flatnonzero(waiting)
            if len(left) < (1.0 - _WORTH_DROPPING) * len(rows):
                return torch.from_numpy(left)

    def _advance(
        self, rows: Tensor, questions: Tensor, loss: Tensor | None = None, gradient: Tensor | None = None
    ) -> IntArray:
        """Let rows [A] go on that waited for an evaluation, or without one for a preconditioner.

        Returns:
            [A] what each waits for.
        """
        arrays = {"rows": rows, "questions": questions}
        if loss is not None and gradient is not None:
            arrays.update(losses=loss, gradients=gradient)
        for name, array in arrays.items():
            self._addresses[_ADDRESS[name]] = array.data_ptr()
        self._sizes[_SIZE["made_preconditioners"]] = loss is None
        self._call(len(rows), self._addresses, self._sizes, self._numbers)
        return self._counts[_COUNT["WAITS_FOR"]][rows.numpy()]

    def _result(self) -> LBFGSResult:
        x, gradient = (self._vectors[:, _VECTOR[name], : self._n_parameters] for name in ("X", "GRADIENT"))
        loss = torch.from_numpy(self._scalars[_SCALAR["LOSS"]]).to(x)
        counts = (
            torch.from_numpy(self._counts[_COUNT[name]]).long() for name in ("ITERATIONS", "EVALUATIONS", "STATUS")
        )
        return LBFGSResult(x.contiguous(), loss, gradient.contiguous(), *counts)
