"""Limited-memory BFGS inverse Hessians, one per row, in the compact form of Byrd, Nocedal & Schnabel (1994).

With S, Y the last H steps and gradient changes of a row (as rows of a matrix), R the upper triangle of S Yᵀ, D its
diagonal (equation 3.1 there),

    H g = gamma P g + Sᵀ v - gamma (Y P)ᵀ u,    u = R⁻¹ S g,    v = R⁻ᵀ ((D + gamma Y P Yᵀ) u - gamma Y P g)

for an initial matrix gamma P. P is a diagonal, the inverse of a factorised matrix or an operator a row; since the
gradient at each point is multiplied by it once, and the products with gradient changes are differences of those, P
costs one product a step. R⁻¹ itself is kept. A new pair appends a column to it; dropping the oldest pair deletes a
row and a column and leaves the rest as it is. Hence pairs can lie in a ring buffer in any order, empty slots are
zeros, and each product reads the history once instead of in 2 H dependent steps.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

#: [A] booleans.
Mask = Tensor

#: A symmetric positive definite matrix [D, D], known by its product with a vector [D].
Operator = Callable[[Tensor], Tensor]
#: Upper Cholesky factors [N, D, D] of the Hessians of N rows, or operators that multiply by the inverses.
Matrices = Tensor | list[Operator]


def einsum(subscripts: str, *tensors: Tensor) -> Tensor:
    """Einstein summation; on the CPU a row's result has the same bits whatever its neighbours are, unlike BLAS'."""
    if tensors[0].device.type == "cpu":
        return torch.from_numpy(np.einsum(subscripts, *(tensor.numpy() for tensor in tensors)))
    return torch.einsum(subscripts, *tensors)


def row_products(matrix: Tensor, vector: Tensor) -> Tensor:
    """Inner products within each row: `[A, ..., D]` with `[A, D]` -> `[A, ...]`."""
    return einsum("ad,ad->a" if matrix.ndim == 2 else "ahd,ad->ah", matrix, vector)


def matrix_products(matrices: Matrices, vectors: Tensor) -> Tensor:
    """Product of the inverse of each row's matrix with its vector: [A, D]."""
    if not isinstance(matrices, Tensor):
        return torch.stack([product(vector) for product, vector in zip(matrices, vectors, strict=True)])
    columns = vectors[:, :, None]
    if vectors.device.type != "cpu":
        return torch.cholesky_solve(columns, matrices, upper=True)[:, :, 0]
    alone = [torch.cholesky_solve(*pair, upper=True)[:, 0] for pair in zip(columns, matrices, strict=True)]
    return torch.stack(alone) if alone else vectors


