"""Meshes as short texts: half a millimetre is the step of a coordinate."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np

#: Step of a coordinate, metres; the rounding is a quarter of it on average.
STEP = 0.0005
#: Largest number: two bytes hold differences of this size, with their sign.
_LARGEST = 32_767


def packed_vertices(vertices: np.ndarray) -> dict[str, Any]:
    """Vertices [V, 3] in metres as values for JSON: ``count``, ``low`` [3], ``step``, and the coordinates packed."""
    low = vertices.min(axis=0).astype(np.float64)
    step = max(STEP, float(np.ptp(vertices, axis=0).max()) / _LARGEST)
    steps = np.rint((vertices - low) / step).astype(np.int64)
    return {"count": len(vertices), "low": low.round(6).tolist(), "step": step, "data": packed(steps.T)}


def packed(rows: np.ndarray) -> str:
    """Whole numbers [R, N] from 0 to 32,767 as base64: differences along a row, compressed.

    A difference d is stored as 2 d, or -2 d - 1 below zero; the low bytes of all precede the high bytes.
    """
    differences = np.diff(rows.astype(np.int64), axis=1, prepend=0)
    folded = np.where(differences < 0, -2 * differences - 1, 2 * differences).astype("<u2")
    planes = folded.reshape(-1, 1).view(np.uint8).T
    return base64.b64encode(zlib.compress(planes.tobytes(), 6)).decode("ascii")
