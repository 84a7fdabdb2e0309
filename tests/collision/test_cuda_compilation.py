"""The kernels compile for GPUs; Warp brings the compiler, so that no GPU is needed."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from smplifyx.warp_runtime import load_warp


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["pair_kernels", "term_kernels", "contact_kernels", "cluster_kernels", "contact_search_kernels"]
)
def test_kernels_compile_to_ptx(name: str, tmp_path: Path) -> None:
    warp = load_warp()
    if not hasattr(warp, "compile_aot_module"):
        pytest.skip(f"Warp {warp.config.version} cannot compile ahead of time")
    warp.compile_aot_module(
        importlib.import_module(f"smplifyx.collision.{name}"), arch=[80, 90], module_dir=tmp_path, use_ptx=True
    )
    for arch in (80, 90):
        (path,) = tmp_path.glob(f"*.sm{arch}.ptx")
        text = path.read_text()
        assert f".target sm_{arch}" in text
        assert ".entry" in text
