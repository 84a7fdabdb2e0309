"""Fixtures of all tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from smplifyx.body.data import BodyModelData
from smplifyx.body.files import load_body_model_data
from smplifyx.body.search import MODELS_VARIABLE, OPEN_BODY_DIR, find_body_model
from tests.random_body import random_body_model


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """Let SIGINT interrupt: a shell starts processes in the background with this signal ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def open_bodies_first() -> Iterator[None]:
    """Use the shipped bodies, also where licensed ones are installed, as in ``./models``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(MODELS_VARIABLE, str(OPEN_BODY_DIR))
        yield


@pytest.fixture(scope="session")
def open_body() -> BodyModelData:
    """The shipped neutral body."""
    return load_body_model_data(find_body_model("smplx", "neutral", OPEN_BODY_DIR))


@pytest.fixture(scope="session")
def open_bodies(open_body: BodyModelData) -> dict[str, BodyModelData]:
    """The shipped bodies by gender."""
    others = (load_body_model_data(find_body_model("smplx", gender, OPEN_BODY_DIR)) for gender in ("male", "female"))
    return dict(zip(("neutral", "male", "female"), (open_body, *others), strict=True))


@pytest.fixture(scope="session")
def random_body() -> BodyModelData:
    """A body of few random vertices."""
    return random_body_model()
