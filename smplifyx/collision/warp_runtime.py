"""NVIDIA Warp, imported late and without its banner."""

from __future__ import annotations

import functools
import importlib
import os
import shutil
import tempfile
import warnings
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import ModuleType

import torch

from smplifyx.errors import UsageError, reason
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
        problem = _start(warp)
    if problem is not None:
        folder = warp.config.kernel_cache_dir
        warnings.warn(
            f"compiled kernels cannot be kept in the user's cache ({problem}); they are in {folder}. "
            "WARP_CACHE_PATH names another folder",
            stacklevel=2,
        )
    return warp


@functools.cache
def _start(warp: ModuleType) -> str | None:
    """Start Warp; where its cache cannot be written, with one in a temporary folder, and return the reason."""
    problem = None
    try:
        warp.init()
        usual = Path(warp.config.kernel_cache_dir)
        if os.access(usual, os.W_OK):
            return None
        problem = f"no permission to write {usual}"
    except OSError as error:
        usual, problem = Path(os.devnull), reason(error)
    warp.config.kernel_cache_dir = str(_own_temporary_folder())
    warp.init()
    for compiled in usual.glob("wp_*"):
        shutil.copytree(compiled, Path(warp.config.kernel_cache_dir) / compiled.name, dirs_exist_ok=True)
    return problem


def _own_temporary_folder() -> Path:
    """A folder that later runs find again, unless somebody else has made it: what lies there is run."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"smplifyx-kernels-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    is_ours = not folder.is_symlink() and found.st_uid == user and not found.st_mode & 0o022
    return folder if is_ours else Path(tempfile.mkdtemp(prefix="smplifyx-kernels-"))


def torch_stream(warp: ModuleType, device: torch.device) -> AbstractContextManager[object]:
    """Make Warp work in torch's stream, so that neither reads what the other has not written yet."""
    if device.type != "cuda":
        return nullcontext()
    stream: AbstractContextManager[object] = warp.ScopedStream(
        warp.stream_from_torch(torch.cuda.current_stream(device))
    )
    return stream
