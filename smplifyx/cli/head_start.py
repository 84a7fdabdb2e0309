"""Work for a second core while the modules of a fit are imported."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from smplifyx.config import Config

#: Modules with a library of their own that are imported before torch. They come first, as linking a library waits
#: while another one is linked; one that is not listed here only waits.
_FIRST = (
    "PIL._imaging", "_blake2", "_csv", "_hashlib", "_json", "_lsprof", "_multiprocessing", "_posixshmem",
    "_posixsubprocess", "_queue", "_socket", "_uuid", "array", "fcntl", "grp", "mmap", "select", "unicodedata",
)  # fmt: skip
#: Libraries of packages that are imported later, the largest ones, in the order in which the packages link them.
_AHEAD = (
    ("cv2", "cv2.abi3.so"),
    ("torch", "lib/libtorch_global_deps.so", "lib/libtorch_cpu.so"),
    ("warp", "bin/warp.so", "bin/warp-clang.so"),
)


@contextmanager
def head_start(config: Config) -> Iterator[None]:
    """Link libraries and read the shipped body in a thread, which ends with the block.

    Importing modules is Python, which one thread at a time can run; linking libraries and unpacking arrays are not.
    What fails in the thread is tried again, and told, where it is needed.
    """
    # Before the thread starts, which imports nothing: modules that import each other are imported by one thread.
    from smplifyx.body.files import load_body_model_data
    from smplifyx.body.search import OPEN_BODY_DIR, find_body_model

    for name in _FIRST:
        with suppress(ImportError):
            import_module(name)

    def work() -> None:
        for package, *libraries in _AHEAD:
            with suppress(Exception):
                _link(package, libraries)
        with suppress(Exception):
            body = config.body
            path = find_body_model(body.model, "neutral", body.models_dir)
            if path.parent == OPEN_BODY_DIR:  # the arrays that its genders share are kept; others would be read twice
                load_body_model_data(path)

    thread = threading.Thread(target=work, name="smplifyx-head-start", daemon=True)
    thread.start()
    try:
        with suppress(ImportError):  # told where it is needed
            import_module("warp")  # takes as long as linking torch, and needs nothing linked
        yield
    finally:
        thread.join()


def _link(package: str, libraries: Sequence[str]) -> None:
    """Link libraries of a package as importing it does, but without the lock of Python's interpreter."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return
    link = ctypes.CDLL(None).dlopen
    link.argtypes, link.restype = (ctypes.c_char_p, ctypes.c_int), ctypes.c_void_p
    for library in libraries:
        # torch makes the symbols of the first one known to all others
        mode = os.RTLD_GLOBAL if library.endswith("_global_deps.so") else os.RTLD_LOCAL
        link(os.fsencode(Path(spec.origin).parent / library), os.RTLD_NOW | mode)
