"""Files without which nobody can be fitted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from smplifyx.errors import InputError, UsageError

T = TypeVar("T")


def needed(read: Callable[..., T], *arguments: object) -> T:
    """What ``read`` makes of a file; if the file is unusable, the call is wrong and a UsageError is raised."""
    try:
        return read(*arguments)
    except InputError as error:
        raise UsageError(str(error)) from error
