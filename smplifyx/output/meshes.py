"""Mesh files with smooth normals."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smplifyx.camera import TURN_ABOUT_X, Camera
from smplifyx.files import write_bytes
from smplifyx.output.gltf import INDEX_DATA, VERTEX_DATA, GltfFile, smallest_type

if TYPE_CHECKING:
    import trimesh  # takes a second to import, and an .obj does not need it


#: Name of the photo's camera in a scene.
CAMERA_NAME = "photo_camera"


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals `[V, 3]`: the sum of the adjoining triangles' normals, weighted by their areas.

    A vertex without triangles gets the zero vector.
    """
    index = np.asarray(faces).ravel()
    first, second, third = (vertices[faces[:, corner]].T.astype(np.float64) for corner in range(3))
    edge1, edge2 = second - first, third - first
    normals = np.empty((len(vertices), 3))
    for axis, following, last in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):  # np.cross takes twice as long
        weighted = edge1[following] * edge2[last] - edge1[last] * edge2[following]
        normals[:, axis] = np.bincount(index, np.repeat(weighted, 3), len(vertices))
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-20)


def save_mesh(
    vertices: np.ndarray,
    faces: np.ndarray,
    path: str | Path,
    camera: Camera | None = None,
    camera_translation: np.ndarray | None = None,
    texture: tuple[np.ndarray, np.ndarray] | None = None,
) -> None:
    """Write :func:`mesh_bytes` to a file, all or nothing."""
    write_bytes(path, mesh_bytes(vertices, faces, path, camera, camera_translation, texture))


def mesh_bytes(
    vertices: np.ndarray,
    faces: np.ndarray,
    path: str | Path,
    camera: Camera | None = None,
    camera_translation: np.ndarray | None = None,
    texture: tuple[np.ndarray, np.ndarray] | None = None,
) -> bytes:
    """The file of a body with smooth normals, turned by 180 degrees about x. Vertices keep their order.

    A .glb also carries the photo's camera (:func:`gltf_camera`) if ``camera`` and ``camera_translation`` are given.

    Args:
        vertices: `[V, 3]` in the camera frame without the camera translation, metres.
        faces: vertex numbers `[F, 3]`.
        path: name of the file; its suffix (.obj, .ply or .glb) is the format.
        camera: intrinsics of the photo.
        camera_translation: `[3]`, metres.
        texture: of an .obj, points `[U, 2]` from the lower left, and the point of each corner `[F, 3]`.

    Raises:
        ValueError: another suffix, or vertices that are not finite.
    """
    path = Path(path)
    if not np.isfinite(vertices).all():
        raise ValueError(f"{path}: the mesh has vertices that are not finite")
    turned = np.asarray(vertices, np.float64) * TURN_ABOUT_X
    suffix = path.suffix.lower()
    if suffix == ".obj":
        return _obj(turned, np.asarray(faces), texture)
    if suffix == ".ply":
        from trimesh.exchange.ply import export_ply

        return bytes(export_ply(_trimesh(turned, faces), vertex_normal=True))
    if suffix == ".glb":
        return _glb(turned, np.asarray(faces), camera, camera_translation)
    raise ValueError(f"{path}: expected a mesh file ending in .obj, .ply or .glb")


def _obj(vertices: np.ndarray, faces: np.ndarray, texture: tuple[np.ndarray, np.ndarray] | None) -> bytes:
    """The text of an .obj, each kind of line formatted at once; trimesh needs four times as long."""
    # an .obj counts from 1, and a corner names its vertex, its point of the texture and its normal
    points, numbers = (np.zeros((0, 2)), faces) if texture is None else texture
    kinds = [faces, faces] if texture is None else [faces, numbers, faces]
    corner = "%d//%d" if texture is None else "%d/%d/%d"
    parts = (
        ("v %.6f %.6f %.6f\n", vertices),
        ("vt %.5f %.5f\n", points),
        ("vn %.6f %.6f %.6f\n", vertex_normals(vertices, faces)),
        (f"f {corner} {corner} {corner}\n", np.stack(kinds, axis=2) + 1),
    )
    return "".join(line * len(rows) % tuple(rows.ravel().tolist()) for line, rows in parts).encode()


def _trimesh(vertices: np.ndarray, faces: np.ndarray) -> trimesh.Trimesh:
    import trimesh

    return trimesh.Trimesh(vertices, faces, process=False)


def _glb(
    vertices: np.ndarray, faces: np.ndarray, camera: Camera | None, camera_translation: np.ndarray | None
) -> bytes:
    file = GltfFile()
    primitive = add_surface(file, vertices, faces, gltf_normals(vertices, faces))
    mesh = file.add("meshes", name="body", primitives=[primitive])
    roots = [file.add("nodes", name="body", mesh=mesh)]
    if camera is not None and camera_translation is not None:
        place = -np.asarray(camera_translation, np.float64) * TURN_ABOUT_X
        number = file.add("cameras", **gltf_camera(camera))
        roots.append(file.add("nodes", name=CAMERA_NAME, camera=number, translation=place.tolist()))
    file.add("scenes", nodes=roots)
    return file.to_bytes()


def gltf_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Normals `[V, 3]`, also of vertices without triangles, since glTF wants unit vectors."""
    normals = vertex_normals(vertices, faces)
    normals[~normals.any(axis=1)] = (0.0, 0.0, 1.0)
    return normals


def add_surface(file: GltfFile, vertices: np.ndarray, faces: np.ndarray, normals: np.ndarray) -> dict[str, Any]:
    """Add positions, normals and triangles to a glTF file; returns the primitive of a mesh."""
    attributes = {
        "POSITION": file.add_accessor(vertices.astype(np.float32), VERTEX_DATA, bounds=True),
        "NORMAL": file.add_accessor(normals.astype(np.float32), VERTEX_DATA),
    }
    corners = np.asarray(faces).astype(smallest_type(len(vertices))).ravel()
    return {"attributes": attributes, "indices": file.add_accessor(corners, INDEX_DATA)}


def gltf_camera(camera: Camera) -> dict[str, Any]:
    """The photo's camera as glTF has it, whose principal point is always in the middle of its picture.

    That picture is the photo, extended on two sides until the principal point is in its middle; where that is half
    the image size, by one pixel. Its size and the place of the photo's corner in it stand in the extras, beside the
    lens shift, a share of the longer side, that gives the photo alone.
    """
    (fx, fy), (width, height) = camera.focal_length, camera.size
    # measured from the outer corner of the first pixel, not from its centre
    cx, cy = camera.center[0] + 0.5, camera.center[1] + 0.5
    picture = 2.0 * max(cx, width - cx), 2.0 * max(cy, height - cy)
    longer = max(width, height * fx / fy)  # in widths of a pixel
    return {
        "name": CAMERA_NAME,
        "type": "perspective",
        "perspective": {
            "yfov": 2.0 * math.atan(picture[1] / (2.0 * fy)),
            "aspectRatio": (picture[0] / fx) / (picture[1] / fy),
            "znear": 0.01,
            "zfar": 1000.0,
        },
        "extras": {
            "focal_length": [fx, fy],
            "principal_point": list(camera.center),
            "image_size": [width, height],
            "picture_size": list(picture),
            "photo_offset": [picture[0] / 2.0 - cx, picture[1] / 2.0 - cy],
            "lens_shift": [(width / 2.0 - cx) / longer, (cy - height / 2.0) * fx / fy / longer],
        },
    }
