"""C++ functions, compiled by Warp for this processor when they are first needed."""

# Warp reads the annotations of the functions it compiles.
# mypy: ignore-errors
# ruff: noqa: E741, N803

import functools

import numpy as np

from smplifyx.warp_runtime import load_warp


@functools.cache
def native_kernel(source: str):
    """The kernel of a C++ source: the body of a function of (thread, P, I, W), the tables of its arguments.

    ``P.data`` holds addresses as uint64, ``I.data`` int32 and ``W.data`` numbers in double precision.
    """
    wp = load_warp()

    def function(
        thread: int,
        P: wp.array(dtype=wp.uint64),
        I: wp.array(dtype=wp.int32),
        W: wp.array(dtype=wp.float64),
    ): ...

    native = wp.func_native(source)(function)

    def kernel(P: wp.array(dtype=wp.uint64), I: wp.array(dtype=wp.int32), W: wp.array(dtype=wp.float64)):
        native(wp.tid(), P, I, W)

    return wp.kernel(enable_backward=False, module="unique")(kernel)


class NativeCall:
    """Calls of a C++ function.

    Args:
        source: of the function, see :func:`native_kernel`.
        n_addresses, n_sizes, n_numbers: lengths of its tables.
    """

    def __init__(self, source: str, n_addresses: int, n_sizes: int, n_numbers: int) -> None:
        warp = load_warp()
        self._tables = (
            warp.zeros(n_addresses, dtype=warp.uint64, device="cpu"),
            warp.zeros(n_sizes, dtype=warp.int32, device="cpu"),
            warp.zeros(n_numbers, dtype=warp.float64, device="cpu"),
        )
        self._entries = [table.numpy() for table in self._tables]
        self._command = warp.launch(native_kernel(source), 1, list(self._tables), device="cpu", record_cmd=True)

    def __call__(self, n_threads: int, *tables: np.ndarray) -> None:
        """Call the function for threads 0 to n_threads - 1, one after the other, with the values of its tables."""
        for entries, table in zip(self._entries, tables, strict=True):
            entries[:] = table
        self._command.set_dim(n_threads)
        self._command.launch()
