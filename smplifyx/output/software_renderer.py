"""A z-buffer in NumPy, for machines without OpenGL."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smplifyx.output.camera import PhotoCamera
from smplifyx.output.lighting import AMBIENT, Color, unit_lights
from smplifyx.output.normals import vertex_normals

_SUPERSAMPLING = 2
#: Pixels tested against triangles at a time; bounds the memory.
_CHUNK = 2_000_000


def rasterize(
    meshes: Sequence[tuple[np.ndarray, np.ndarray, Color]], camera: PhotoCamera, nearest: float
) -> np.ndarray:
    """RGBA `[H, W, 4]` uint8, colours premultiplied by alpha.

    Triangles that reach nearer than ``nearest`` metres to the camera are left out.

    Args:
        meshes: vertices `[V, 3]` in the camera frame, faces `[F, 3]` and linear RGB of each body.
        camera: intrinsics and size of the picture.
        nearest: metres.
    """
    width, height = (side * _SUPERSAMPLING for side in camera.image_size)
    fine = camera.resized((width, height))
    inverse_depth = np.zeros(height * width)
    rgba = np.zeros((height * width, 4), np.float32)
    for vertices, faces, color in meshes:
        shades = _shade(vertex_normals(vertices, faces), color)
        faces = faces[(vertices[faces, 2] > nearest).all(axis=1)]
        with np.errstate(divide="ignore", invalid="ignore"):
            pixels = fine.project(vertices)
        fill_triangles(pixels[faces], 1.0 / vertices[faces, 2], shades[faces], (width, height), (inverse_depth, rgba))
    blocks = rgba.reshape(height // _SUPERSAMPLING, _SUPERSAMPLING, width // _SUPERSAMPLING, _SUPERSAMPLING, 4)
    return np.rint(255.0 * blocks.mean(axis=(1, 3))).astype(np.uint8)


def _shade(normals: np.ndarray, color: Color) -> np.ndarray:
    """Lambert's law at each vertex, gamma-encoded `[V, 3]`."""
    light = AMBIENT + sum(
        intensity / np.pi * np.clip(normals @ towards, 0.0, None) for intensity, towards in unit_lights()
    )
    return np.clip(light[:, None] * np.array(color), 0.0, 1.0) ** (1.0 / 2.2)


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
