from __future__ import annotations

import os
import subprocess
import sys
import threading

import cv2
import numpy as np
import pytest
import trimesh

from smplifyx.camera import Camera
from smplifyx.output import (
    BodyMesh,
    BodyRenderer,
    Renderer,
    RenderUnavailable,
    SoftwareRenderer,
    open_renderer,
    render,
)

CAMERA = Camera((900.0, 850.0), (300.0, 260.0), image_size=(640, 480))


@pytest.fixture(params=["opengl", "software"])
def renderer(request: pytest.FixtureRequest) -> BodyRenderer:
    return SoftwareRenderer() if request.param == "software" else request.getfixturevalue("gl_renderer")


def _sphere(centre: tuple[float, float, float], radius: float, color: tuple = (0.6, 0.6, 0.6)) -> BodyMesh:
    mesh = trimesh.creation.icosphere(subdivisions=4, radius=radius)
    return BodyMesh(mesh.vertices + centre, mesh.faces, color)


def _project(points: np.ndarray, camera: Camera) -> np.ndarray:
    (fx, fy), (cx, cy) = camera.focal_length, camera.principal_point
    intrinsics = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1.0]])
    return cv2.projectPoints(np.asarray(points, float), np.zeros(3), np.zeros(3), intrinsics, None)[0][:, 0]


@pytest.mark.parametrize("centre", [(0.0, 0.0, 3.0), (0.6, -0.5, 3.0), (-0.7, 0.4, 3.5)])
def test_small_sphere_lands_where_opencv_projects_it(renderer: BodyRenderer, centre: tuple) -> None:
    alpha = renderer.render([_sphere(centre, 0.02)], CAMERA)[..., 3].astype(float)
    rows, columns = np.mgrid[: alpha.shape[0], : alpha.shape[1]]
    found = np.array([(alpha * columns).sum(), (alpha * rows).sum()]) / alpha.sum()
    np.testing.assert_allclose(found, _project(np.array([centre]), CAMERA)[0], atol=0.25)


def test_triangle_covers_the_pixels_that_opencv_fills(renderer: BodyRenderer) -> None:
    corners = np.array([[-0.5, -0.4, 3.0], [0.1, 0.5, 3.5], [0.7, -0.2, 2.5]])
    both_sides = np.array([[0, 1, 2], [0, 2, 1]])  # one of them faces the camera
    alpha = renderer.render([BodyMesh(corners, both_sides)], CAMERA)[..., 3]
    expected = np.zeros((480, 640), np.uint8)
    cv2.fillConvexPoly(expected, np.rint(_project(corners, CAMERA) * 256).astype(np.int32), 255, cv2.LINE_8, shift=8)
    differs = (alpha > 127) != (expected > 127)
    inner = cv2.erode(expected, np.ones((3, 3), np.uint8)) > 0
    outer = cv2.dilate(expected, np.ones((3, 3), np.uint8)) == 0
    assert not differs[inner].any() and not differs[outer].any()
    assert (expected > 0).sum() > 20000


def test_nearer_body_hides_the_farther_one(renderer: BodyRenderer) -> None:
    red, green = _sphere((0, 0, 3), 0.3, (0.8, 0.1, 0.1)), _sphere((0, 0, 2), 0.1, (0.1, 0.8, 0.1))
    for meshes in ([red, green], [green, red]):
        rgba = renderer.render(meshes, CAMERA)
        assert rgba[260, 300, 1] > 2 * rgba[260, 300, 0]
        assert rgba[260, 360, 0] > 2 * rgba[260, 360, 1]


def test_edges_are_soft_and_premultiplied(renderer: BodyRenderer) -> None:
    rgba = renderer.render([_sphere((0, 0, 3), 0.3, (0.8, 0.8, 0.8))], CAMERA).astype(int)
    edge = (rgba[..., 3] > 0) & (rgba[..., 3] < 255)
    assert edge.sum() > 100
    assert (rgba[edge][:, :3].max(axis=1) <= rgba[edge][:, 3] + 1).all()
    assert rgba[rgba[..., 3] == 0].sum() == 0


@pytest.mark.parametrize("depth", [0.4, 3.0, 400.0])
def test_any_depth_is_within_the_clipping_planes(renderer: BodyRenderer, depth: float) -> None:
    focal = 300.0 * depth
    camera = Camera((focal, focal), (100.0, 80.0), image_size=(200, 160))
    alpha = renderer.render([_sphere((0, 0, depth), 0.1)], camera)[..., 3]
    radius = focal * 0.1 / np.sqrt(depth**2 - 0.01)
    assert (alpha > 127).sum() == pytest.approx(np.pi * radius**2, rel=0.03)


