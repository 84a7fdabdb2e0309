"""Bodies to pictures: through OpenGL, or in NumPy where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from smplifyx.errors import SmplifyxError
from smplifyx.output import _pyrender
from smplifyx.output.camera import PhotoCamera
from smplifyx.output.lighting import AMBIENT, PERSON_COLORS, ROUGHNESS, Color, unit_lights
from smplifyx.output.meshes import TURN_ABOUT_X
from smplifyx.output.normals import vertex_normals
from smplifyx.output.software_renderer import rasterize

#: Nothing nearer than this to the camera is drawn, metres.
_NEAREST = 0.02


class RenderUnavailable(SmplifyxError):  # noqa: N818
    """OpenGL does not work on this machine; the message says what to install."""


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
    """What draws bodies."""

    def render(self, meshes: Sequence[BodyMesh], camera: PhotoCamera) -> np.ndarray:
        """RGBA `[H, W, 4]` uint8, colours premultiplied by alpha, of all bodies as ``camera`` sees them."""
        ...


class Renderer:
    """Draws through OpenGL with 4x multisampling.

    All renderers of a process share one context; pictures may have any size. Threads may take turns.

    Raises:
        RenderUnavailable: OpenGL does not work here.
    """

    def __init__(self) -> None:
        try:
            self._offscreen = _pyrender.offscreen_renderer()
        # drivers and their bindings fail in every way there is, AssertionError and AttributeError included
        except Exception as error:
            reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise RenderUnavailable(
                f"OpenGL does not work here ({reason}). On Debian and Ubuntu: "
                "apt-get install libegl1 libgl1 libgl1-mesa-dri; with an NVIDIA driver libegl1 alone is enough."
            ) from error

    def render(self, meshes: Sequence[BodyMesh], camera: PhotoCamera) -> np.ndarray:
        """RGBA `[H, W, 4]` uint8, colours premultiplied by alpha: composite ``background * (1 - a) + rgb``."""
        width, height = camera.image_size
        visible = [
            mesh for mesh in meshes if np.isfinite(mesh.vertices).all() and mesh.vertices[:, 2].max() > _NEAREST
        ]
        if not visible:
            return np.zeros((height, width, 4), np.uint8)
        pyrender = _pyrender.load_pyrender()
        scene = pyrender.Scene(bg_color=(0.0, 0.0, 0.0, 0.0), ambient_light=(AMBIENT,) * 3)
        for mesh in visible:
            scene.add(_clay(pyrender, mesh))
        for intensity, towards in unit_lights():
            light = pyrender.DirectionalLight(color=np.ones(3), intensity=intensity)
            scene.add(light, pose=_pose_shining_from(towards * TURN_ABOUT_X))
        scene.add(_gl_camera(pyrender, camera, np.concatenate([mesh.vertices[:, 2] for mesh in visible])))
        self._offscreen.viewport_width, self._offscreen.viewport_height = width, height
        try:
            rgba, _ = self._offscreen.render(scene, flags=pyrender.RenderFlags.RGBA)
        finally:
            _pyrender.release_context(self._offscreen)
        return rgba


class SoftwareRenderer:
    """Draws in NumPy: slower and plainer than :class:`Renderer`, and needs nothing."""

    def render(self, meshes: Sequence[BodyMesh], camera: PhotoCamera) -> np.ndarray:
        """RGBA `[H, W, 4]` uint8, colours premultiplied by alpha."""
        visible = [mesh for mesh in meshes if np.isfinite(mesh.vertices).all()]
        return rasterize([(mesh.vertices, mesh.faces, mesh.color) for mesh in visible], camera, _NEAREST)


def open_renderer() -> tuple[BodyRenderer, str | None]:
    """The best renderer of this machine, and, where that is not OpenGL, a sentence on why and what to install."""
    try:
        return Renderer(), None
    except RenderUnavailable as error:
        return SoftwareRenderer(), f"{error} Pictures are drawn by the slower software renderer instead."


def _clay(pyrender: Any, mesh: BodyMesh) -> Any:
    material = pyrender.MetallicRoughnessMaterial(
        baseColorFactor=(*mesh.color, 1.0), metallicFactor=0.0, roughnessFactor=ROUGHNESS
    )
    turned = mesh.vertices * TURN_ABOUT_X
    primitive = pyrender.Primitive(
        positions=turned.astype(np.float32),
        normals=vertex_normals(turned, mesh.faces).astype(np.float32),
        indices=np.ascontiguousarray(mesh.faces, np.uint32),
        material=material,
    )
    return pyrender.Mesh([primitive])


def _gl_camera(pyrender: Any, camera: PhotoCamera, depths: np.ndarray) -> Any:
    near = max(0.95 * float(depths.min()), _NEAREST)
    far = 1.05 * float(depths.max()) + _NEAREST
    # OpenGL counts from the corner of the first pixel, OpenCV from its centre
    (fx, fy), (cx, cy) = camera.focal_length, camera.principal_point
    return pyrender.IntrinsicsCamera(fx, fy, cx + 0.5, cy + 0.5, znear=near, zfar=far)


def _pose_shining_from(towards: np.ndarray) -> np.ndarray:
    """Pose `[4, 4]` of a light that lies in unit direction ``towards``: lights shine along their own -z."""
    right = np.cross((0.0, 1.0, 0.0), towards)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(towards, right), towards], axis=1)
    return pose