class InverseHessian:
    """The approximate inverse Hessians of A rows.

    Long vectors have the type of `like`, matrices of the history's size are in double precision.

    Args:
        like: any tensor `[A, D]` with the rows' device and dtype.
        history_size: pairs kept a row, H.
        initial: the initial inverse Hessian up to a factor: its positive diagonal `[A, D]`, or the upper
            Cholesky factors `[A, D, D]` of the Hessians; None for the identity.
    """

    _ARRAYS = ("_r_inverse", "_y_gram", "_step_dot_change", "_gamma", "_next_slot", "is_empty")

    def __init__(self, like: Tensor, history_size: int, initial: Tensor | None = None) -> None:
        n_rows, dimension = like.shape
        self._size = history_size
        self._initial: Matrices | None = initial
        self._pairs = like.new_zeros(n_rows, 2 * history_size, dimension)  # S above Y P
        self._r_inverse = like.new_zeros(n_rows, history_size, history_size, dtype=torch.float64)
        self._y_gram = torch.zeros_like(self._r_inverse)
        self._step_dot_change = like.new_zeros(n_rows, history_size, dtype=torch.float64)
        self._gamma = like.new_ones(n_rows, dtype=torch.float64)
        self._next_slot = like.new_zeros(n_rows, dtype=torch.int64)
        self.is_empty: Mask = like.new_ones(n_rows, dtype=torch.bool)

    def keep(self, index: Tensor) -> None:
        """Drop all rows but `index`."""
        self._pairs = self._pairs[index]
        if isinstance(self._initial, Tensor):
            self._initial = self._initial[index]
        elif self._initial is not None:
            self._initial = [self._initial[row] for row in index.cpu().tolist()]
        for name in self._ARRAYS:
            setattr(self, name, getattr(self, name)[index])

    def reset(self, mask: Mask) -> None:
        """Clear the history of the rows in `mask`."""
        # The pairs stay: their factors are zero.
        for name in ("_r_inverse", "_y_gram", "_step_dot_change", "_next_slot"):
            value = getattr(self, name)
            setattr(self, name, torch.where(mask.reshape(-1, *[1] * (value.ndim - 1)), 0, value))
        self._gamma = torch.where(mask, 1.0, self._gamma)
        self.is_empty = self.is_empty | mask

    def renew(self, mask: Mask, rows: Tensor, initial: Matrices) -> None:
        """Forget the pairs of the rows in `mask`, the N `rows`, and start from other matrices `[N, D, D]`."""
        self.reset(mask)
        before = self._initial
        if isinstance(initial, Tensor) and isinstance(before, Tensor) and before.ndim == initial.ndim:
            before[rows] = initial
        elif isinstance(initial, list) and isinstance(before, list):
            for row, product in zip(rows.cpu().tolist(), initial, strict=True):
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
        both = torch.stack((step, product_change), 1)
        products = torch.cat(
            (
                row_products(self._pairs, change),
                row_products(both, change),
                row_products(step, step)[:, None],
                row_products(change, change)[:, None],
            ),
            1,
        ).double()
        sy, yy, ss, plain_yy = (products[:, column] for column in (-4, -3, -2, -1))
        resolved = sy > torch.finfo(step.dtype).eps * (ss * plain_yy).sqrt()
        usable = mask & resolved & (yy > 0) & (sy / yy).isfinite()
        self._store(usable, both)
        self._extend_matrices(usable, products[:, : 2 * self._size], sy, yy)

    def _store(self, usable: Mask, both: Tensor) -> None:
        each, slot = torch.arange(len(both), device=both.device), self._next_slot
        for place, values in ((slot, both[:, 0]), (self._size + slot, both[:, 1])):
            self._pairs[each, place] = torch.where(usable[:, None], values, self._pairs[each, place])

    def _extend_matrices(self, usable: Mask, products: Tensor, sy: Tensor, yy: Tensor) -> None:
        each, slot = torch.arange(len(sy), device=sy.device), self._next_slot
        r_column, y_column = products[:, : self._size].clone(), products[:, self._size :].clone()
        r_column[each, slot] = 0.0
        y_column[each, slot] = yy
        r_inverse = self._r_inverse.clone()
        r_inverse[each, slot] = 0.0
        r_inverse[each, :, slot] = 0.0
        new_column = -einsum("ahk,ak->ah", r_inverse, r_column) / sy[:, None]
        new_column[each, slot] = 1.0 / sy
        r_inverse[each, :, slot] = new_column
        y_gram, step_dot_change = self._y_gram.clone(), self._step_dot_change.clone()
        y_gram[each, slot] = y_column
        y_gram[each, :, slot] = y_column
        step_dot_change[each, slot] = sy
        self._r_inverse = torch.where(usable[:, None, None], r_inverse, self._r_inverse)
        self._y_gram = torch.where(usable[:, None, None], y_gram, self._y_gram)
        self._step_dot_change = torch.where(usable[:, None], step_dot_change, self._step_dot_change)
        self._gamma = torch.where(usable, sy / yy, self._gamma)
        self._next_slot = torch.where(usable, (slot + 1) % self._size, slot)
        self.is_empty = self.is_empty & ~usable

    def descent_direction(self, gradient: Tensor, product: Tensor) -> Tensor:
        """Minus the inverse Hessian times the gradient `[A, D]`, whose `initial_product` is `product`: `[A, D]`."""
        products = row_products(self._pairs, gradient).double()
        s_dot, y_dot = products[:, : self._size], products[:, self._size :]
        gamma = self._gamma[:, None]
        u = einsum("ahk,ak->ah", self._r_inverse, s_dot)
        w = self._step_dot_change * u + gamma * (einsum("ahk,ak->ah", self._y_gram, u) - y_dot)
        v = einsum("ahk,ah->ak", self._r_inverse, w)
        step_weights, change_weights, scale = (values.to(self._pairs.dtype) for values in (-v, gamma * u, gamma))
        weights = torch.cat((step_weights, change_weights), 1)
        return einsum("ak,akd->ad", weights, self._pairs) - scale * product
