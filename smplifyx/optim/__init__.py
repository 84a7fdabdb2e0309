"""Optimisers of batches whose rows do not depend on each other, to the bit."""

from __future__ import annotations

import torch
from torch import Tensor

#: Matrix products, and elementwise functions computed in vector registers, give a row the same bits in all batches
#: whose size is a multiple of this.
_MULTIPLE = 16


def padded_rows(n_rows: int, device: torch.device | str = "cpu") -> Tensor:
    """Row numbers of a batch [N] filled up with copies of its last row to a multiple of 16 rows."""
    n_padded = -(-n_rows // _MULTIPLE) * _MULTIPLE
    return torch.arange(n_padded, device=device).clamp(max=n_rows - 1)
