"""The side view of a video: it stands still, up is up, and the camera is on the left."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from smplifyx.camera import Camera
from smplifyx.output.film import SideStage
from smplifyx.output.render import BodyMesh

UP = np.array([0.0, -1.0, 0.0])


class Recorder:
    """A renderer that keeps the pixels of what it is given."""

    def __init__(self) -> None:
        self.pixels: list[np.ndarray] = []

    def render(self, meshes: Sequence[BodyMesh], camera: Camera) -> np.ndarray:
        self.pixels = [camera.project(mesh.vertices) for mesh in meshes]
        return np.zeros((camera.size[1], camera.size[0], 4), np.uint8)


@pytest.mark.parametrize("tilt", [0.0, 30.0])
def test_depth_goes_to_the_right_and_up_is_up(tilt: float) -> None:
    turn = Rotation.from_euler("x", tilt, degrees=True)
    far, near, high = turn.apply([[0.0, 0.0, 6.0], [1.0, 0.0, 4.0], [0.5, -1.5, 5.0]])
    stage = SideStage.around([np.stack([far, near, high])], 400, turn.apply(UP))
    assert Rotation.from_matrix(stage.rotation).magnitude() >= 0  # a proper rotation
    assert np.linalg.det(stage.rotation) == pytest.approx(1.0)
    recorder = Recorder()
    mesh = BodyMesh(np.stack([far, near, high]), np.array([[0, 1, 2]]), (1.0, 1.0, 1.0))
    picture = stage.picture([mesh], recorder)
    (pixels,) = recorder.pixels
    assert pixels[0, 0] > pixels[2, 0] > pixels[1, 0]
    assert pixels[0, 1] == pytest.approx(pixels[1, 1], abs=2) and pixels[2, 1] < pixels[0, 1]
    assert (pixels >= 0).all() and (pixels < [picture.shape[1], picture.shape[0]]).all()
    assert pixels[0, 1] < stage.ground < 400


def test_a_camera_that_looks_down_has_a_side_view_too() -> None:
    stage = SideStage.around([np.array([[0.0, 0.0, 3.0], [0.3, 0.4, 1.5]])], 200, np.array([0.0, 0.0, -1.0]))
    assert np.isfinite(stage.rotation).all() and np.linalg.det(stage.rotation) == pytest.approx(1.0)
    assert stage.picture([], Recorder()).shape == (200, 150, 3)
