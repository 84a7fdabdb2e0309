"""Limited-memory BFGS inverse Hessians, one per row, in the compact form of Byrd, Nocedal & Schnabel (1994).

With S, Y the last H steps and gradient changes of a row (as rows of a matrix), R the upper triangle of S Yᵀ, D its
diagonal (equation 3.1 there),

    H g = gamma P g + Sᵀ v - gamma (Y P)ᵀ u,    u = R⁻¹ S g,    v = R⁻ᵀ ((D + gamma Y P Yᵀ) u - gamma Y P g)

for an initial matrix gamma P. P is a diagonal, a dense matrix or an operator a row; since the gradient at each point
is multiplied by it once, and the products with gradient changes are differences of those, P costs one product a step.
R⁻¹ itself is kept. A new pair appends a column to it; dropping the oldest pair deletes a row and a column and leaves
the rest as it is. Hence pairs can lie in a ring buffer in any order, empty slots are zeros, and each product reads
the history once instead of in 2 H dependent steps.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from smplifyx.optim.arrays import Array, arrays_on

#: [A] booleans.
Mask = Array

#: A symmetric positive definite matrix [D, D], known by its product with a vector [D].
Operator = Callable[[Tensor], Tensor]
#: Matrices [N, D, D] of N rows, or their operators.
Matrices = Tensor | list[Operator]


def row_products(matrix: Tensor, vector: Tensor) -> Tensor:
    """Inner products within each row: `[A, ..., D]` with `[A, D]` -> `[A, ...]`.

    On the CPU a row's result has the same bits whatever its neighbours are; BLAS does not give that.
    """
    if matrix.device.type == "cpu":
        subscripts = "ad,ad->a" if matrix.ndim == 2 else "ahd,ad->ah"
        return torch.from_numpy(np.einsum(subscripts, matrix.numpy(), vector.numpy()))
    return (matrix * vector).sum(-1) if matrix.ndim == 2 else torch.einsum("ahd,ad->ah", matrix, vector)


def matrix_products(matrices: Matrices, vectors: Tensor) -> Tensor:
    """Product of each row's matrix with its vector: [A, D]."""
    if isinstance(matrices, Tensor):
        return row_products(matrices, vectors)
    return torch.stack([product(vector) for product, vector in zip(matrices, vectors, strict=True)])


