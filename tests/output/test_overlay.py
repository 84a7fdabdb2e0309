from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh

from smplifyx.camera import Camera
from smplifyx.output import BodyMesh, SoftwareRenderer, overlay, save_picture, side_view
from smplifyx.output.pictures import composite

RENDERER = SoftwareRenderer()
PELVIS = np.array([0.2, 0.1, 4.0])
CAMERA = Camera((500.0, 500.0), (159.5, 119.5), image_size=(320, 240))


def _box(extents: tuple[float, float, float], centre: np.ndarray) -> BodyMesh:
    mesh = trimesh.creation.box(extents=extents)
    return BodyMesh(mesh.vertices + centre, mesh.faces)


def test_composite_is_the_over_operator() -> None:
    background = np.full((1, 3, 3), (10, 20, 200), np.uint8)
    rgba = np.array([[[0, 0, 0, 0], [200, 100, 50, 255], [100, 50, 20, 128]]], np.uint8)
    mixed = composite(background, rgba)[0]
    np.testing.assert_array_equal(mixed[:2], [[10, 20, 200], [50, 100, 200]])
    np.testing.assert_allclose(mixed[2], [10 * 127 / 255 + 20, 20 * 127 / 255 + 50, 200 * 127 / 255 + 100], atol=1)


def test_overlay_changes_only_the_bodys_pixels() -> None:
    photo = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    picture = overlay(photo, [_box((0.4, 1.0, 0.3), PELVIS)], CAMERA, RENDERER)
    changed = (picture != photo).any(axis=2)
    rows, columns = np.nonzero(changed)
    front = PELVIS[2] - 0.15
    assert columns.min() == pytest.approx(159.5 + 500 * 0.0 / front, abs=1)
    assert columns.max() == pytest.approx(159.5 + 500 * 0.4 / front, abs=1)
    assert rows.min() == pytest.approx(119.5 - 500 * 0.4 / front, abs=1)
    assert rows.max() == pytest.approx(119.5 + 500 * 0.6 / front, abs=1)


def test_large_photos_are_shrunk_with_their_camera() -> None:
    photo = np.zeros((3000, 2000, 3), np.uint8)
    camera = Camera((3000.0, 3000.0), (999.5, 1499.5), image_size=(2000, 3000))
    picture = overlay(photo, [_box((0.1, 0.1, 0.1), np.array([0.5, -0.5, 3.0]))], camera, RENDERER, longest_side=600)
    assert picture.shape == (600, 400, 3)
    rows, columns = np.nonzero(picture.any(axis=2))
    middle = np.array([columns.mean(), rows.mean()]) * 5 + 2
    np.testing.assert_allclose(middle, [999.5 + 500, 1499.5 - 500], atol=12)


@pytest.mark.parametrize(
    "places",
    [
        *([(0.0, 0.0, 0.0)], [(-1.3, -0.5, 0.0), (0.4, 0.6, 0.5)], [(0.0, 0.0, -3.9)]),
        *([(3.0, 0.0, 0.0)], [(np.nan, 0.0, 0.0)], []),
    ],
    ids=["inside", "two at the edge", "around the camera", "outside", "nowhere", "nobody"],
)
def test_the_part_with_bodies_looks_like_the_whole_drawn(places: list[tuple[float, float, float]]) -> None:
    """Only the part of the photo in which there are bodies is drawn."""
    photo = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    meshes = [_box((0.4, 1.0, 0.3), PELVIS + place) for place in places]
    picture = overlay(photo, meshes, CAMERA, RENDERER)
    whole = composite(photo, RENDERER.render(meshes, CAMERA))
    assert (picture != whole).any(axis=2).mean() < 1e-3  # the last digit may decide about a pixel at an edge


def test_overlay_refuses_a_photo_of_another_size() -> None:
    with pytest.raises(ValueError, match="320 x 241"):
        overlay(np.zeros((241, 320, 3), np.uint8), [], CAMERA, RENDERER)


def _body_mask(mesh: BodyMesh) -> np.ndarray:
    """Pixels of the side view that the body covers: those that change with its colour."""
    black, white = (
        side_view(BodyMesh(mesh.vertices, mesh.faces, color), PELVIS, CAMERA, RENDERER)
        for color in ((0.0, 0.0, 0.0), (0.9, 0.9, 0.9))
    )
    return (black != white).any(axis=2)


def test_side_view_swaps_width_and_depth_at_the_overlays_scale() -> None:
    rows, columns = np.nonzero(_body_mask(_box((0.2, 1.6, 0.8), PELVIS)))
    scale = 500.0 / 4.0
    assert np.ptp(columns) + 1 == pytest.approx(0.8 * scale, abs=2)
    assert np.ptp(rows) + 1 == pytest.approx(1.6 * scale, abs=2)


def test_side_view_has_the_camera_on_the_left_and_up_on_top() -> None:
    mesh = _box((0.2, 1.6, 0.2), PELVIS)
    leaning = mesh.vertices.copy()
    leaning[leaning[:, 1] < PELVIS[1], 2] -= 0.5  # y is down: the upper end comes towards the camera
    mask = _body_mask(BodyMesh(leaning, mesh.faces))
    rows = np.nonzero(mask.any(axis=1))[0]
    top, bottom = (np.nonzero(mask[row])[0].mean() for row in (rows[4], rows[-5]))
    assert bottom - top == pytest.approx(0.5 * 125, abs=5)


def test_side_view_shows_the_right_side() -> None:
    """A box on the image's right side stands nearer to the side camera than the body and hides it."""
    near = _box((0.1, 0.5, 0.4), PELVIS + np.array([0.5, 0.0, 0.0]))
    far = _box((0.1, 0.5, 0.4), PELVIS)
    n = len(far.vertices)
    faces = np.concatenate([far.faces, near.faces + n])
    both = BodyMesh(np.concatenate([far.vertices, near.vertices]), faces)
    alone = _body_mask(near)
    assert abs(int(_body_mask(both).sum()) - int(alone.sum())) < 0.03 * alone.sum()


def test_side_view_of_a_body_out_of_all_proportion_stays_within_the_limit() -> None:
    picture = side_view(_box((0.5, 1.7, 300.0), PELVIS), PELVIS, CAMERA, RENDERER, longest_side=400)
    assert max(picture.shape) <= 400


def test_side_view_refuses_a_body_without_place() -> None:
    with pytest.raises(ValueError, match="not finite"):
        side_view(_box((1, 1, 1), PELVIS * np.nan), PELVIS, CAMERA, RENDERER)


def test_side_view_marks_where_the_photo_ends() -> None:
    """With the lower half of the body below the photo, one dashed row appears."""
    inside, cut = _box((0.4, 0.8, 0.3), PELVIS), _box((0.4, 3.0, 0.3), PELVIS)
    blue = [
        (lambda p: (p[..., 0].astype(int) + 40 < p[..., 2]).any(axis=1).sum())(side_view(m, PELVIS, CAMERA, RENDERER))
        for m in (inside, cut)
    ]
    assert blue[0] == 0 and blue[1] > 0


def test_pictures_are_written_whole(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    save_picture(picture, tmp_path / "a" / "overlay.png")
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "a" / "overlay.png")), picture)
    assert len(list((tmp_path / "a").iterdir())) == 1
