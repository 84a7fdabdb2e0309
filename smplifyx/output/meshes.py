"""Mesh files with smooth normals."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smplifyx.camera import TURN_ABOUT_X, Camera
from smplifyx.files import write_bytes

if TYPE_CHECKING:
    import trimesh  # takes a second to import, and an .obj does not need it


#: Name of the photo's camera in a scene.
CAMERA_NAME = "photo_camera"


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals `[V, 3]`: the sum of the adjoining triangles' normals, weighted by their areas.

    A vertex without triangles gets the zero vector.
    """
    corners = vertices[faces].astype(np.float64)
    weighted = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    index = np.asarray(faces).ravel()
    repeated = np.repeat(weighted, 3, axis=0)
    normals = np.stack([np.bincount(index, repeated[:, axis], len(vertices)) for axis in range(3)], axis=1)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-20)


def save_mesh(
    vertices: np.ndarray,
    faces: np.ndarray,
    path: str | Path,
    camera: Camera | None = None,
    camera_translation: np.ndarray | None = None,
) -> None:
    """Write a body with smooth normals, turned by 180 degrees about x, all or nothing. Vertices keep their order.

    A .glb also carries the photo's camera (:func:`gltf_camera`) if ``camera`` and ``camera_translation`` are given.

    Args:
        vertices: `[V, 3]` in the camera frame without the camera translation, metres.
        faces: vertex numbers `[F, 3]`.
        path: the file; its suffix (.obj, .ply or .glb) is the format.
        camera: intrinsics of the photo.
        camera_translation: `[3]`, metres.

    Raises:
        ValueError: another suffix, or vertices that are not finite.
    """
    path = Path(path)
    if not np.isfinite(vertices).all():
        raise ValueError(f"{path}: the mesh has vertices that are not finite")
    turned = np.asarray(vertices, np.float64) * TURN_ABOUT_X
    suffix = path.suffix.lower()
    if suffix == ".obj":
        write_bytes(path, _obj(turned, np.asarray(faces)))
    elif suffix == ".ply":
        from trimesh.exchange.ply import export_ply

        write_bytes(path, export_ply(_trimesh(turned, faces), vertex_normal=True))
    elif suffix == ".glb":
        write_bytes(path, _glb(_trimesh(turned, faces), camera, camera_translation))
    else:
        raise ValueError(f"{path}: expected a mesh file ending in .obj, .ply or .glb")


def _obj(vertices: np.ndarray, faces: np.ndarray) -> bytes:
    """The text of an .obj, each kind of line formatted at once; trimesh needs four times as long."""
    corners = np.repeat(faces + 1, 2, axis=1)  # an .obj counts from 1, and a corner names its vertex and its normal
    parts = (
        ("v %.6f %.6f %.6f\n", vertices),
        ("vn %.6f %.6f %.6f\n", vertex_normals(vertices, faces)),
        ("f %d//%d %d//%d %d//%d\n", corners),
    )
    return "".join(line * len(rows) % tuple(rows.ravel().tolist()) for line, rows in parts).encode()


def _trimesh(vertices: np.ndarray, faces: np.ndarray) -> trimesh.Trimesh:
    import trimesh

    return trimesh.Trimesh(vertices, faces, process=False)


def _glb(mesh: trimesh.Trimesh, camera: Camera | None, camera_translation: np.ndarray | None) -> bytes:
    import trimesh
    from trimesh.exchange.gltf import export_glb

    scene = trimesh.Scene()
    scene.add_geometry(mesh, geom_name="body")
    if camera is None or camera_translation is None:
        return export_glb(scene, include_normals=True)
    camera_of_photo = gltf_camera(camera)
    # trimesh makes the camera's node; its own intrinsics give the ratio of angles where glTF wants that of sides
    scene.camera = trimesh.scene.Camera(name=CAMERA_NAME, resolution=camera.size, fov=(60.0, 60.0))
    pose = np.eye(4)
    pose[:3, 3] = -np.asarray(camera_translation, np.float64) * TURN_ABOUT_X
    scene.camera_transform = pose

    def set_camera(tree: dict[str, Any]) -> None:
        tree["cameras"] = [camera_of_photo]

    return export_glb(scene, include_normals=True, tree_postprocessor=set_camera)


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
