"""Renderers of bodies: OpenGL through pyrender, and software in NumPy.

pyrender is imported so that it works without a display, without pyglet and with NumPy 2.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from smplifyx.camera import TURN_ABOUT_X, Camera
from smplifyx.errors import SmplifyxError
from smplifyx.output.meshes import vertex_normals


class _NoViewer:
    """Replacement of pyrender's window, which needs pyglet and a display."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        raise RuntimeError("pyrender was imported for pictures only, without its viewer")


@functools.cache
def load_pyrender() -> ModuleType:
    """The module; pictures are made through EGL unless ``PYOPENGL_PLATFORM`` names another way.

    Raises:
        ImportError, OSError, AttributeError: libraries are missing, as PyOpenGL reports it.
    """
    os.environ.setdefault("PYOPENGL_PLATFORM", "egl")
    stub = ModuleType("pyrender.viewer")
    stub.Viewer = _NoViewer  # type: ignore[attr-defined]
    stubbed = sys.modules.setdefault("pyrender.viewer", stub) is stub
    try:
        import pyrender
    finally:
        if stubbed:
            del sys.modules["pyrender.viewer"]
    if not hasattr(np, "infty"):
        # pyrender.mesh asks for np.infty, which NumPy 2 dropped: only its own view of numpy gets the name
        numpy_view = ModuleType("numpy")
        numpy_view.__dict__.update(vars(np), infty=np.inf)
        sys.modules["pyrender.mesh"].np = numpy_view  # type: ignore[attr-defined]
    return pyrender


@functools.cache
def offscreen_renderer() -> Any:
    """The one OffscreenRenderer of this process.

    All of a process's contexts live on one EGL display, and deleting any of them closes it, so one is made and kept;
    its viewport takes any size. The context is not current in any thread between pictures. Raises whatever pyrender,
    PyOpenGL or the driver raise.
    """
    offscreen = load_pyrender().OffscreenRenderer(viewport_width=64, viewport_height=64)
    release_context(offscreen)
    return offscreen


def release_context(offscreen: Any) -> None:
    """Let go of the OpenGL context, so that another thread may draw; pyrender itself never does under EGL."""
    display = getattr(offscreen._platform, "_egl_display", None)
    if display is not None:
        from OpenGL import EGL

        EGL.eglMakeCurrent(display, EGL.EGL_NO_SURFACE, EGL.EGL_NO_SURFACE, EGL.EGL_NO_CONTEXT)


#: Held while a thread draws: a context is current in one thread at a time.
_DRAWING = threading.Lock()


def draw_scene(offscreen: Any, scene: Any, size: tuple[int, int], flags: int) -> np.ndarray:
    """Draw a scene of pyrender at (width, height) pixels; other threads that want to draw wait."""
    with _DRAWING:
        offscreen.viewport_width, offscreen.viewport_height = size
        try:
            picture, _ = offscreen.render(scene, flags=flags)
        finally:
            release_context(offscreen)
    return np.asarray(picture)


Color = tuple[float, float, float]

#: Linear RGB base colours, one a person, in turn.
PERSON_COLORS: tuple[Color, ...] = (
    (0.62, 0.59, 0.55),  # clay
    (0.28, 0.46, 0.70),  # blue
    (0.36, 0.56, 0.34),  # sage
    (0.68, 0.50, 0.18),  # ochre
    (0.48, 0.36, 0.62),  # lilac
    (0.24, 0.56, 0.56),  # teal
    (0.64, 0.26, 0.18),  # brick
    (0.40, 0.42, 0.46),  # slate
)
ROUGHNESS = 0.6
AMBIENT = 0.18
#: Share of light that a surface that is no metal mirrors at right angles.
_REFLECTANCE = 0.04
#: (intensity, direction towards the light in the camera frame: x right, y down, z forward).
LIGHTS: tuple[tuple[float, tuple[float, float, float]], ...] = (
    (2.4, (-1.0, -1.0, -0.9)),  # key: from above left, beside the camera
    (0.5, (1.0, -0.1, -0.7)),  # fill
    (1.2, (0.5, -0.8, 1.0)),  # back: a rim on head and shoulders
)


def person_color(person: int) -> Color:
    """The colour of one person of a photo; colours repeat after the last."""
    return PERSON_COLORS[person % len(PERSON_COLORS)]


def unit_lights() -> list[tuple[float, np.ndarray]]:
    """The lights with unit directions `[3]`."""
    return [(intensity, np.array(towards) / np.linalg.norm(towards)) for intensity, towards in LIGHTS]


_SUPERSAMPLING = 2
#: Pixels tested against triangles at a time; bounds the memory.
_CHUNK = 2_000_000


