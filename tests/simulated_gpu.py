"""A GPU that is simulated on the CPU: tensors on another device that compute with real numbers.

Fake tensors have no numbers, so that a fit, whose course depends on them, cannot run on them. These have: each
operation runs on CPU tensors inside. An operation on tensors of both devices is an error, as it is on a GPU, and all
operations and waits are counted as on a GPU. Warp's kernels run on the CPU, on the same numbers.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from smplifyx.collision import penalty, search, skinning
from smplifyx.evaluation.operations import OperationCount
from smplifyx.warp_runtime import load_warp

_NAME = "simulated"
#: PyTorch itself copies the index, or the number, to the device.
_TAKING_CPU_TENSORS = {"aten::index", "aten::index_put", "aten::index_put_", "aten::copy_", "aten::_to_copy"}


class MixedDevicesError(RuntimeError):
    """An operation on tensors of the GPU and of the CPU."""


@functools.cache
def simulated_device() -> torch.device:
    """The device; PyTorch knows it from the first call on."""
    _setup_privateuseone_for_python_backend(_NAME)
    return torch.device(_NAME, 0)


class SimulatedTensor(Tensor):
    """A tensor that claims to be on the GPU; its numbers are in ``inner``, on the CPU."""

    inner: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner: Tensor) -> SimulatedTensor:
        return Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=simulated_device(),
        )

    def __init__(self, inner: Tensor) -> None:
        self.inner = inner

    def __repr__(self) -> str:
        return f"SimulatedTensor({self.inner!r})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


def _is_simulated(value: Any) -> bool:
    return isinstance(value, SimulatedTensor)


def _wrap(value: Any) -> Any:
    return SimulatedTensor(value) if isinstance(value, Tensor) and not _is_simulated(value) else value


def _unwrap(value: Any) -> Any:
    return value.inner if _is_simulated(value) else value


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Run an operation on the tensors inside; its result is where a GPU would have it."""
    name = str(func.name()).split(".")[0]
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    others = [one for one in tensors if not _is_simulated(one)]
    if any(one.ndim for one in others) and len(others) < len(tensors) and name not in _TAKING_CPU_TENSORS:
        raise MixedDevicesError(f"{func}: found CPU tensors of the shapes {[list(one.shape) for one in others]}")
    inner_args, inner_kwargs = tree_map(_unwrap, (args, kwargs))
    target = kwargs.get("device")
    if target is not None:
        inner_kwargs["device"] = torch.device("cpu")
    if name == "aten::_to_copy":  # to another device is a copy, whatever else changes
        result = func(*inner_args, **inner_kwargs)
        return _wrap(result) if target is None or torch.device(target).type == _NAME else result
    result = func(*inner_args, **inner_kwargs)
    if name == "aten::copy_" or (func._schema.is_mutable and others):
        return args[0]
    wrapped = tree_map(_wrap, result)
    return wrapped if others or not tensors else return_and_correct_aliasing(func, args, kwargs, wrapped)


class _Mode(TorchDispatchMode):
    """Creates tensors on the simulated GPU where they are asked for, and counts operations on it."""

    def __init__(self, count: OperationCount) -> None:
        super().__init__()
        self._count = count

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        target = kwargs.get("device")
        created = target is not None and torch.device(target).type == _NAME
        if not created and not any(map(_is_simulated, tree_leaves((args, kwargs)))):
            return func(*args, **kwargs)
        self._count.add(func, args, kwargs)
        return _run(func, args, kwargs)


class _SimulatedWarp:
    """Warp, with the simulated GPU as a device; arrays of the CPU are refused."""

    def __init__(self, warp: ModuleType) -> None:
        self._warp = warp

    def __getattr__(self, name: str) -> Any:
        return getattr(self._warp, name)

    def _device(self, device: str) -> str:
        if not device.startswith(_NAME):
            raise MixedDevicesError(f"expected the device {_NAME}, found {device}")
        return "cpu"

    def from_torch(self, tensor: Tensor, dtype: Any = None) -> Any:
        if not _is_simulated(tensor):
            raise MixedDevicesError("a CPU tensor for a kernel of the GPU")
        return self._warp.from_torch(_unwrap(tensor), dtype=dtype)

    def to_torch(self, array: Any) -> Tensor:
        return SimulatedTensor(self._warp.to_torch(array))

    def array(self, values: np.ndarray, dtype: Any, device: str) -> Any:
        return self._warp.array(values, dtype=dtype, device=self._device(device))

    def zeros(self, shape: Any, dtype: Any, device: str) -> Any:
        return self._warp.zeros(shape, dtype=dtype, device=self._device(device))

    def launch(self, kernel: Any, dim: Any, inputs: Any, device: str, record_cmd: bool = False) -> Any:
        return self._warp.launch(kernel, dim, inputs, device=self._device(device), record_cmd=record_cmd)


@contextmanager
def simulated_gpu() -> Iterator[OperationCount]:
    """Provide the device of :func:`simulated_device` inside the block, and count operations on it."""
    simulated_device()
    count = OperationCount()
    warp = _SimulatedWarp(load_warp())
    patches = [mock.patch.object(module, "load_warp", lambda: warp) for module in (penalty, search, skinning)]
    torch._C._set_only_lift_cpu_tensors(True)
    try:
        with torch.autograd.set_multithreading_enabled(False), _Mode(count):
            for patch in patches:
                patch.start()
            yield count
    finally:
        torch._C._set_only_lift_cpu_tensors(False)
        for patch in patches:
            patch.stop()
