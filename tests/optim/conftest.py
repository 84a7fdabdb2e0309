"""The optimiser's tests run with both of its implementations."""

from __future__ import annotations

import pytest

from smplifyx.optim import lbfgs


@pytest.fixture(params=["native", "torch"])
def run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Minimise natively, or by torch operations."""
    monkeypatch.setattr(lbfgs, "has_warp", lambda: request.param == "native")
    return str(request.param)
