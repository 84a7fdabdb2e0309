"""Warp's start without a cache that can be written."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from smplifyx import warp_runtime


@pytest.fixture
def compiled(tmp_path: Path) -> Path:
    for name in ("wp_one", "wp_two"):
        (tmp_path / "cache" / name).mkdir(parents=True)
        (tmp_path / "cache" / name / "kernel.o").write_text(name)
    return tmp_path / "cache"


def test_many_processes_copy_kernels_into_one_folder(compiled: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: warp_runtime._copy_kernels(compiled, target), range(8)))
    assert sorted(path.name for path in target.iterdir()) == ["wp_one", "wp_two"]
    assert (target / "wp_two" / "kernel.o").read_text() == "wp_two"


def test_kernels_appear_under_their_name_when_they_are_complete(
    compiled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "target"
    target.mkdir()
    copytree, seen = warp_runtime.shutil.copytree, []

    def watched(source: Path, copy: Path, dirs_exist_ok: bool) -> None:
        copytree(source, copy, dirs_exist_ok=dirs_exist_ok)
        seen.append((target / source.name).exists())

    monkeypatch.setattr(warp_runtime.shutil, "copytree", watched)
    warp_runtime._copy_kernels(compiled, target)
    assert seen == [False, False] and (target / "wp_one" / "kernel.o").exists()


def test_a_cache_that_cannot_be_written_is_told_once(
    compiled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warp = ModuleType("warp")
    warp.__dict__.update(config=SimpleNamespace(kernel_cache_dir=str(compiled)), LOG_ERROR=0, init=lambda: None)
    monkeypatch.setattr(warp_runtime.importlib, "import_module", lambda name: warp)
    monkeypatch.setattr(warp_runtime.os, "access", lambda path, mode: False)
    monkeypatch.setattr(warp_runtime.tempfile, "gettempdir", lambda: str(tmp_path))
    warp_runtime._warn_of_cache.cache_clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            warp_runtime.load_warp()
    (warning,) = caught
    assert "WARP_CACHE_PATH" in str(warning.message) and warning.filename == warp_runtime.__file__
    assert sorted(path.name for path in Path(warp.config.kernel_cache_dir).iterdir()) == ["wp_one", "wp_two"]
