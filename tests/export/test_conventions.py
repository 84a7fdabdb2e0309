"""The examples of docs/conventions.md run, where their program is installed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smplifyx.cli.main import main
from tests.export.people import fitted

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "conventions.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
FRAMES, BLENDER, OPEN3D, PYTORCH3D = range(4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("conventions")
    fitted(principal_point=(360.5, 209.75)).save(folder / "output" / "results" / "photo" / "000.npz")
    output = str(folder / "output")
    assert main(["export", output, "--format", "glb", "ply"]) == 0
    return folder


def run(number: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run the first example and another one; returns the names that they define."""
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    for one in dict.fromkeys((FRAMES, number)):
        exec(compile(EXAMPLES[one], f"conventions.md, example {one}", "exec"), names)
    return names


def test_frames(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = run(FRAMES, folder, monkeypatch)
    person = names["person"]
    np.testing.assert_allclose(names["fitted"], person.mesh().vertices, atol=1e-6)
    inside = names["camera"][:, 2] > 0.1
    points = names["camera"] @ np.array([[700, 0, 360.5], [0, 710, 209.75], [0, 0, 1]]).T
    np.testing.assert_allclose(names["pixels"][inside], (points[:, :2] / points[:, 2:])[inside], atol=0.01)


def test_blender_shows_the_people_as_the_photo(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bpy = pytest.importorskip("bpy", reason="needs Blender as a Python module (pip install bpy)")
    utilities = pytest.importorskip("bpy_extras.object_utils")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    person = run(BLENDER, folder, monkeypatch)["person"]
    scene = bpy.context.scene
    body = bpy.data.objects["person_0_body"].evaluated_get(bpy.context.evaluated_depsgraph_get())
    places = [body.matrix_world @ vertex.co for vertex in body.to_mesh().vertices][: len(person.vertices)]
    x, y, z = (person.vertices * (1, -1, -1)).T
    difference = np.array(places) - np.stack([x, -z, y], axis=1)
    assert np.linalg.norm(difference, axis=1).max() < 0.002
    seen = [utilities.world_to_camera_view(scene, scene.camera, place) for place in places[::50]]
    pixels = np.array(seen)[:, :2] * (640, -480) + (-0.5, 480 - 0.5)
    error = np.linalg.norm(pixels - person.camera.project(person.vertices[::50]), axis=1)
    assert error.max() < 2.0 and np.median(error) < 0.1
    assert bpy.data.objects["person_0"].pose.bones["left_elbow"].parent.name == "left_shoulder"


def test_open3d_reads_the_mesh(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("open3d", reason="needs Open3D", exc_type=ImportError)
    names = run(OPEN3D, folder, monkeypatch)
    np.testing.assert_allclose(np.asarray(names["mesh"].vertices), names["scene"], atol=1e-5)
    points = names["scene"] @ names["to_camera"][:3, :3].T @ names["view"].intrinsic_matrix.T
    np.testing.assert_allclose(points[:, :2] / points[:, 2:], names["pixels"], atol=0.02)


def test_pytorch3d_projects_as_we_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pytorch3d", reason="needs PyTorch3D")
    names = run(PYTORCH3D, folder, monkeypatch)
    torch = names["torch"]
    points = names["view"].transform_points_screen(torch.tensor(names["camera"])[None].float())[0, :, :2].numpy()
    np.testing.assert_allclose(points - 0.5, names["pixels"], atol=0.05)


def test_pyvista_reads_plain_meshes(folder: Path) -> None:
    pyvista = pytest.importorskip("pyvista", reason="needs PyVista")
    from smplifyx.result import load_result

    mesh = pyvista.read(folder / "output" / "exports" / "photo_000.ply")
    person = load_result(folder / "output" / "results" / "photo" / "000.npz")
    np.testing.assert_allclose(mesh.points, person.vertices * (1, -1, -1), atol=1e-5)
