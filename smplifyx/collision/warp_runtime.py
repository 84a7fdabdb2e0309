"""NVIDIA Warp, imported late and without its banner."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import ModuleType

import torch

from smplifyx.errors import UsageError


def load_warp() -> ModuleType:
    """Warp; its import and the first compilation of a kernel take a while, so call this when it is needed.

    Raises:
        UsageError: it cannot be imported; the message says what to do.
    """
    try:
        warp = importlib.import_module("warp")
    except ImportError as error:
        raise UsageError(
            f"the self-collision term needs the package warp-lang, which cannot be imported ({error}); "
            "install it with 'pip install warp-lang' or go without the term: --collision.enabled false"
        ) from error
    warp.config.log_level = warp.LOG_ERROR
    with nullcontext() if torch.cuda.is_available() else _silent_stderr():
        warp.init()
    return warp


def torch_stream(warp: ModuleType, device: torch.device) -> AbstractContextManager[object]:
    """Make Warp work in torch's stream, so that neither reads what the other has not written yet."""
    if device.type != "cuda":
        return nullcontext()
    stream: AbstractContextManager[object] = warp.ScopedStream(
        warp.stream_from_torch(torch.cuda.current_stream(device))
    )
    return stream


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Hide the output of native code: Warp reports a missing GPU driver past Python and its own log level."""
    try:
        kept = os.dup(2)
    except OSError:  # no such stream, so nothing to hide
        yield
        return
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(sink, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(sink)
