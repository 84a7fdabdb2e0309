"""Solves the normal equations of frames that are coupled in time and share a few numbers."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve, cho_solve_banded, cholesky_banded
from torch import Tensor

FloatArray = NDArray[np.float64]

#: Shares by which the diagonal is raised, the first that suffices, and the least amount. Rounding of single precision
#: can make a matrix slightly indefinite.
_DAMPINGS, _LEAST = (1e-3, 1e-1, 10.0), 1e-6


class BorderedBand:
    """The inverse of a matrix of S shared numbers and F frames of d numbers each, of which three frames are coupled.

    Args:
        shared: [S, S].
        border: [F, d, S] between the frames and the shared numbers.
        diagonals: blocks [F, d, d], [F - 1, d, d], [F - 2, d, d] between frames 0, 1 and 2 apart: rows belong to the
            later frame.

    Raises:
        LinAlgError: the matrix is not positive definite.
    """

    def __init__(self, shared: FloatArray, border: FloatArray, diagonals: list[FloatArray]) -> None:
        n_frames, size = border.shape[:2]
        self._size = size
        width = size * min(len(diagonals), n_frames)
        band = np.zeros((width, n_frames * size))  # band[i - j, j] = matrix[i, j]
        row, column = np.indices((size, size))
        for apart, blocks in enumerate(diagonals[:n_frames]):
            below = apart * size + row - column
            kept = below >= 0
            for frame, block in enumerate(blocks):
                band[below[kept], frame * size + column[kept]] = block[kept]
        self._band, damping = _factor(band)
        self._border = border.reshape(n_frames * size, -1)
        self._spread = self._solve(self._border)  # [F d, S]
        matrix = shared - self._border.T @ self._spread
        matrix[np.diag_indices(len(matrix))] += damping * np.diag(shared) + _LEAST
        self._shared = cho_factor(matrix, lower=True) if len(matrix) else None

    def _solve(self, right: FloatArray) -> FloatArray:
        if not right.shape[-1]:
            return right
        return np.asarray(cho_solve_banded((self._band, True), right, check_finite=False))

    def __call__(self, vector: Tensor) -> Tensor:
        """Product of the inverse with a vector [S + F d]: the shared numbers, then those of the frames."""
        values = vector.double().cpu().numpy()
        n_shared = self._border.shape[1]
        shared, frames = values[:n_shared], self._solve(values[n_shared:])
        if self._shared is not None:
            shared = cho_solve(self._shared, shared - self._border.T @ frames)
            frames = frames - self._spread @ shared
        return torch.from_numpy(np.concatenate([shared, frames])).to(vector)


def _factor(band: FloatArray) -> tuple[FloatArray, float]:
    """The banded Cholesky factor of a damped matrix, and the damping."""
    diagonal = band[0].copy()
    for damping in _DAMPINGS:
        band[0] = diagonal * (1.0 + damping) + _LEAST
        try:
            return cholesky_banded(band, lower=True, check_finite=False), damping
        except LinAlgError:
            if damping == _DAMPINGS[-1]:
                raise
    raise AssertionError("no damping")
