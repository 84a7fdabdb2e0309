"""Count of the operations that a GPU is given, and of the times that the processor waits for it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import smplifyx

#: Operations whose result has a size, or a course, that depends on numbers on the device.
_WAITING = {
    "aten::_local_scalar_dense",
    "aten::nonzero",
    "aten::masked_select",
    "aten::bincount",
    "aten::_unique2",
    "aten::unique_dim",
    "aten::equal",
    "aten::_linalg_svd",
}
_INDEXING = {"aten::index", "aten::index_put_", "aten::index_put", "aten::_index_put_impl_"}
_COPYING = {"aten::_to_copy", "aten::copy_"}
_PACKAGE = str(Path(smplifyx.__file__).parent)


@dataclass
class OperationCount:
    """Operations on a device.

    Attributes:
        operations: all that were given to the device; each is one kernel or a few, views are none.
        waits: those for which the processor waits until the device has done all before, by (operation, line of this
            package).
    """

    operations: int = 0
    waits: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def n_waits(self) -> int:
        """All waits together."""
        return self.waits.total()

    def add(self, operation: Any, args: Iterable[Any], kwargs: Mapping[str, Any]) -> None:
        """Count an operation of torch, if it concerns another device than the processor."""
        if not _is_on_device(args, kwargs):
            return
        if not _is_view(operation):
            self.operations += 1
        if waits_for_device(operation, tuple(args), kwargs):
            self.waits[_name(operation), _calling_line()] += 1


class OperationCounter(TorchDispatchMode):
    """Count the operations inside the block::

    with OperationCounter() as counter:
        fitter.fit(people)
    print(counter.count.operations, counter.count.waits)
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = OperationCount()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count.add(func, args, kwargs or {})
        return func(*args, **(kwargs or {}))


def waits_for_device(operation: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether the processor waits for the device to finish an operation, one of whose tensors is on it."""
    name = _name(operation)
    if name == "aten::repeat_interleave":
        return kwargs.get("output_size") is None
    if name in _INDEXING:
        return _waits_in_indexing(name, args)
    if name in _COPYING:
        return _waits_in_copy(name, args, kwargs)
    return name in _WAITING


def _waits_in_indexing(name: str, args: tuple[Any, ...]) -> bool:
    indices = [index for index in args[1] if index is not None]
    if any(index.device.type == "cpu" and index.ndim for index in indices):
        return True  # the index is copied to the device first
    masks = [index for index in indices if index.dtype in (torch.bool, torch.uint8)]
    # One number is filled in where the mask is set, without counting the places.
    fills = name != "aten::index" and len(indices) == 1 and args[2].numel() == 1
    return bool(masks) and not fills


def _waits_in_copy(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    if name == "aten::copy_":
        source, target = args[1].device.type, args[0].device.type
        non_blocking = args[2] if len(args) > 2 else kwargs.get("non_blocking", False)
    else:
        wanted = kwargs.get("device")
        source = args[0].device.type
        target = source if wanted is None else torch.device(wanted).type
        non_blocking = kwargs.get("non_blocking", False)
    if name == "aten::copy_" and args[1].ndim == 0 and source == "cpu":
        return False  # a number is an argument of the kernel
    return source != target and (target == "cpu" or not non_blocking)


def _name(operation: Any) -> str:
    return str(operation.name()).split(".")[0]


def _is_on_device(args: Iterable[Any], kwargs: Mapping[str, Any]) -> bool:
    wanted = kwargs.get("device")
    if wanted is not None and torch.device(wanted).type not in ("cpu", "meta"):
        return True
    tensors = (leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor))
    return any(one.device.type not in ("cpu", "meta") for one in tensors)


def _is_view(operation: Any) -> bool:
    returned = operation._schema.returns
    return bool(returned) and all(one.alias_info is not None and not one.alias_info.is_write for one in returned)


def _calling_line() -> str:
    """The innermost line of the package, but for this module, that led here."""
    frame = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(_PACKAGE) and path != __file__:
            return f"{Path(path).relative_to(_PACKAGE)}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return ""
