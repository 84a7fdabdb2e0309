"""Kernels are compiled ahead of the first fit, into a folder that can be written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_LOAD = "from smplifyx.warp_runtime import load_warp; print(load_warp().config.kernel_cache_dir)"


def _run(program: str, cache: Path, temporary: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "WARP_CACHE_PATH": str(cache), "TMPDIR": str(temporary)}
    return subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )


def test_a_cache_that_cannot_be_made_is_replaced_by_a_temporary_folder_and_told(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    done = _run(_LOAD, tmp_path / "file" / "cache", tmp_path)
    folder = Path(done.stdout.strip())
    assert folder.is_dir() and folder.is_relative_to(tmp_path)
    assert str(folder) in done.stderr and "WARP_CACHE_PATH" in done.stderr


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="owners of folders are known on POSIX only")
def test_a_temporary_folder_that_others_may_write_is_not_used(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    theirs = tmp_path / f"smplifyx-kernels-{os.getuid()}"
    theirs.mkdir()
    theirs.chmod(0o777)
    done = _run(_LOAD, tmp_path / "file" / "cache", tmp_path)
    assert not Path(done.stdout.strip()).is_relative_to(theirs)


@pytest.mark.slow
def test_all_kernels_of_a_fit_are_compiled(tmp_path) -> None:
    program = "from smplifyx.fitting.kernels import compile_kernels; print(compile_kernels())"
    folder = Path(_run(program, tmp_path, tmp_path).stdout.strip())
    compiled = {path.name for path in folder.rglob("*.o")}
    fit = """
import numpy as np
from smplifyx import Fitter, Observation

points = np.zeros((135, 3), np.float32)
points[:25, :2] = np.random.default_rng(0).uniform(100, 400, (25, 2))
points[:25, 2] = 1.0
Fitter(overrides={"optimizer.max_iterations": 1}).fit([Observation(points, (512, 512))])
"""
    _run(fit, tmp_path, tmp_path)
    assert compiled and {path.name for path in folder.rglob("*.o")} == compiled
