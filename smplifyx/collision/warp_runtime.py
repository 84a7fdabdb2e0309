"""NVIDIA Warp, imported late and without its banner."""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType

import torch

from smplifyx.errors import UsageError
from smplifyx.files import silent_stderr


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
    # Without a GPU, Warp reports the missing driver past its own log level.
    with nullcontext() if torch.cuda.is_available() else silent_stderr():
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
