"""Tables that Python hands to the native optimiser: the one place of their names, from which C++ declares them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from smplifyx.optim import line_search
from smplifyx.optim.problem import Status

#: Steps after which the prediction of a preconditioned model is no longer trusted without a new preconditioner.
FRESH = 5
#: Reasons for which a row waits.
WAITS = ("NOTHING", "EVALUATION", "PRECONDITIONER")
#: Kinds of initial inverse Hessians: none, a diagonal, Cholesky factors of the Hessian.
KINDS = ("IDENTITY", "DIAGONAL", "DENSE")
#: Vectors of a row, each of the length of x filled up to a multiple of eight.
VECTORS = ("X", "DIRECTION", "GRADIENT", "LOW_GRADIENT", "PRODUCT", "NEW_X", "NEW_GRADIENT", "NEW_PRODUCT")
#: Numbers of a row in double precision, see line_search.py for most.
SCALARS = (
    "STEP", "LOSS_0", "SLOPE_0", "LOW_STEP", "LOW_LOSS", "LOW_SLOPE", "HIGH_STEP", "HIGH_LOSS", "HIGH_SLOPE",
    "PROMISE", "WIDTH", "OLDER_WIDTH", "LOSS", "LARGEST", "LOW_LARGEST", "GAMMA",
)  # fmt: skip
#: Whole numbers of a row.
COUNTS = (
    "WAITS_FOR", "STATUS", "TRIALS", "ITERATIONS", "EVALUATIONS", "IDLE_STEPS", "AGE", "PAIRS", "NEXT_PAIR",
)  # fmt: skip
#: Arrays: type, name. B rows, A of them active, H pairs each, D parameters, S entries of a vector.
ADDRESSES: Sequence[tuple[str, str]] = (
    ("real*", "vectors"),  # [B, vectors, S]
    ("real*", "pairs"),  # [B, 3, H, S]
    ("double*", "rhos"),  # [B, H]
    ("double*", "scalars"),  # [scalars, B]
    ("int*", "counts"),  # [counts, B]
    ("real*", "preconditioners"),  # [B, S] diagonals or [B, D, S] upper Cholesky factors
    ("double*", "scratch"),  # [2 S + H]
    # Of the active rows.
    ("const long long*", "rows"),  # [A]
    ("const real*", "losses"),  # [A]
    ("const real*", "gradients"),  # [A, D]
    ("real*", "questions"),  # [A, D] points
)
#: Whole numbers of all rows. ``made_preconditioners``: rows that wait for one have it, and no other row goes on.
SIZES = (
    "B", "D", "H", "kind", "renews", "made_preconditioners", "max_iterations", "max_evaluations", "max_line_search",
    "patience", "renew_every",
)  # fmt: skip
#: Options in double precision.
NUMBERS = (
    "armijo", "curvature", "epsilon", "loss_noise", "relative_loss_tolerance", "gradient_tolerance",
    "predicted_tolerance",
)  # fmt: skip


def declarations() -> str:
    """C++ that reads all entries of the tables P (addresses), I (sizes) and W (numbers) into constants."""
    named = {"FRESH": FRESH, "N_VECTORS": len(VECTORS), **{one.name: one.value for one in Status}}
    for names in (WAITS, KINDS, VECTORS, SCALARS, COUNTS):
        named.update({name: number for number, name in enumerate(names)})
    lines = [f"constexpr int {name} = {number};" for name, number in named.items()]
    constants = {**line_search.CONSTANTS, "SMALLEST": sys.float_info.min}
    lines += [f"constexpr double {name} = {number!r};" for name, number in constants.items()]
    lines += [f"{kind} const {name} = ({kind})P.data[{place}];" for place, (kind, name) in enumerate(ADDRESSES)]
    lines += [f"const int {name} = I.data[{place}];" for place, name in enumerate(SIZES)]
    lines += [f"const double {name} = W.data[{place}];" for place, name in enumerate(NUMBERS)]
    return "\n".join(lines)
