from __future__ import annotations

import json
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh

from smplifyx.camera import Camera
from smplifyx.output import save_mesh

TRANSLATION = np.array([0.3, -0.2, 4.0])


@pytest.fixture
def body() -> tuple[np.ndarray, np.ndarray]:
    """A closed mesh with two vertices in one place, which a careless writer would merge."""
    mesh = trimesh.creation.icosphere(subdivisions=2)
    vertices = np.concatenate([mesh.vertices, mesh.vertices[:1], mesh.vertices[:1] * 0.5]) * (0.3, 0.9, 0.2)
    n = len(mesh.vertices)
    return vertices, np.concatenate([mesh.faces, [[n, n + 1, 5]]])


@pytest.mark.parametrize("suffix", ["obj", "ply", "glb"])
def test_vertices_are_turned_and_keep_their_order(body: tuple, tmp_path: Path, suffix: str) -> None:
    vertices, faces = body
    path = tmp_path / "meshes" / f"000.{suffix}"
    save_mesh(vertices, faces, path)
    loaded = trimesh.load(path, process=False, force="mesh", maintain_order=True)
    np.testing.assert_allclose(loaded.vertices, vertices * (1, -1, -1), atol=1e-6)
    np.testing.assert_array_equal(loaded.faces, faces)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_normals_are_smooth_and_outward(body: tuple, tmp_path: Path) -> None:
    vertices, faces = body
    save_mesh(vertices, faces, tmp_path / "m.obj")
    lines = [line.split() for line in (tmp_path / "m.obj").read_text().splitlines()]
    normals = np.array([line[1:] for line in lines if line[:1] == ["vn"]], float)
    assert len(normals) == len(vertices)
    ellipsoid = vertices / np.square((0.3, 0.9, 0.2)) * (1, -1, -1)
    ellipsoid /= np.linalg.norm(ellipsoid, axis=1, keepdims=True)
    assert ((normals * ellipsoid).sum(axis=1)[20:-2] > 0.95).all()


def _glb_json(path: Path) -> dict:
    data = path.read_bytes()
    (length,) = struct.unpack("<I", data[12:16])
    return json.loads(data[20 : 20 + length])


@pytest.mark.parametrize("center", [(319.5, 239.5), (320.0, 240.0), (360.5, 209.75)])
def test_glb_camera_reproduces_the_photo(center: tuple[float, float], body: tuple, tmp_path: Path) -> None:
    vertices, faces = body
    camera = Camera((700.0, 650.0), center, image_size=(640, 480))
    save_mesh(vertices, faces, tmp_path / "m.glb", camera, TRANSLATION)
    tree = _glb_json(tmp_path / "m.glb")
    (node,) = [node for node in tree["nodes"] if "camera" in node]
    perspective = tree["cameras"][node["camera"]]["perspective"]
    pose = np.array(node["matrix"]).reshape(4, 4).T if "matrix" in node else np.eye(4)
    pose[:3, 3] = node.get("translation", pose[:3, 3])
    # the projection of the glTF 2.0 specification, section 3.10.3
    points = trimesh.load(tmp_path / "m.glb", force="mesh", process=False).vertices
    seen = trimesh.transform_points(points, np.linalg.inv(pose))
    tangent = np.tan(perspective["yfov"] / 2)
    ndc = seen[:, :2] / -seen[:, 2:] / (tangent * perspective["aspectRatio"], tangent)
    extras = tree["cameras"][0]["extras"]
    pixels = (ndc * (1, -1) + 1) / 2 * extras["picture_size"] - extras["photo_offset"] - 0.5

    intrinsics = np.array([[700, 0, center[0]], [0, 650, center[1]], [0, 0, 1.0]])
    expected, _ = cv2.projectPoints(vertices, np.zeros(3), TRANSLATION, intrinsics, None)
    np.testing.assert_allclose(pixels, expected[:, 0], atol=1e-3)
    assert extras["focal_length"] == [700.0, 650.0]
    assert extras["picture_size"] == [
        2 * max(length, side - length)
        for length, side in zip((center[0] + 0.5, center[1] + 0.5), (640, 480), strict=True)
    ]
    assert (seen[:, 2] < 0).all() and perspective["znear"] < -seen[:, 2].max()


def test_glb_camera_survives_a_reader(body: tuple, tmp_path: Path) -> None:
    camera = Camera((700.0, 700.0), (319.5, 239.5), image_size=(640, 480))
    save_mesh(*body, tmp_path / "m.glb", camera, TRANSLATION)
    scene = trimesh.load(tmp_path / "m.glb")
    np.testing.assert_allclose(scene.camera_transform[:3, 3], [-0.3, -0.2, 4.0], atol=1e-6)
    assert scene.camera.fov[1] == pytest.approx(np.degrees(2 * np.arctan(240 / 700)))


def test_unusable_meshes_are_refused_and_nothing_is_written(body: tuple, tmp_path: Path) -> None:
    vertices, faces = body
    with pytest.raises(ValueError, match=r"\.obj, \.ply or \.glb"):
        save_mesh(vertices, faces, tmp_path / "m.stl")
    vertices[3, 1] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        save_mesh(vertices, faces, tmp_path / "m.obj")
    assert not list(tmp_path.iterdir())
