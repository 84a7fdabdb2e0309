"""Numbers by row, where the rows' vectors are: NumPy arrays on the CPU, where they cost least, tensors elsewhere.

A step that only some rows need is left out on the CPU where no row needs it. Another device would have to be waited
for to know that, so it does the step for all rows and keeps the result for those that need it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

#: [A, ...] in double precision, booleans or integers: a NumPy array or a tensor.
Array = Any


class HostArrays:
    """NumPy arrays."""

    waits_to_look = False

    abs: Callable[..., Array] = staticmethod(np.abs)
    clip: Callable[..., Array] = staticmethod(np.clip)
    einsum: Callable[..., Array] = staticmethod(np.einsum)
    isfinite: Callable[..., Array] = staticmethod(np.isfinite)
    isinf: Callable[..., Array] = staticmethod(np.isinf)
    maximum: Callable[..., Array] = staticmethod(np.maximum)
    sign: Callable[..., Array] = staticmethod(np.sign)
    sqrt: Callable[..., Array] = staticmethod(np.sqrt)
    where: Callable[..., Array] = staticmethod(np.where)

    def zeros(self, *shape: int) -> Array:
        """Zeros in double precision."""
        return np.zeros(shape)

    def integers(self, n_rows: int) -> Array:
        """Zeros as integers."""
        return np.zeros(n_rows, dtype=np.int64)

    def rows(self, n_rows: int) -> Array:
        """Numbers of the rows."""
        return np.arange(n_rows)

    def any(self, mask: Array) -> bool:
        """Whether a step has to be done for some row."""
        return bool(mask.any())

    def candidates(self, mask: Array) -> Array:
        """Indices of the rows for which :meth:`put` needs values: those in the mask."""
        return np.flatnonzero(mask)

    def put(self, array: Array, rows: Array, mask: Array, values: Array) -> None:
        """Store values, one for each of the candidate rows, in the rows of a mask."""
        array[rows] = values

    def indices(self, mask: Array) -> Array:
        """Indices of the rows in the mask."""
        return np.flatnonzero(mask)

    def doubles(self, values: Tensor) -> Array:
        """A tensor in double precision."""
        return values.to(device="cpu", dtype=torch.float64).numpy()

    def tensor(self, values: Array) -> Tensor:
        """An array as a tensor of the same type on the rows' device."""
        return torch.from_numpy(values)


class DeviceArrays:
    """Tensors on one device.

    Args:
        device: not the CPU.
    """

    waits_to_look = True

    abs: Callable[..., Array] = staticmethod(torch.abs)
    clip: Callable[..., Array] = staticmethod(torch.clip)
    einsum: Callable[..., Array] = staticmethod(torch.einsum)
    isfinite: Callable[..., Array] = staticmethod(torch.isfinite)
    isinf: Callable[..., Array] = staticmethod(torch.isinf)
    maximum: Callable[..., Array] = staticmethod(torch.maximum)
    sign: Callable[..., Array] = staticmethod(torch.sign)
    sqrt: Callable[..., Array] = staticmethod(torch.sqrt)
    where: Callable[..., Array] = staticmethod(torch.where)

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def zeros(self, *shape: int) -> Array:
        """Zeros in double precision."""
        return torch.zeros(*shape, dtype=torch.float64, device=self._device)

    def integers(self, n_rows: int) -> Array:
        """Zeros as integers."""
        return torch.zeros(n_rows, dtype=torch.int64, device=self._device)

    def rows(self, n_rows: int) -> Array:
        """Numbers of the rows."""
        return torch.arange(n_rows, device=self._device)

    def any(self, mask: Array) -> bool:
        """True: whether a row is in the mask is not known without waiting."""
        return True

    def candidates(self, mask: Array) -> Array:
        """All rows."""
        return torch.arange(len(mask), device=self._device)

    def put(self, array: Array, rows: Array, mask: Array, values: Array) -> None:
        """Store values, one for each row, in the rows of a mask."""
        array.copy_(torch.where(mask.reshape(-1, *[1] * (array.ndim - 1)), values, array))

    def indices(self, mask: Array) -> Array:
        """Indices of the rows in the mask; waits for the device."""
        return mask.nonzero()[:, 0]

    def doubles(self, values: Tensor) -> Array:
        """A tensor in double precision."""
        return values.double()

    def tensor(self, values: Array) -> Tensor:
        """The values."""
        return values


def arrays_on(device: torch.device) -> HostArrays | DeviceArrays:
    """The arrays for rows whose vectors are on a device."""
    return HostArrays() if device.type == "cpu" else DeviceArrays(device)
