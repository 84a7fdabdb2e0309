from __future__ import annotations

from pathlib import Path

import pytest

from smplifyx.config import OutputConfig
from smplifyx.output import OutputLayout


def test_paths_are_the_contract() -> None:
    layout = OutputLayout(Path("out"))
    assert layout.config_path == Path("out/config.yaml")
    assert layout.summary_path == Path("out/summary.csv")
    assert layout.result_path("photo", 0) == Path("out/results/photo/000.npz")
    assert layout.pickle_path("photo", 12) == Path("out/results/photo/012.pkl")
    assert layout.mesh_path("photo.v2", 3) == Path("out/meshes/photo.v2/003.obj")
    assert OutputLayout(Path("out"), "glb").mesh_path("photo", 3) == Path("out/meshes/photo/003.glb")
    assert layout.overlay_path("photo", 0) == Path("out/images/photo/000/overlay.jpg")


def test_missing_are_wanted_files_without_content(tmp_path: Path) -> None:
    settings = OutputConfig(mesh_format="ply", save_pickle=True)
    layout = OutputLayout.of(tmp_path, settings)
    key = ("photo", 0, None)
    assert layout.missing(key, "smplx", settings) == ["mesh", "side_view", "pickle"]
    assert layout.missing(key, "mano", settings) == ["mesh", "side_view", "close_up", "pickle"]
    nothing = OutputConfig(mesh_format="none", render=False)
    assert OutputLayout.of(tmp_path, nothing).missing(key, "mano", nothing) == []
    for path in (layout.mesh_path(*key), layout.side_view_path(*key), layout.pickle_path(*key)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert layout.missing(key, "smplx", settings) == ["mesh", "side_view", "pickle"]
    layout.mesh_path(*key).write_text("ply")
    assert layout.missing(key, "smplx", settings) == ["side_view", "pickle"]


def test_one_picture_shows_all_people_of_a_photo(tmp_path: Path) -> None:
    layout = OutputLayout(tmp_path)
    alone, other = ("photo", 3, None), ("photo", 4, "left")
    assert layout.photo_overlay_path([alone]) == tmp_path / "images/photo/003/overlay.jpg"
    assert layout.photo_overlay_path([alone, other]) == tmp_path / "images/photo/overlay.jpg"


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_the_format_of_pictures_is_found(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "images" / "photo" / "000").mkdir(parents=True)
    (tmp_path / "images" / "photo" / "000" / f"overlay.{suffix}").write_text("picture")
    assert OutputLayout.found_in(tmp_path).picture_format == suffix
