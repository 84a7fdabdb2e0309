"""NVIDIA Warp, imported late and without its banner."""

from __future__ import annotations

import functools
import importlib
import os
import shutil
import tempfile
import threading
import warnings
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import ModuleType

import torch

from smplifyx.errors import UsageError, reason
from smplifyx.files import silent_stderr

#: One thread starts Warp; the others wait for it.
_STARTING = threading.Lock()


def load_warp() -> ModuleType:
    """Warp; its import and the first compilation of a kernel take a while, so call this when it is needed.

    Raises:
        UsageError: it cannot be imported; the message names the remedy.
    """
    try:
        warp = importlib.import_module("warp")
    except ImportError as error:
        raise UsageError(
            f"the self-collision term needs the package warp-lang, which cannot be imported ({error}); "
            "install it with 'pip install warp-lang' or go without the term: --collision.enabled false"
        ) from error
    warp.config.log_level = warp.LOG_ERROR
    with _STARTING:
        problem = _start(warp)
    if problem is not None:
        _warn_of_cache(problem, str(warp.config.kernel_cache_dir))
    return warp


def has_warp() -> bool:
    """Whether Warp can be imported; where it is needed, :func:`load_warp` says why not."""
    try:
        load_warp()
    except UsageError:
        return False
    return True


@functools.cache
def _start(warp: ModuleType) -> str | None:
    """Start Warp once; where its cache cannot be written, with one in a temporary folder, and return the reason."""
    # Without a GPU, Warp reports the missing driver past its own log level.
    with nullcontext() if torch.cuda.is_available() else silent_stderr():
        return _start_with_cache(warp)


def _start_with_cache(warp: ModuleType) -> str | None:
    try:
        warp.init()
        usual = Path(warp.config.kernel_cache_dir)
        if os.access(usual, os.W_OK):
            return None
        problem = f"no permission to write {usual}"
    except OSError as error:
        usual, problem = Path(os.devnull), reason(error)
    folder = _own_temporary_folder()
    warp.config.kernel_cache_dir = str(folder)
    warp.init()
    _copy_kernels(usual, folder)
    return problem


@functools.cache
def _warn_of_cache(problem: str, folder: str) -> None:
    """Warn once in a process."""
    warnings.warn(
        f"compiled kernels cannot be kept in the user's cache ({problem}); they are in {folder}. "
        "WARP_CACHE_PATH names another folder",
        stacklevel=1,
    )


def _copy_kernels(source: Path, target: Path) -> None:
    """Copy the compiled modules of a cache; other processes may do the same, and never see an unfinished copy."""
    for compiled in source.glob("wp_*"):
        if (target / compiled.name).exists():
            continue
        copy = Path(tempfile.mkdtemp(prefix=".copy-", dir=target))
        try:
            shutil.copytree(compiled, copy, dirs_exist_ok=True)
            copy.rename(target / compiled.name)
        except OSError:  # another process was first, or the module is compiled anew
            shutil.rmtree(copy, ignore_errors=True)


def _own_temporary_folder() -> Path:
    """A folder that later runs find again, unless somebody else has made it: code in it is run."""
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = Path(tempfile.gettempdir()) / f"smplifyx-kernels-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    is_ours = not folder.is_symlink() and found.st_uid == user and not found.st_mode & 0o022
    return folder if is_ours else Path(tempfile.mkdtemp(prefix="smplifyx-kernels-"))


def torch_stream(warp: ModuleType, device: torch.device) -> AbstractContextManager[object]:
    """Make Warp work in torch's stream, so that neither reads before the other has written."""
    if device.type != "cuda":
        return nullcontext()
    stream: AbstractContextManager[object] = warp.ScopedStream(
        warp.stream_from_torch(torch.cuda.current_stream(device))
    )
    return stream
