"""The renderer in another process draws what one in this process draws, and is replaced when it ends."""

from __future__ import annotations

import numpy as np

from smplifyx.camera import Camera
from smplifyx.output import BodyMesh, RendererProcess, open_renderer

CAMERA = Camera(60.0, (20.0, 15.0), image_size=(40, 30))
MESH = BodyMesh(np.array([[-0.5, -0.4, 2.0], [0.5, -0.4, 2.0], [0.0, 0.5, 2.0]]), np.array([[0, 2, 1]]))


def test_draws_as_a_renderer_of_this_process_and_survives_the_end_of_the_other() -> None:
    expected = open_renderer()[0].render([MESH], CAMERA)
    with RendererProcess() as process:
        renderer, remark = process.open()
        assert renderer is process
        assert remark == open_renderer()[1]
        np.testing.assert_array_equal(renderer.render([MESH], CAMERA), expected)
        process._process.kill()
        process._process.join()
        np.testing.assert_array_equal(renderer.render([MESH], CAMERA), expected)


def test_leaving_ends_the_process_even_before_it_has_started() -> None:
    with RendererProcess() as process:
        assert process._process.is_alive()
    assert not process._process.is_alive()


def test_errors_of_drawing_are_raised_here() -> None:
    with RendererProcess() as process:
        renderer, _ = process.open()
        broken = BodyMesh(MESH.vertices, np.array([[0, 1, 9]]))
        try:
            renderer.render([broken], CAMERA)
        except IndexError:
            pass
        else:
            raise AssertionError("a face without a vertex was drawn")
        assert renderer.render([MESH], CAMERA).any()
