from __future__ import annotations

from pathlib import Path

import pytest

from smplifyx.output import OutputLayout


def test_paths_are_the_contract() -> None:
    layout = OutputLayout(Path("out"))
    assert layout.config_path == Path("out/config.yaml")
    assert layout.summary_path == Path("out/summary.csv")
    assert layout.result_path("photo", 0) == Path("out/results/photo/000.npz")
    assert layout.pickle_path("photo", 12) == Path("out/results/photo/012.pkl")
    assert layout.mesh_path("photo.v2", 3) == Path("out/meshes/photo.v2/003.obj")
    assert OutputLayout(Path("out"), "glb").mesh_path("photo", 3) == Path("out/meshes/photo/003.glb")
    assert layout.overlay_path("photo", 0) == Path("out/images/photo/000/overlay.png")


@pytest.mark.parametrize("asked", ["mesh", "overlay", "pickle"])
def test_done_means_everything_asked_for(tmp_path: Path, asked: str) -> None:
    layout = OutputLayout(tmp_path)
    assert not layout.is_done("photo", 0)
    result, other = layout.result_path("photo", 0), getattr(layout, f"{asked}_path")("photo", 0)
    result.parent.mkdir(parents=True)
    result.touch()
    assert layout.is_done("photo", 0) and not layout.is_done("photo", 1)
    assert not layout.is_done("photo", 0, **{asked: True})
    other.parent.mkdir(parents=True, exist_ok=True)
    other.touch()
    assert layout.is_done("photo", 0, **{asked: True})
