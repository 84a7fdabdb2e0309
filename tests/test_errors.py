"""Errors keep their parts on the way between processes."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from smplifyx.config import ConfigError
from smplifyx.errors import InputError, OutputError, UsageError


@pytest.mark.parametrize(
    "error",
    [
        InputError("a.json", "is odd", "people[0]"), InputError(None, "is odd"),
        UsageError("no"), OutputError("full"),
        ConfigError("file", "a.b", "unknown"),
    ],
    ids=str,
)  # fmt: skip
def test_errors_travel_between_processes(error: Exception) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and str(again) == str(error) and vars(again) == vars(error)


def test_the_parts_of_an_error_about_a_file() -> None:
    error = InputError("a.json", "is odd", "people[0]")
    assert (error.path, str(error)) == (Path("a.json"), "a.json: people[0]: is odd")