def rasterize(meshes: Sequence[tuple[np.ndarray, np.ndarray, Color]], camera: Camera, nearest: float) -> np.ndarray:
    """RGBA `[H, W, 4]` uint8, colours premultiplied by alpha.

    Triangles that reach nearer than ``nearest`` metres to the camera are left out.

    Args:
        meshes: vertices `[V, 3]` in the camera frame, faces `[F, 3]` and linear RGB of each body.
        camera: intrinsics and size of the picture.
        nearest: metres.
    """
    width, height = (side * _SUPERSAMPLING for side in camera.size)
    fine = camera.resized((width, height))
    inverse_depth = np.zeros(height * width)
    rgba = np.zeros((height * width, 4), np.float32)
    for vertices, faces, color in meshes:
        shades = shaded_colors(vertices, faces, color)
        faces = faces[(vertices[faces, 2] > nearest).all(axis=1)]
        with np.errstate(divide="ignore", invalid="ignore"):
            pixels = fine.project(vertices)
        fill_triangles(pixels[faces], 1.0 / vertices[faces, 2], shades[faces], (width, height), (inverse_depth, rgba))
    blocks = rgba.reshape(height // _SUPERSAMPLING, _SUPERSAMPLING, width // _SUPERSAMPLING, _SUPERSAMPLING, 4)
    return np.rint(255.0 * blocks.mean(axis=(1, 3))).astype(np.uint8)


def shaded_colors(vertices: np.ndarray, faces: np.ndarray, color: Color) -> np.ndarray:
    """Gamma-encoded colours `[V, 3]` of a matt surface at its vertices.

    The reflection is that of glTF for a material that is no metal (Lambert, GGX, Smith, Schlick). Computed for each
    vertex instead of each pixel it looks the same, since triangles have few pixels, and drawing takes half as long.

    Args:
        vertices: `[V, 3]` in the camera frame, metres.
        faces: vertex numbers `[F, 3]`.
        color: linear RGB of the surface.
    """
    normals = vertex_normals(vertices, faces).astype(np.float32)
    view = -vertices.astype(np.float32)
    view /= np.maximum(np.linalg.norm(view, axis=1, keepdims=True), 1e-6)
    seen = np.clip(np.abs(np.einsum("vc,vc->v", normals, view)), 1e-3, 1.0)
    smith, width = (ROUGHNESS + 1.0) ** 2 / 8.0, ROUGHNESS**4
    diffuse, specular = np.full(len(vertices), AMBIENT, np.float32), np.zeros(len(vertices), np.float32)
    for intensity, towards in unit_lights():
        middle = view + towards.astype(np.float32)
        middle /= np.maximum(np.linalg.norm(middle, axis=1, keepdims=True), 1e-6)
        lit = np.clip(normals @ towards.astype(np.float32), 1e-3, 1.0)
        facing = np.clip(np.einsum("vc,vc->v", normals, middle), 0.0, 1.0)
        away = 1.0 - np.clip(np.einsum("vc,vc->v", view, middle), 0.0, 1.0)
        fresnel = _REFLECTANCE + (1.0 - _REFLECTANCE) * away**5
        hidden = (seen * (1.0 - smith) + smith) * (lit * (1.0 - smith) + smith)
        facets = width / (np.pi * (facing**2 * (width - 1.0) + 1.0) ** 2)
        diffuse += intensity * lit * (1.0 - fresnel) * (1.0 - _REFLECTANCE) / np.pi
        specular += intensity * lit * fresnel * facets / (4.0 * hidden)
    linear = diffuse[:, None] * np.array(color, np.float32) + specular[:, None]
    return np.clip(linear, 0.0, 1.0) ** (1.0 / 2.2)


def fill_triangles(
    corners: np.ndarray,
    inverse_z: np.ndarray,
    shades: np.ndarray,
    size: tuple[int, int],
    buffers: tuple[np.ndarray, np.ndarray],
    chunk_size: int = _CHUNK,
) -> None:
    """Draw triangles (corners `[F, 3, 2]`, 1/z `[F, 3]`, colours `[F, 3, 3]`) into the depth and colour buffers.

    Buffers are 1/z `[H * W]`, zero at first, and `[H * W, 4]`; ``chunk_size`` pixels are tested at a time.
    """
    width = size[0]
    edge1, edge2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = edge1[:, 0] * edge2[:, 1] - edge1[:, 1] * edge2[:, 0]
    low = np.clip(np.ceil(corners.min(axis=1)), 0, size).astype(np.int64)
    high = np.clip(np.floor(corners.max(axis=1)) + 1, 0, size).astype(np.int64)
    columns, rows = np.maximum(high - low, 0).T
    # counter-clockwise with y up is a negative area with y down; triangles that face away stay out
    drawn = np.flatnonzero((area < 0.0) & (columns * rows > 0))
    chunk_of = np.cumsum((columns * rows)[drawn]) // chunk_size
    for chunk in np.split(drawn, np.flatnonzero(np.diff(chunk_of)) + 1):
        count = (columns * rows)[chunk]
        face = np.repeat(chunk, count)
        step = np.arange(len(face)) - np.repeat(np.cumsum(count) - count, count)
        x, y = low[face, 0] + step % columns[face], low[face, 1] + step // columns[face]
        dx, dy = x - corners[face, 0, 0], y - corners[face, 0, 1]
        weight1 = (dx * edge2[face, 1] - dy * edge2[face, 0]) / area[face]
        weight2 = (edge1[face, 0] * dy - edge1[face, 1] * dx) / area[face]
        weights = np.stack([1.0 - weight1 - weight2, weight1, weight2], axis=1)
        nearness, pixel = (weights * inverse_z[face]).sum(axis=1), y * width + x
        shown = np.flatnonzero((weights >= 0.0).all(axis=1) & (nearness > buffers[0][pixel]))
        shown = shown[np.argsort(nearness[shown])]  # of several writes to one pixel the last, the nearest, stays
        buffers[0][pixel[shown]] = nearness[shown]
        buffers[1][pixel[shown], :3] = (weights[shown, :, None] * shades[face[shown]]).sum(axis=1)
        buffers[1][pixel[shown], 3] = 1.0


#: Nothing nearer than this to the camera is drawn, metres.
NEAREST = 0.02


class RenderUnavailable(SmplifyxError):  # noqa: N818
    """OpenGL does not work on this machine; the message names the package to install."""


@dataclass(frozen=True)
class BodyMesh:
    """A body to draw.

    Attributes:
        vertices: `[V, 3]` in the camera frame, camera translation included, metres.
        faces: vertex numbers `[F, 3]`, counter-clockwise seen from outside.
        color: linear RGB, 0 to 1.
    """

    vertices: np.ndarray
    faces: np.ndarray
    color: Color = PERSON_COLORS[0]


class BodyRenderer(Protocol):
    """Interface of the renderers."""

    def render(self, meshes: Sequence[BodyMesh], camera: Camera) -> np.ndarray:
        """RGBA `[H, W, 4]` uint8, colours premultiplied by alpha, of all bodies as ``camera`` sees them."""
        ...


class Renderer:
    """Renderer through OpenGL with 4x multisampling.

    All renderers of a process share one context; pictures may have any size. Threads wait for each other.

    Raises:
        RenderUnavailable: OpenGL does not work here.
    """

    def __init__(self) -> None:
        try:
            self._offscreen = offscreen_renderer()
        # drivers and their bindings fail in every way there is, AssertionError and AttributeError included
        except Exception as error:
            reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise RenderUnavailable(
                f"OpenGL does not work here ({reason}). On Debian and Ubuntu: "
                "apt-get install libegl1 libgl1 libgl1-mesa-dri; with an NVIDIA driver libegl1 alone is enough."
            ) from error

    def render(self, meshes: Sequence[BodyMesh], camera: Camera) -> np.ndarray:
        """RGBA `[H, W, 4]` uint8, colours premultiplied by alpha: composite ``background * (1 - a) + rgb``."""
        width, height = camera.size
        visible = [
            mesh for mesh in meshes if np.isfinite(mesh.vertices).all() and mesh.vertices[:, 2].max() > NEAREST
        ]
        if not visible:
            return np.zeros((height, width, 4), np.uint8)
        pyrender = load_pyrender()
        scene = pyrender.Scene(bg_color=(0.0, 0.0, 0.0, 0.0))
        for mesh in visible:
            scene.add(_colored(pyrender, mesh))
        scene.add(_gl_camera(pyrender, camera, np.concatenate([mesh.vertices[:, 2] for mesh in visible])))
        return draw_scene(self._offscreen, scene, camera.size, pyrender.RenderFlags.RGBA | pyrender.RenderFlags.FLAT)


class SoftwareRenderer:
    """Renderer in NumPy: slower than :class:`Renderer`, and needs nothing."""

    def render(self, meshes: Sequence[BodyMesh], camera: Camera) -> np.ndarray:
        """RGBA `[H, W, 4]` uint8, colours premultiplied by alpha."""
        visible = [mesh for mesh in meshes if np.isfinite(mesh.vertices).all()]
        return rasterize([(mesh.vertices, mesh.faces, mesh.color) for mesh in visible], camera, NEAREST)


def open_renderer() -> tuple[BodyRenderer, str | None]:
    """Return the best renderer of this machine and, where that is not OpenGL, the reason and a package to install."""
    try:
        return Renderer(), None
    except RenderUnavailable as error:
        return SoftwareRenderer(), f"{error} Pictures are drawn by the slower software renderer instead."


def _colored(pyrender: Any, mesh: BodyMesh) -> Any:
    colors = np.ones((len(mesh.vertices), 4), np.float32)
    colors[:, :3] = shaded_colors(mesh.vertices, mesh.faces, mesh.color)
    primitive = pyrender.Primitive(
        positions=(mesh.vertices * TURN_ABOUT_X).astype(np.float32),
        color_0=colors,
        indices=np.ascontiguousarray(mesh.faces, np.uint32),
        material=pyrender.MetallicRoughnessMaterial(baseColorFactor=(1.0, 1.0, 1.0, 1.0)),
    )
    return pyrender.Mesh([primitive])


def _gl_camera(pyrender: Any, camera: Camera, depths: np.ndarray) -> Any:
    near = max(0.95 * float(depths.min()), NEAREST)
    far = 1.05 * float(depths.max()) + NEAREST
    # OpenGL counts from the corner of the first pixel, OpenCV from its centre
    (fx, fy), (cx, cy) = camera.focal_length, camera.center
    return pyrender.IntrinsicsCamera(fx, fy, cx + 0.5, cy + 0.5, znear=near, zfar=far)
