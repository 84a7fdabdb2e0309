"""The C++ source of the native objective."""

from __future__ import annotations

import functools
from importlib import resources

from smplifyx.fitting.native_tables import declarations

#: Rows in the lanes of a vector register.
LANES = 8
#: Comment in the source where the tables are declared.
_DECLARATIONS = "// DECLARATIONS"


@functools.cache
def objective_source() -> str:
    """The objective of :data:`LANES` rows, its number the thread: body of a function of addresses, sizes, weights."""
    source = (resources.files("smplifyx.fitting") / "native" / "objective.cpp").read_text(encoding="utf-8")
    assert source.count(_DECLARATIONS) == 1
    source = source.replace(_DECLARATIONS, f"{declarations()}\n{_DECLARATIONS}")
    return f"constexpr int LANES = {LANES};\n{source}"