@pytest.mark.parametrize("centre", [(0.0, 0.0, -3.0), (np.nan, 0.0, 3.0)])
def test_bodies_behind_the_camera_or_without_place_draw_nothing(renderer: BodyRenderer, centre: tuple) -> None:
    assert not renderer.render([_sphere(centre, 0.2)], CAMERA).any()
    assert not renderer.render([], CAMERA).any()


def test_renderers_agree(gl_renderer: Renderer) -> None:
    meshes = [_sphere((0.1, 0, 3), 0.4), _sphere((-0.3, 0.2, 2.6), 0.2, (0.2, 0.4, 0.7))]
    first, second = (r.render(meshes, CAMERA).astype(int) for r in (gl_renderer, SoftwareRenderer()))
    assert (abs(first[..., 3] - second[..., 3]) > 128).sum() < 20
    solid = (first[..., 3] == 255) & (second[..., 3] == 255)
    assert abs(first - second)[solid].mean() < 12


def test_one_context_serves_every_size(gl_renderer: Renderer) -> None:
    again = Renderer()
    assert again._offscreen is gl_renderer._offscreen
    for size in ((64, 48), (500, 900), (333, 77), (64, 48)):
        camera = Camera((size[1], size[1]), (size[0] / 2, size[1] / 2), image_size=size)
        rgba = again.render([_sphere((0, 0, 3), 0.5)], camera)
        assert rgba.shape == (size[1], size[0], 4)
        assert rgba[size[1] // 2, size[0] // 2, 3] == 255


def test_without_opengl_the_user_learns_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ImportError("Unable to load EGL library")

    monkeypatch.setattr(render, "offscreen_renderer", fail)
    with pytest.raises(RenderUnavailable, match=r"Unable to load EGL library.*apt-get install libegl1"):
        Renderer()
    renderer, note = open_renderer()
    assert isinstance(renderer, SoftwareRenderer)
    assert note is not None and "libegl1" in note and "software" in note


def _run_python(code: str, platform: str | None) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "PYOPENGL_PLATFORM"}
    environment |= {"PYOPENGL_PLATFORM": platform} if platform else {}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_needs_no_pyglet_and_leaves_numpy_alone(gl_renderer: Renderer) -> None:
    code = """
import os, sys
sys.modules["pyglet"] = None
import numpy as np
had = hasattr(np, "infty")
from smplifyx.output.render import load_pyrender
assert "pyrender" not in sys.modules
pyrender = load_pyrender()
assert hasattr(np, "infty") == had and "pyrender.viewer" not in sys.modules
mesh = pyrender.Mesh([pyrender.Primitive(positions=np.eye(3, dtype=np.float32))])
assert mesh.bounds.tolist() == [[0, 0, 0], [1, 1, 1]]
print(os.environ["PYOPENGL_PLATFORM"])
"""
    assert _run_python(code, None) == "egl"


def test_the_users_platform_is_respected() -> None:
    code = """
import os
from smplifyx.output import RenderUnavailable, Renderer
try:
    Renderer()
except RenderUnavailable:
    pass
print(os.environ["PYOPENGL_PLATFORM"])
"""
    assert _run_python(code, "osmesa") == "osmesa"


def test_threads_may_take_turns(gl_renderer: Renderer) -> None:
    mesh, camera = _sphere((0.0, 0.0, 3.0), 0.5), Camera((200.0, 200.0), (80.0, 60.0), image_size=(160, 120))
    here = gl_renderer.render([mesh], camera)
    elsewhere: list[np.ndarray] = []
    thread = threading.Thread(target=lambda: elsewhere.append(gl_renderer.render([mesh], camera)))
    thread.start()
    thread.join()
    np.testing.assert_array_equal(elsewhere[0], here)
    np.testing.assert_array_equal(gl_renderer.render([mesh], camera), here)


def test_threads_that_draw_at_the_same_time_wait_for_each_other(gl_renderer: Renderer) -> None:
    mesh, camera = _sphere((0.0, 0.0, 3.0), 0.5), Camera((200.0, 200.0), (80.0, 60.0), image_size=(160, 120))
    found: list[np.ndarray] = []

    def draw() -> None:
        for _ in range(5):
            found.append(gl_renderer.render([mesh], camera))

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 20
    for picture in found:
        np.testing.assert_array_equal(picture, found[0])
