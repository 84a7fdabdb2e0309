"""The optimiser with its state on a simulated GPU: the same steps as on the CPU, and few waits."""

from __future__ import annotations

import pytest
import torch

from smplifyx.optim.lbfgs import minimize
from smplifyx.optim.problem import Evaluation, LBFGSOptions, Status
from tests.simulated_gpu import simulated_device, simulated_gpu

_N, _D = 10, 4


def _valleys(rows: torch.Tensor) -> Evaluation:
    """Curved valleys whose steepness grows with the row; the last row has no minimum, and becomes infinite."""
    steep = (1.0 + rows.double())[:, None]
    broken = rows == _N - 1

    def evaluate(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        bend = x[:, 1:] - x[:, :-1].square()
        loss = (steep * bend.square()).sum(1) + (1.0 - x[:, :-1]).square().sum(1)
        gradient = torch.zeros_like(x)
        gradient[:, 1:] += 2.0 * steep * bend
        gradient[:, :-1] += -4.0 * steep * bend * x[:, :-1] - 2.0 * (1.0 - x[:, :-1])
        return torch.where(broken, torch.inf, loss), gradient

    return evaluate


@pytest.mark.parametrize("limit", [12, 200])
def test_the_steps_are_those_of_the_cpu_and_looks_are_rare(limit: int) -> None:
    start = torch.linspace(-1.0, 1.5, _N * _D, dtype=torch.float64).reshape(_N, _D)
    options = LBFGSOptions(max_iterations=limit, history_size=5)
    scale = torch.linspace(0.5, 2.0, _D, dtype=torch.float64)
    expected = minimize(_valleys, start, options, scale)
    with simulated_gpu() as count:
        device_start, device_scale = start.to(simulated_device()), scale.to(simulated_device())
        before = count.n_waits
        found = minimize(_valleys, device_start, options, device_scale)
        waits = count.n_waits - before
        found_x, found_loss, status, n_evaluations = (
            part.cpu() for part in (found.x, found.loss, found.status, found.n_evaluations)
        )
    assert {Status.NON_FINITE, Status.CONVERGED if limit == 200 else Status.MAX_ITERATIONS} <= set(status.tolist())
    assert torch.equal(status, expected.status)
    assert torch.equal(n_evaluations, expected.n_evaluations)
    torch.testing.assert_close(found_x, expected.x, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found_loss, expected.loss, rtol=1e-6, atol=1e-9)
    assert waits <= int(n_evaluations.max())
