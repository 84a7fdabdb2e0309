"""Time that ``torch.compile`` would save a fit whose objective is computed by torch, and what it costs first."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from smplifyx.body.data import BodyModelData
from smplifyx.config import Config
from smplifyx.fitting.fitter import Fitter
from smplifyx.synthetic.documents import observation_of
from smplifyx.synthetic.people import SyntheticPerson

_REPEATS = 20


@dataclass(frozen=True)
class CompilationFigures:
    """Evaluations of the last stage's objective with gradient, in double precision.

    Attributes:
        n_people: evaluated together.
        compile_seconds: of the first evaluation, in which the stage is compiled.
        plain_ms, compiled_ms: of one evaluation.
    """

    n_people: int
    compile_seconds: float
    plain_ms: float
    compiled_ms: float

    def people_to_pay(self, n_stages: int, n_evaluations: float) -> float:
        """People after whom compilation has paid, each of whom takes some evaluations."""
        saved = 1e-3 * (self.plain_ms - self.compiled_ms) / self.n_people * n_evaluations
        return n_stages * self.compile_seconds / saved if saved > 0 else float("inf")


def measure_compilation(data: BodyModelData, config: Config, people: Sequence[SyntheticPerson]) -> CompilationFigures:
    """Compile the objective of the last stage for a batch of people and time it.

    Raises:
        RuntimeError: there is no compiler.
    """
    fitter = Fitter(data, config=config, dtype="float64", batch_size=len(people))
    hypotheses = fitter.initial_hypotheses([observation_of(one, with_camera=True) for one in people])
    solver = fitter._solver
    objective = solver.objective(solver.stage_terms(len(config.stages)), hypotheses)
    x = hypotheses.x[:, objective.free].clone()
    plain = _seconds(lambda: _evaluate(objective.loss, x))
    torch._dynamo.reset()
    compiled = torch.compile(objective.loss)
    started = time.perf_counter()
    _evaluate(compiled, x)
    compile_seconds = time.perf_counter() - started
    return CompilationFigures(len(x), compile_seconds, 1e3 * plain, 1e3 * _seconds(lambda: _evaluate(compiled, x)))


def _evaluate(loss: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(x).sum(), x)
    return gradient


def _seconds(call: Callable[[], object]) -> float:
    call()
    times = []
    for _ in range(_REPEATS):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return min(times)
