"""Compiles all kernels, so that the first fit need not."""

from __future__ import annotations

import importlib

import torch

from smplifyx.fitting.native_source import objective_source
from smplifyx.native_function import native_kernel
from smplifyx.optim.native_run import optimiser_source
from smplifyx.warp_runtime import load_warp

_MODULES = "pair_kernels", "term_kernels", "contact_kernels", "cluster_kernels", "contact_search_kernels"
#: Modules for the CPU alone.
_CPU_MODULES = "lane_kernels", "surface_kernels"


def compile_kernels() -> str:
    """Compile the kernels for the processor, and for a GPU where there is one; takes half a minute once.

    Returns:
        The folder that they are kept in.

    Raises:
        UsageError: Warp cannot be imported.
    """
    warp = load_warp()
    for source in objective_source(), optimiser_source("float"), optimiser_source("double"):
        warp.load_module(native_kernel(source).module, device="cpu", block_dim=1)
    for device in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
        for name in _MODULES + (_CPU_MODULES if device == "cpu" else ()):
            warp.load_module(importlib.import_module(f"smplifyx.collision.{name}"), device=device)
    return str(warp.config.kernel_cache_dir)
