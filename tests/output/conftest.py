from __future__ import annotations

import pytest

from smplifyx.output import Renderer, RenderUnavailable
from smplifyx.result import FitResult
from tests.random_result import random_result


@pytest.fixture
def result() -> FitResult:
    return random_result()


@pytest.fixture(scope="session")
def gl_renderer() -> Renderer:
    try:
        return Renderer()
    except RenderUnavailable as error:
        pytest.skip(str(error))
