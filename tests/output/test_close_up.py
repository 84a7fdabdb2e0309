"""Close-ups: the mesh keeps its place in the picture, and the camera says so."""

import numpy as np
import pytest

from smplifyx.camera import Camera
from smplifyx.output.pictures import close_up

_CAMERA = Camera((500.0, 520.0), (160.0, 110.0), image_size=(320, 240))


def _photo() -> np.ndarray:
    """A picture whose first two channels tell the place."""
    rows, columns = np.mgrid[0:240, 0:320]
    return np.stack([columns / 2, rows, np.zeros_like(rows)], axis=2).astype(np.uint8)


def _mesh(x: float, y: float) -> np.ndarray:
    """Corners of a small square whose middle is seen at a pixel."""
    corners = 0.03 * np.array([[-1, -1, 0], [1, -1, 0], [-1, 1, 0], [1, 1, 0.0]])
    return corners + np.array([(x - 160) / 500, (y - 110) / 520, 1.0])


@pytest.mark.parametrize(("x", "y"), [(150, 100), (20, 200), (318, 2)])
def test_what_is_seen_at_the_mesh_stays_there(x, y):
    picture, camera = close_up(_photo(), _CAMERA, _mesh(x, y))
    assert max(picture.shape) == 640 and camera.image_size == picture.shape[1::-1]
    column, row = np.rint(camera.project(_mesh(x, y).mean(0, keepdims=True))[0]).astype(int)
    np.testing.assert_allclose(picture[row, column, :2], [x / 2, y], atol=2)


def test_the_whole_mesh_is_in_the_picture():
    picture, camera = close_up(_photo(), _CAMERA, _mesh(160, 120), longest_side=200)
    points = camera.project(_mesh(160, 120))
    assert max(picture.shape) == 200
    assert points.min() > 0.15 * 200 and points.max() < 0.85 * 200


@pytest.mark.parametrize("mesh", [_mesh(-400, 100), _mesh(100, 900), np.full((4, 3), np.nan)])
def test_a_mesh_out_of_the_photo_gives_the_whole_photo(mesh):
    picture, camera = close_up(_photo(), _CAMERA, mesh)
    assert picture.shape == (480, 640, 3)
    assert camera.focal_length == pytest.approx((1000.0, 1040.0))
