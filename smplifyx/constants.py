"""Constants as tensors, copied to a device once: each copy would wait until the device has done all before."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor


def constant(values: Any, like: Tensor) -> Tensor:
    """Numbers, or tuples of them, as a tensor of the type and on the device of another. Not to be written to."""
    return _tensor(values, like.dtype, like.device)


def index_of(values: tuple[int, ...], device: torch.device) -> Tensor:
    """Indices [N] as a tensor. Not to be written to."""
    return _tensor(values, torch.int64, device)


@functools.lru_cache(maxsize=256)
def _tensor(values: Any, dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # a tensor made in that mode could not enter a gradient later
        return torch.tensor(values, dtype=dtype, device=device)
