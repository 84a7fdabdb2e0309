"""The Warp kernel around the native source; apart, since Warp reads the annotations of the functions it compiles."""

# mypy: ignore-errors
# ruff: noqa: E741, N803

import functools
from importlib import resources

from smplifyx.fitting.native_tables import declarations
from smplifyx.warp_runtime import load_warp

#: Rows in the lanes of a vector register.
LANES = 8
#: Comment in the source where the tables are declared.
_DECLARATIONS = "// DECLARATIONS"


@functools.cache
def objective_kernel():
    """The compiled objective: (addresses, sizes, weights) for each tile of :data:`LANES` rows."""
    wp = load_warp()
    source = (resources.files("smplifyx.fitting") / "native" / "objective.cpp").read_text(encoding="utf-8")
    assert source.count(_DECLARATIONS) == 1
    source = source.replace(_DECLARATIONS, f"{declarations()}\n{_DECLARATIONS}")

    def objective_tile(
        tile: int,
        P: wp.array(dtype=wp.uint64),
        I: wp.array(dtype=wp.int32),
        W: wp.array(dtype=wp.float32),
    ): ...

    native = wp.func_native(f"constexpr int LANES = {LANES};\n{source}")(objective_tile)

    def objective(P: wp.array(dtype=wp.uint64), I: wp.array(dtype=wp.int32), W: wp.array(dtype=wp.float32)):
        native(wp.tid(), P, I, W)

    return wp.kernel(enable_backward=False, module="unique")(objective)
