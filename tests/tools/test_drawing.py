"""Drawings of the documentation: a mesh lies where the viewpoint says, and the tools write their pictures."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
import trimesh

from smplifyx.body.files import load_body_model_data
from smplifyx.body.search import OPEN_BODY_DIR
from smplifyx.output import BodyMesh, SoftwareRenderer
from tools import draw_family, draw_pose_correctives, draw_pose_prior
from tools.drawing import CAPTION, PAPER, Viewpoint, captioned, draw_meshes, save_sheet

SIZE = (60, 80)


def drawn(center: tuple[float, float, float], viewpoint: Viewpoint) -> np.ndarray:
    """[H, W] whether a small ball off the focus covers a pixel."""
    ball = trimesh.creation.icosphere(subdivisions=1, radius=0.05)
    mesh = BodyMesh(np.asarray(ball.vertices) + center, np.asarray(ball.faces))
    picture = draw_meshes([mesh], np.zeros(3), viewpoint, SIZE, SoftwareRenderer())
    assert picture.shape == (80, 60, 3) and picture.dtype == np.uint8
    return (np.abs(picture.astype(int) - PAPER) > 20).any(axis=2)


@pytest.mark.parametrize(
    ("azimuth", "elevation", "place", "column", "row"),
    [
        (0, 0, (0.0, 0.2, 0.0), 30, 24),  # above the focus: 0.2 m of the 1 m that 80 pixels show
        (0, 0, (0.2, 0.0, 0.0), 46, 40),  # the person's left is on the right
        (90, 0, (0.0, 0.0, 0.2), 14, 40),  # from the person's left, the front is on the left
        (0, 90, (0.0, 0.0, 0.2), 30, 56),  # from above, the front is below
    ],
)
def test_a_point_lies_where_the_viewpoint_says(azimuth, elevation, place, column, row) -> None:
    covered = drawn(place, Viewpoint(azimuth, elevation, 1.0))
    rows, columns = np.nonzero(covered)
    assert columns.mean() == pytest.approx(column, abs=1.0)
    assert rows.mean() == pytest.approx(row, abs=1.0)


def test_captions_stand_above_pictures_of_a_row(tmp_path) -> None:
    pictures = [np.full((40, 50, 3), value, np.uint8) for value in (10, 90)]
    block = captioned(pictures, ["one", "two"], gap=6)
    assert block.shape == (CAPTION + 40 + 6, 50 + 2 + 50 + 6, 3)
    assert (block[CAPTION : CAPTION + 40, :50] == 10).all() and (block[CAPTION : CAPTION + 40, 52:102] == 90).all()
    assert (block[:CAPTION] < 100).any() and (block[-6:] == 255).all()
    save_sheet([[block, block], [block, block]], tmp_path / "new" / "sheet.jpg")
    assert cv2.imread(str(tmp_path / "new" / "sheet.jpg")).shape == (2 * block.shape[0], 2 * block.shape[1], 3)


def test_family_views_show_skin_eyes_and_the_inside_of_cut_parts() -> None:
    renderer = SoftwareRenderer()
    kinds = {}
    for row in draw_family.VIEWS:
        view = dataclasses.replace(row[-1], size=(62, 62))
        data = load_body_model_data(OPEN_BODY_DIR / f"{view.model}.npz")
        meshes, focus = draw_family.meshes_of(data, view)
        kinds[data.model_type] = len(meshes)
        assert focus.shape == (3,) and all(np.isfinite(mesh.vertices).all() for mesh in meshes)
        picture = draw_family.draw(view, renderer)
        assert picture.shape == (62 + CAPTION + draw_family.GAP, 62 + draw_family.GAP, 3)
        assert (np.abs(picture[CAPTION : CAPTION + 62, :62].astype(int) - PAPER) > 20).any()
    # Skin, white and iris of the eyes; a hand has its inside and a head both.
    assert kinds == {"smplx": 3, "mano": 2, "flame": 4}


def test_correctives_keep_volume_in_the_views_of_elbows_and_knees() -> None:
    bodies = draw_pose_correctives.Bodies.of(load_body_model_data(OPEN_BODY_DIR / "SMPLX_NEUTRAL.npz"))
    views = [view for view in draw_pose_correctives.VIEWS if view.title in ("elbow 90", "knee 90")]
    heading, *lines = draw_pose_correctives.volume_lines(bodies, views)
    assert heading.split()[-2:] == ["without", "with"] and len(lines) == 2
    for line in lines:
        without, with_correctives = map(float, line.split()[-2:])
        assert abs(with_correctives) < without
    picture = draw_pose_correctives.pair(bodies, views[0], SoftwareRenderer())
    cell = draw_pose_correctives.CELL[0]
    left, right = picture[CAPTION : CAPTION + cell, :cell], picture[CAPTION : CAPTION + cell, cell + 2 : 2 * cell + 2]
    assert (left != right).any()


def test_codes_start_with_the_mean_and_paths_are_straight() -> None:
    codes = draw_pose_prior.codes(5, paths=False, seed=1)
    side = draw_pose_prior.SIDE
    assert codes.shape == (side * side, 5) and not codes[0].any() and codes[1:].any(dim=1).all()
    path = draw_pose_prior.codes(5, paths=True, seed=1).reshape(side, side, 5)
    steps = path.diff(dim=1)
    np.testing.assert_allclose(steps, steps[:, :1].expand_as(steps), atol=1e-5)


def test_people_of_the_prior_stand_before_the_camera() -> None:
    import torch

    data = load_body_model_data(OPEN_BODY_DIR / "SMPLX_NEUTRAL.npz")
    vertices = draw_pose_prior.posed_people(torch.eye(3).expand(2, 21, 3, 3), data)
    middles = (vertices.min(axis=1) + vertices.max(axis=1)) / 2
    np.testing.assert_allclose(middles, [[0, 0, draw_pose_prior.DISTANCE]] * 2, atol=1e-4)
    head = data.extra_point_vertices[data.extra_point_names.index("nose")]
    assert (vertices[:, head, 1] < -0.5).all()  # y is down
