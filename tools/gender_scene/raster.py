"""Rasterised surfaces as arrays: surface, surface point and normal of each pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smplifyx.camera import Camera
from smplifyx.output.meshes import vertex_normals
from smplifyx.output.render import fill_triangles

#: Pixels tested at a time; few enough for the processor's cache.
_CHUNK = 40_000


@dataclass(frozen=True)
class Surface:
    """Triangles in the camera frame.

    Attributes:
        vertices: [V, 3] metres.
        faces: [F, 3].
        places: [V, 3] coordinates that decide the colour: of the T-posed body, or of the accessory.
        material: number of the kind of surface.
        two_sided: whether its back shows, too.
    """

    vertices: np.ndarray
    faces: np.ndarray
    places: np.ndarray
    material: int
    two_sided: bool = False


@dataclass(frozen=True)
class Pixels:
    """The N covered pixels of a picture of ``size`` (width, height).

    Attributes:
        index: [N] row times width plus column.
        material: [N].
        places, normals, points: [N, 3]; normals face the camera; points in the camera frame, metres.
    """

    size: tuple[int, int]
    index: np.ndarray
    material: np.ndarray
    places: np.ndarray
    normals: np.ndarray
    points: np.ndarray

    def image(self, values: np.ndarray, empty: float = 0.0) -> np.ndarray:
        """Values [N] or [N, C] laid out as a picture [H, W] or [H, W, C], float32."""
        width, height = self.size
        picture = np.full((height * width, *values.shape[1:]), empty, np.float32)
        picture[self.index] = values
        return picture.reshape(height, width, *values.shape[1:])


def rasterize_surfaces(surfaces: Sequence[Surface], camera: Camera, nearest: float = 0.15) -> Pixels:
    """Rasterise surfaces; triangles nearer than ``nearest`` metres are left out."""
    normals = np.concatenate([vertex_normals(one.vertices, one.faces) for one in surfaces])
    vertices = np.concatenate([one.vertices for one in surfaces])
    places = np.concatenate([one.places for one in surfaces])
    faces, materials, first = [], [], 0
    for one in surfaces:
        own = one.faces + first
        faces.append(np.concatenate([own, own[:, ::-1]]) if one.two_sided else own)
        materials.append(np.full(len(faces[-1]), one.material))
        first += len(one.vertices)
    face, material = np.concatenate(faces), np.concatenate(materials)
    kept = (vertices[face, 2] > nearest).all(axis=1)
    face, material = face[kept], material[kept]
    width, height = camera.size
    # the renderer's colours carry the triangle's number and two weights
    codes = np.zeros((len(face), 3, 3))
    codes[:, :, 0] = np.arange(len(face))[:, None]
    codes[:, 1, 1] = codes[:, 2, 2] = 1.0
    inverse_depth, drawn = np.zeros(height * width), np.zeros((height * width, 4))
    with np.errstate(divide="ignore", invalid="ignore"):
        pixels = camera.project(vertices)
    fill_triangles(pixels[face], 1.0 / vertices[face, 2], codes, camera.size, (inverse_depth, drawn), _CHUNK)
    index = np.flatnonzero(drawn[:, 3] > 0)
    number = np.rint(drawn[index, 0]).astype(np.int64)
    weights = np.column_stack([1.0 - drawn[index, 1] - drawn[index, 2], drawn[index, 1:3]])
    corners = face[number]

    def mixed(values: np.ndarray) -> np.ndarray:
        return np.einsum("nk,nkc->nc", weights, values[corners])

    points, facing = mixed(vertices), mixed(normals)
    facing /= np.maximum(np.linalg.norm(facing, axis=1, keepdims=True), 1e-9)
    away = np.einsum("nc,nc->n", facing, points) > 0.15 * points[:, 2]
    facing[away] *= -1.0
    return Pixels(camera.size, index, material[number], mixed(places), facing, points)