class InverseHessian:
    """The approximate inverse Hessians of A rows.

    Long vectors have the type of `like`, matrices of the history's size are in double precision.

    Args:
        like: any tensor `[A, D]` with the rows' device and dtype.
        history_size: pairs kept a row, H.
        initial: the initial inverse Hessian up to a factor: its positive diagonal `[A, D]`, or symmetric positive
            definite matrices `[A, D, D]`; None for the identity.
    """

    _ARRAYS = ("_r_inverse", "_y_gram", "_step_dot_change", "_gamma", "_next_slot", "is_empty")

    def __init__(self, like: Tensor, history_size: int, initial: Tensor | None = None) -> None:
        n_rows, dimension = like.shape
        self._xp = xp = arrays_on(like.device)
        self._size = history_size
        self._initial: Matrices | None = initial
        self._pairs = like.new_zeros(n_rows, 2 * history_size, dimension)  # S above Y P
        self._r_inverse = xp.zeros(n_rows, history_size, history_size)
        self._y_gram = xp.zeros(n_rows, history_size, history_size)
        self._step_dot_change = xp.zeros(n_rows, history_size)
        self._gamma = xp.zeros(n_rows) + 1.0
        self._next_slot = xp.integers(n_rows)
        self.is_empty: Mask = xp.zeros(n_rows) == 0.0

    def keep(self, index: Array) -> None:
        """Drop all rows but `index`."""
        device_index = self._xp.tensor(index)
        self._pairs = self._pairs.index_select(0, device_index)
        if isinstance(self._initial, Tensor):
            self._initial = self._initial.index_select(0, device_index)
        elif self._initial is not None:
            self._initial = [self._initial[row] for row in device_index.tolist()]
        for name in self._ARRAYS:
            setattr(self, name, getattr(self, name)[index])

    def reset(self, mask: Mask) -> None:
        """Clear the history of the rows in `mask`."""
        xp = self._xp
        # The pairs stay: what multiplies them is zero.
        for name in ("_r_inverse", "_y_gram", "_step_dot_change", "_next_slot"):
            value = getattr(self, name)
            setattr(self, name, xp.where(mask.reshape(-1, *[1] * (value.ndim - 1)), 0, value))
        self._gamma = xp.where(mask, 1.0, self._gamma)
        self.is_empty = self.is_empty | mask

    def renew(self, mask: Mask, initial: Matrices) -> None:
        """Forget the pairs of the rows in `mask`, N of them, and start from other matrices `[N, D, D]`."""
        self.reset(mask)
        rows = self._xp.tensor(self._xp.indices(mask))
        before = self._initial
        if isinstance(initial, Tensor) and isinstance(before, Tensor) and before.ndim == initial.ndim:
            before[rows] = initial
        elif isinstance(initial, list) and isinstance(before, list):
            for row, product in zip(rows.tolist(), initial, strict=True):
                before[row] = product
        else:
            assert mask.all()
            self._initial = initial

    def initial_product(self, gradient: Tensor) -> Tensor:
        """The initial matrix, without its factor, times a gradient: `[A, D]`."""
        if self._initial is None:
            return gradient
        if isinstance(self._initial, Tensor) and self._initial.ndim == 2:
            return self._initial * gradient
        return matrix_products(self._initial, gradient)

    def update(self, mask: Mask, step: Tensor, change: Tensor, product_change: Tensor) -> None:
        """Add a pair to the history of the rows in `mask`.

        A pair without clearly positive curvature is left out, so that the matrix stays positive definite.

        Args:
            mask: `[A]`.
            step: `[A, D]`.
            change: of the gradient, `[A, D]`.
            product_change: `initial_product` of `change`, `[A, D]`.
        """
        xp = self._xp
        both = torch.stack((step, product_change), 1)
        products = xp.doubles(
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
            resolved = sy > torch.finfo(step.dtype).eps * xp.sqrt(ss * plain_yy)
            usable = mask & resolved & (yy > 0) & xp.isfinite(sy / yy)
            rows = xp.candidates(usable)
            if len(rows):
                self._store(rows, usable, both)
                self._extend_matrices(rows, usable, products[rows, : 2 * self._size], sy[rows], yy[rows])

    def _store(self, rows: Array, usable: Mask, both: Tensor) -> None:
        xp = self._xp
        index, slot = xp.tensor(rows), xp.tensor(self._next_slot[rows])
        values = both if len(rows) == len(both) else both[index]
        if xp.waits_to_look:  # not all candidates are usable
            before = torch.stack([self._pairs[index, slot], self._pairs[index, self._size + slot]], 1)
            values = torch.where(usable[:, None, None], values, before)
        self._pairs[index, slot] = values[:, 0]
        self._pairs[index, self._size + slot] = values[:, 1]

    def _extend_matrices(self, rows: Array, usable: Mask, products: Array, sy: Array, yy: Array) -> None:
        xp, slot = self._xp, self._next_slot[rows]
        each = xp.rows(len(rows))
        r_column, y_column = products[:, : self._size] + 0.0, products[:, self._size :] + 0.0
        r_column[each, slot] = 0.0
        y_column[each, slot] = yy
        r_inverse = self._r_inverse[rows]
        r_inverse[each, slot] = 0.0
        r_inverse[each, :, slot] = 0.0
        new_column = -xp.einsum("ahk,ak->ah", r_inverse, r_column) / sy[:, None]
        new_column[each, slot] = 1.0 / sy
        r_inverse[each, :, slot] = new_column
        y_gram, step_dot_change = self._y_gram[rows], self._step_dot_change[rows]
        y_gram[each, slot] = y_column
        y_gram[each, :, slot] = y_column
        step_dot_change[each, slot] = sy
        xp.put(self._r_inverse, rows, usable, r_inverse)
        xp.put(self._y_gram, rows, usable, y_gram)
        xp.put(self._step_dot_change, rows, usable, step_dot_change)
        xp.put(self._gamma, rows, usable, sy / yy)
        xp.put(self._next_slot, rows, usable, (slot + 1) % self._size)
        self.is_empty = self.is_empty & ~usable

    def descent_direction(self, gradient: Tensor, product: Tensor) -> Tensor:
        """Minus the inverse Hessian times the gradient `[A, D]`, whose `initial_product` is `product`: `[A, D]`."""
        xp = self._xp
        products = xp.doubles(row_products(self._pairs, gradient))
        s_dot, y_dot = products[:, : self._size], products[:, self._size :]
        gamma = self._gamma[:, None]
        u = xp.einsum("ahk,ak->ah", self._r_inverse, s_dot)
        w = self._step_dot_change * u + gamma * (xp.einsum("ahk,ak->ah", self._y_gram, u) - y_dot)
        v = xp.einsum("ahk,ah->ak", self._r_inverse, w)
        step_weights, change_weights, scale = (
            xp.tensor(values).to(self._pairs.dtype) for values in (-v, gamma * u, gamma)
        )
        weights = torch.cat((step_weights, change_weights), 1)
        return weighted_sums(weights, self._pairs) - scale * product


def weighted_sums(weights: Tensor, matrix: Tensor) -> Tensor:
    """Sum over K within each row: `[A, K]` and `[A, K, D]` -> `[A, D]`; bits independent of other rows on the CPU."""
    if matrix.device.type == "cpu":
        return torch.from_numpy(np.einsum("ak,akd->ad", weights.numpy(), matrix.numpy()))
    return torch.einsum("ak,akd->ad", weights, matrix)
