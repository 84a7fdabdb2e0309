"""Benchmarks in the layout of EHF: ``NN_img.jpg`` or ``.png``, ``NN_2Djnt.json`` (OpenPose), ``NN_align.ply``.

EHF's own camera is known. Another benchmark in this layout brings ``cameras.json``, an entry for every frame:
``focal_length`` [2] and ``principal_point`` [2] (pixels), ``rotation`` [3, 3] and ``translation`` [3] (metres, from
the mesh's to the camera's frame), optionally ``gender`` and ``tags``; and ``truth.npz`` with the joints and poses.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from smplifyx.camera import Camera
from smplifyx.errors import InputError, UsageError, reason
from smplifyx.keypoints import Observation, PersonSelection
from smplifyx.keypoints.folder import Pair
from smplifyx.keypoints.loading import load_pair

FloatArray = NDArray[np.float64]

IMAGE_SUFFIXES = ("_img.jpg", "_img.png")
KEYPOINT_SUFFIX, MESH_SUFFIX = "_2Djnt.json", "_align.ply"
CAMERAS_FILE, TRUTH_FILE = "cameras.json", "truth.npz"
_GENDERS = ("male", "female", "neutral")


@dataclass(frozen=True)
class FrameCamera:
    """The camera that took a frame: ``X_camera = rotation @ X_mesh + translation``, OpenCV axes, metres."""

    intrinsics: Camera
    rotation: FloatArray
    translation: FloatArray


@dataclass(frozen=True)
class Frame:
    """One person with known truth.

    Attributes:
        name: such as ``01``.
        image, keypoints, mesh: the files.
        camera: the true camera.
        gender: ``male``, ``female`` or ``neutral``.
        tags: words by which frames can be grouped, such as ``truncated``.
    """

    name: str
    image: Path
    keypoints: Path
    mesh: Path
    camera: FrameCamera
    gender: str
    tags: tuple[str, ...] = ()

    def observation(self, keypoints: Path | None = None) -> Observation:
        """The largest person of the keypoint file, or of another file in its place.

        Raises:
            InputError: a file is damaged or holds no person.
        """
        path = keypoints or self.keypoints
        loaded = load_pair(Pair(self.name, self.image, path), PersonSelection(max_persons=1, min_keypoints=1))
        if loaded.failures:
            raise loaded.failures[0]
        if not loaded.observations:
            raise InputError(path, "expected a person with at least one body keypoint")
        return loaded.observations[0]

    def true_vertices(self, n_vertices: int) -> FloatArray:
        """[V, 3] vertices of the mesh in the camera frame, metres.

        Raises:
            InputError: the mesh is damaged, or has another number of vertices than the body model.
        """
        vertices = read_mesh(self.mesh)
        if len(vertices) != n_vertices:
            problem = f"has {len(vertices)} vertices, the body model {n_vertices}; they cannot be compared"
            raise InputError(self.mesh, problem)
        return np.asarray(vertices @ self.camera.rotation.T + self.camera.translation)


def ehf_camera() -> FrameCamera:
    """The calibrated camera of all frames of EHF."""
    rotation = Rotation.from_rotvec([-2.98747896, 0.01172457, -0.05704687]).as_matrix()
    intrinsics = Camera(1498.22426237, (790.263706, 578.90334), "calibration")
    return FrameCamera(intrinsics, rotation, np.array([-0.03609917, 0.43416458, 2.37101226]))


def read_benchmark(folder: str | Path, gender: str = "neutral") -> list[Frame]:
    """The frames of EHF or of a benchmark in its layout, by name.

    Args:
        folder: with the files.
        gender: of people whose gender no file names.

    Raises:
        UsageError: the folder holds no frames.
        InputError: a frame lacks a file, or the cameras are damaged.
    """
    folder = Path(folder)
    meshes = sorted(folder.glob(f"*{MESH_SUFFIX}")) if folder.is_dir() else []
    if not meshes:
        raise UsageError(f"{folder}: expected files named as in EHF, such as 01{MESH_SUFFIX}; found none")
    cameras = _read_cameras(folder / CAMERAS_FILE)
    return [_frame(folder, mesh, cameras, gender) for mesh in meshes]


def _frame(folder: Path, mesh: Path, cameras: Mapping[str, Any] | None, gender: str) -> Frame:
    name = mesh.name.removesuffix(MESH_SUFFIX)
    image = next((path for suffix in IMAGE_SUFFIXES if (path := folder / f"{name}{suffix}").is_file()), None)
    keypoints = folder / f"{name}{KEYPOINT_SUFFIX}"
    if image is None or not keypoints.is_file():
        missing = folder / f"{name}{IMAGE_SUFFIXES[0]}" if image is None else keypoints
        raise InputError(missing, f"does not exist; it belongs to {mesh.name}")
    if cameras is None:
        return Frame(name, image, keypoints, mesh, ehf_camera(), gender)
    path = folder / CAMERAS_FILE
    if name not in cameras:
        raise InputError(path, "expected an entry for every frame", name)
    entry = cameras[name]
    own = entry.get("gender", gender) if isinstance(entry, Mapping) else gender
    if own not in _GENDERS:
        raise InputError(path, f"expected one of {', '.join(_GENDERS)}, found {own!r}", f"{name}.gender")
    tags = tuple(str(tag) for tag in entry.get("tags", ()))
    return Frame(name, image, keypoints, mesh, _camera(path, name, entry), own, tags)


def _read_cameras(path: Path) -> Mapping[str, Any] | None:
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(path, f"not a readable JSON file: {reason(error)}") from error
    if not isinstance(content, dict) or not all(isinstance(entry, dict) for entry in content.values()):
        raise InputError(path, "expected an entry with focal_length, principal_point, ... for every frame")
    return content


def _camera(path: Path, name: str, entry: Mapping[str, Any]) -> FrameCamera:
    def numbers(field: str, shape: tuple[int, ...]) -> FloatArray:
        try:
            array = np.asarray(entry.get(field), dtype=np.float64)
        except (TypeError, ValueError):
            array = np.zeros(0)
        if array.shape != shape or not np.isfinite(array).all():
            raise InputError(path, f"expected numbers {list(shape)}", f"{name}.{field}")
        return array

    intrinsics = Camera(numbers("focal_length", (2,)), numbers("principal_point", (2,)), "calibration")
    return FrameCamera(intrinsics, numbers("rotation", (3, 3)), numbers("translation", (3,)))


def camera_entry(camera: FrameCamera, gender: str, tags: tuple[str, ...] = ()) -> dict[str, Any]:
    """A frame's entry in ``cameras.json``."""
    return {
        "focal_length": list(camera.intrinsics.focal_length),
        "principal_point": list(camera.intrinsics.center),
        "rotation": np.asarray(camera.rotation).tolist(),
        "translation": np.asarray(camera.translation).tolist(),
        "gender": gender,
        "tags": list(tags),
    }


