"""Gauss-Newton matrices by torch operations: those of the native objective."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from smplifyx.body.files import load_body_model_data
from smplifyx.body.search import find_body_model
from smplifyx.config import load_config
from smplifyx.fitting import state
from smplifyx.fitting.native_objective import NativeObjective
from smplifyx.fitting.objective import Objective
from smplifyx.fitting.torch_curvature import TorchCurvature
from tests.fitting.test_native_objective import _N, _kinds, _objective, _solver

_FAMILY = ["smplx", "smplh", "smpl", "mano", "flame"]


def _both(monkeypatch: pytest.MonkeyPatch, **options: object) -> tuple[Objective, Objective, torch.Tensor]:
    """The objectives of a solver, whose matrices are native and made of torch operations."""
    native, x = _objective(_solver(**options))  # type: ignore[arg-type]
    assert isinstance(native._curvature, NativeObjective)
    monkeypatch.setattr(state.NativeBody, "supports", lambda view: False)
    plain, _ = _objective(_solver(**options))  # type: ignore[arg-type]
    assert isinstance(plain._curvature, TorchCurvature)
    return native, plain, x


def _compare(native: Objective, plain: Objective, x: torch.Tensor, tolerance: float = 1e-3) -> None:
    rows = torch.arange(_N).flip(0)
    found, expected = (one.gauss_newton(x[rows], rows) for one in (plain, native))
    size = expected[0].diagonal(dim1=1, dim2=2).sqrt()
    scale = size[:, :, None] * size[:, None]
    torch.testing.assert_close(found[0] / scale, expected[0] / scale, rtol=0, atol=tolerance)
    torch.testing.assert_close(found[1], expected[1], rtol=1e-3, atol=1e-4)
    factors = plain.hessian_factors(x[rows], rows, 0.1)
    other = native.hessian_factors(x[rows], rows, 0.1)
    assert factors.tril(-1).abs().max() == 0.0
    torch.testing.assert_close(factors, other, rtol=1e-2, atol=1e-3 * float(other.abs().max()))
    assert plain.has_gauss_newton is native.has_gauss_newton


@pytest.mark.parametrize("kind", list(_kinds()))
def test_matrices_are_those_of_the_native_objective(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data, options = _kinds()[kind]

    _compare(*_both(monkeypatch, data=data, **options))


@pytest.mark.parametrize("model", _FAMILY)
def test_all_models_of_the_family(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = load_body_model_data(find_body_model(model, "neutral", side="right" if model == "mano" else None))
    config = load_config(f"fit_{model}")
    config = replace(config, stages=config.stages[-1:], collision=replace(config.collision, enabled=False))
    _compare(*_both(monkeypatch, data=data, config=config))
