"""Limited-memory BFGS inverse Hessians, one per row, in the compact form of Byrd, Nocedal & Schnabel (1994).

With S, Y the last H steps and gradient changes of a row (as rows of a matrix), R the upper triangle of S Yᵀ, D its
diagonal (equation 3.1 there),

    H g = gamma P g + Sᵀ v - gamma (Y P)ᵀ u,    u = R⁻¹ S g,    v = R⁻ᵀ ((D + gamma Y P Yᵀ) u - gamma Y P g)

for an initial matrix gamma P. P is a diagonal or a dense matrix a row; since the gradient at each point is multiplied
by it once, and the products with gradient changes are differences of those, a dense P costs one product a step.
R⁻¹ itself is kept. A new pair appends a column to it; dropping the oldest pair deletes a row and a column and leaves
the rest as it is. Hence pairs can lie in a ring buffer in any order, empty slots are zeros, and each product reads
the history once instead of in 2 H dependent steps.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Mask = NDArray[np.bool_]


def row_products(matrix: Tensor, vector: Tensor) -> Tensor:
    """Inner products within each row: `[A, ..., D]` with `[A, D]` -> `[A, ...]`.

    On the CPU a row's result has the same bits whatever its neighbours are; BLAS does not give that.
    """
    if matrix.device.type == "cpu":
        subscripts = "ad,ad->a" if matrix.ndim == 2 else "ahd,ad->ah"
        return torch.from_numpy(np.einsum(subscripts, matrix.numpy(), vector.numpy()))
    return (matrix * (vector if matrix.ndim == 2 else vector[:, None])).sum(-1)


def to_numpy(values: Tensor) -> NDArray[np.float64]:
    """The values in double precision on the host."""
    return values.to(device="cpu", dtype=torch.float64).numpy()


class InverseHessian:
    """The approximate inverse Hessians of A rows.

    Long vectors stay on the device of `like`; matrices of the history's size live on the host in double precision.

    Args:
        like: any tensor `[A, D]` with the rows' device and dtype.
        history_size: pairs kept a row, H.
        initial: the initial inverse Hessian up to a factor: its positive diagonal `[A, D]`, or symmetric positive
            definite matrices `[A, D, D]`; None for the identity.
    """

    _HOST_ARRAYS = ("_r_inverse", "_y_gram", "_step_dot_change", "_gamma", "_next_slot", "is_empty")

    def __init__(self, like: Tensor, history_size: int, initial: Tensor | None = None) -> None:
        n_rows, dimension = like.shape
        self._size = history_size
        self._initial = initial
        self._pairs = like.new_zeros(n_rows, 2 * history_size, dimension)  # S above Y P
        self._r_inverse = np.zeros((n_rows, history_size, history_size))
        self._y_gram = np.zeros((n_rows, history_size, history_size))
        self._step_dot_change = np.zeros((n_rows, history_size))
        self._gamma = np.ones(n_rows)
        self._next_slot = np.zeros(n_rows, dtype=np.int64)
        self.is_empty: Mask = np.ones(n_rows, dtype=bool)

    def keep(self, index: NDArray[np.int64]) -> None:
        """Drop all rows but `index`."""
        device_index = torch.from_numpy(index).to(self._pairs.device)
        self._pairs = self._pairs.index_select(0, device_index)
        if self._initial is not None:
            self._initial = self._initial.index_select(0, device_index)
        for name in self._HOST_ARRAYS:
            setattr(self, name, getattr(self, name)[index])

    def reset(self, mask: Mask) -> None:
        """Clear the history of the rows in `mask`."""
        self._pairs[torch.from_numpy(mask).to(self._pairs.device)] = 0.0
        for value in (self._r_inverse, self._y_gram, self._step_dot_change, self._next_slot):
            value[mask] = 0
        self._gamma[mask] = 1.0
        self.is_empty[mask] = True

    def renew(self, mask: Mask, initial: Tensor) -> None:
        """Forget the pairs of the rows in `mask`, N of them, and start from other matrices `[N, D, D]`."""
        self.reset(mask)
        if self._initial is None or self._initial.ndim != initial.ndim:
            assert mask.all()
            self._initial = initial
        else:
            self._initial[torch.from_numpy(mask).to(initial.device)] = initial

    def initial_product(self, gradient: Tensor) -> Tensor:
        """The initial matrix, without its factor, times a gradient: `[A, D]`."""
        if self._initial is None:
            return gradient
        return self._initial * gradient if self._initial.ndim == 2 else row_products(self._initial, gradient)

    def update(self, mask: Mask, step: Tensor, change: Tensor, product_change: Tensor) -> None:
        """Add a pair to the history of the rows in `mask`.

        A pair without clearly positive curvature is left out, so that the matrix stays positive definite.

        Args:
            mask: `[A]`.
            step: `[A, D]`.
            change: of the gradient, `[A, D]`.
            product_change: `initial_product` of `change`, `[A, D]`.
        """
        both = torch.stack((step, product_change), 1)
        products = to_numpy(
            torch.cat(
                (
                    row_products(self._pairs, change),
                    row_products(both, change),
                    row_products(step, step)[:, None],
                    row_products(change, change)[:, None],
                ),
                1,
            )
        )
        sy, yy, ss, plain_yy = (products[:, column] for column in (-4, -3, -2, -1))
        with np.errstate(all="ignore"):
            resolved = sy > torch.finfo(step.dtype).eps * np.sqrt(ss * plain_yy)
            usable = mask & resolved & (yy > 0) & np.isfinite(sy / yy)
        rows = np.flatnonzero(usable)
        if rows.size:
            self._store(rows, both)
            self._extend_matrices(rows, products[rows, : 2 * self._size], sy[rows], yy[rows])

    def _store(self, rows: NDArray[np.int64], both: Tensor) -> None:
        device = self._pairs.device
        index = torch.from_numpy(rows).to(device)
        slot = torch.from_numpy(self._next_slot[rows]).to(device)
        values = both if rows.size == both.shape[0] else both[index]
        self._pairs[index, slot] = values[:, 0]
        self._pairs[index, self._size + slot] = values[:, 1]

    def _extend_matrices(
        self, rows: NDArray[np.int64], products: NDArray, sy: NDArray[np.float64], yy: NDArray[np.float64]
    ) -> None:
        slot = self._next_slot[rows]
        each = np.arange(rows.size)
        r_column, y_column = products[:, : self._size].copy(), products[:, self._size :].copy()
        r_column[each, slot] = 0.0
        y_column[each, slot] = yy
        r_inverse = self._r_inverse[rows]
        r_inverse[each, slot] = 0.0
        r_inverse[each, :, slot] = 0.0
        new_column = -np.einsum("ahk,ak->ah", r_inverse, r_column) / sy[:, None]
        new_column[each, slot] = 1.0 / sy
        r_inverse[each, :, slot] = new_column
        self._r_inverse[rows] = r_inverse
        self._y_gram[rows, slot] = y_column
        self._y_gram[rows, :, slot] = y_column
        self._step_dot_change[rows, slot] = sy
        self._gamma[rows] = sy / yy
        self._next_slot[rows] = (slot + 1) % self._size
        self.is_empty[rows] = False

    def descent_direction(self, gradient: Tensor, product: Tensor) -> Tensor:
        """Minus the inverse Hessian times the gradient `[A, D]`, whose `initial_product` is `product`: `[A, D]`."""
        products = to_numpy(row_products(self._pairs, gradient))
        s_dot, y_dot = products[:, : self._size], products[:, self._size :]
        gamma = self._gamma[:, None]
        u = np.einsum("ahk,ak->ah", self._r_inverse, s_dot)
        w = self._step_dot_change * u + gamma * (np.einsum("ahk,ak->ah", self._y_gram, u) - y_dot)
        v = np.einsum("ahk,ah->ak", self._r_inverse, w)
        weights = self._to_device(np.concatenate((-v, gamma * u), 1))
        return _weighted_sums(weights, self._pairs) - self._to_device(gamma) * product

    def _to_device(self, values: NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(values).to(device=self._pairs.device, dtype=self._pairs.dtype)


def _weighted_sums(weights: Tensor, matrix: Tensor) -> Tensor:
    """Sum over K within each row: `[A, K]` and `[A, K, D]` -> `[A, D]`; bits independent of other rows on the CPU."""
    if matrix.device.type == "cpu":
        return torch.from_numpy(np.einsum("ak,akd->ad", weights.numpy(), matrix.numpy()))
    return (weights[..., None] * matrix).sum(1)