def read_mesh(path: str | Path) -> FloatArray:
    """[V, 3] vertices of a .ply or .obj in their order in the file; raises :class:`InputError`."""
    import trimesh

    try:
        mesh: Any = trimesh.load(path, process=False, maintain_order=True)
        vertices = np.asarray(mesh.vertices, dtype=np.float64)
    except Exception as error:  # a damaged mesh fails in trimesh in every way there is
        raise InputError(path, f"not a readable mesh: {reason(error)}") from error
    if vertices.ndim != 2 or vertices.shape[1] != 3 or not np.isfinite(vertices).all():
        raise InputError(path, "expected a mesh with finite vertices [V, 3]")
    return vertices


def write_mesh(path: str | Path, vertices: FloatArray, faces: NDArray[np.integer]) -> None:
    """Write a mesh as binary .ply, vertices in their order, all or nothing."""
    import trimesh
    from trimesh.exchange.ply import export_ply

    from smplifyx.files import write_bytes

    write_bytes(path, export_ply(trimesh.Trimesh(vertices, faces, process=False)))


def load_true_joints(path: Path) -> dict[str, FloatArray]:
    """Joints [55, 3] in the camera frame by frame name, from a benchmark's ``truth.npz``; none without the file.

    Raises:
        InputError: the file is damaged.
    """
    return _truth(path, "joints") if path.is_file() else {}


def load_true_rotations(path: Path) -> dict[str, FloatArray]:
    """Local joint rotations [55, 3, 3] by frame name, from a benchmark's ``truth.npz``.

    Raises:
        InputError: the file is missing or damaged.
    """
    return _truth(path, "rotations")


def _truth(path: Path, key: str) -> dict[str, FloatArray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {str(name): np.float64(values) for name, values in zip(file["names"], file[key], strict=True)}
    except (OSError, ValueError, KeyError) as error:
        raise InputError(path, f"not a benchmark's truth: {reason(error)}") from error
