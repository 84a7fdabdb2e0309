"""Scenes as .glb: bodies where they stand, with a rig or posed, and the camera of the photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from smplifyx.camera import Camera
from smplifyx.export.motion import Motion
from smplifyx.export.rig import Rig
from smplifyx.export.texture import texture_map
from smplifyx.output.gltf import VERTEX_DATA, GltfFile
from smplifyx.output.meshes import CAMERA_NAME, add_surface, gltf_camera, gltf_normals
from smplifyx.output.render import ROUGHNESS, person_color


@dataclass(frozen=True)
class PlacedCamera:
    """A camera of a scene.

    Attributes:
        name: of the node.
        camera: intrinsics, with the image size.
        rotation: [3, 3] from its glTF frame (x right, y up, looks along -z) to the scene.
        position: [3] in the scene, metres.
    """

    name: str
    camera: Camera
    rotation: NDArray[np.float64]
    position: NDArray[np.float64]


def rigged_scene(
    rigs: Sequence[Rig], name: str, fps: float | None = None, cameras: Sequence[PlacedCamera] = ()
) -> bytes:
    """A scene of skinned bodies; joints, skins, morph targets and, with ``fps``, one animation of all of them.

    Each body has the joints of its model under a node ``person_N``, and the morph targets ``shape_1`` to
    ``shape_10`` (zero is the fitted shape; joints do not follow), ``expression_1`` to ``expression_10`` (the fitted
    values) and ``pose_correctives``.

    Args:
        rigs: the people.
        name: of the scene.
        fps: frames per second of an animation; None for a still, the first frame.
        cameras: where they stand in the scene; none for the photo's camera in the origin.
    """
    file = GltfFile()
    roots = [_add_placed(file, one) for one in cameras] or [_add_camera(file, rigs[0].motion.first.camera)]
    channels: list[dict[str, Any]] = []
    samplers: list[dict[str, Any]] = []
    for rig in rigs:
        person, joints, body = _add_character(file, rig)
        roots += [person, body]
        if fps is not None and len(rig.motion.frames) > 1:
            _add_tracks(file, rig, joints, body, fps, (channels, samplers))
    if channels:
        file.add("animations", name=name, channels=channels, samplers=samplers)
    file.add("scenes", name=name, nodes=roots)
    return file.to_bytes()


def posed_scene(motions: Sequence[Motion], name: str) -> bytes:
    """A scene of plain meshes in their first frames, exactly as fitted."""
    file = GltfFile()
    roots = [_add_camera(file, motions[0].first.camera)]
    for motion in motions:
        vertices = motion.fitted_vertices(0)
        mesh = file.add("meshes", name=motion.key.node_name, primitives=[_surface(file, motion, vertices)])
        roots.append(file.add("nodes", name=motion.key.node_name, mesh=mesh, extras=_about(motion)))
    file.add("scenes", name=name, nodes=roots)
    return file.to_bytes()


def _add_camera(file: GltfFile, camera: Camera) -> int:
    return file.add("nodes", name=CAMERA_NAME, camera=file.add("cameras", **gltf_camera(camera)))


def _add_placed(file: GltfFile, placed: PlacedCamera) -> int:
    number = file.add("cameras", **{**gltf_camera(placed.camera), "name": placed.name})
    turn, place = Rotation.from_matrix(placed.rotation).as_quat().tolist(), placed.position.tolist()
    return file.add("nodes", name=placed.name, camera=number, rotation=turn, translation=place)


def _add_character(file: GltfFile, rig: Rig) -> tuple[int, list[int], int]:
    """Add nodes of a person, its joints and its mesh; returns their numbers."""
    motion = rig.motion
    name, parents = motion.key.node_name, motion.data.parents.tolist()
    offsets = motion.rest_joints - np.where(np.array(parents)[:, None] < 0, 0.0, motion.rest_joints[parents])
    offsets[0] = motion.root_positions[0]
    turns = quaternions(motion.rotations[0])
    first = len(file.tree["nodes"])
    joints = [
        file.add("nodes", name=joint, translation=offset.tolist(), rotation=turn.tolist())
        for joint, offset, turn in zip(motion.data.skeleton.joint_names, offsets, turns, strict=True)
    ]
    for joint in joints:
        children = [joints[child] for child, parent in enumerate(parents) if joints[parent] == joint and parent >= 0]
        if children:
            file.tree["nodes"][joint]["children"] = children
    person = file.add("nodes", name=name, children=[first], extras=_about(motion) | {"rig": asdict(rig.errors)})
    to_joint = np.tile(np.eye(4, dtype=np.float32), (len(joints), 1, 1))
    to_joint[:, :3, 3] = -motion.rest_joints
    skin = file.add(
        "skins", name=name, joints=joints, skeleton=person, inverseBindMatrices=file.add_accessor(to_joint)
    )
    body = file.add("nodes", name=f"{name}_body", mesh=_add_skinned_mesh(file, rig), skin=skin)
    return person, joints, body


def _add_skinned_mesh(file: GltfFile, rig: Rig) -> int:
    motion = rig.motion
    primitive = _surface(file, motion, motion.template)
    texture = texture_map(motion.data)
    rows = np.arange(motion.data.n_vertices) if texture is None else texture.vertices
    primitive["attributes"]["JOINTS_0"] = file.add_accessor(rig.joint_numbers[rows], VERTEX_DATA)
    primitive["attributes"]["WEIGHTS_0"] = file.add_accessor(rig.joint_weights[rows], VERTEX_DATA)
    targets = {name: moved[rows] for name, moved in morph_targets(rig).items()}
    if targets:
        primitive["targets"] = [{"POSITION": file.add_sparse_accessor(moved)} for moved in targets.values()]
    mesh: dict[str, Any] = {"name": f"{motion.key.node_name}_body", "primitives": [primitive]}
    if targets:
        mesh |= {"weights": morph_values(rig)[0].tolist(), "extras": {"targetNames": list(targets)}}
    return file.add("meshes", **mesh)


def morph_targets(rig: Rig) -> dict[str, np.ndarray]:
    """Morph targets [V, 3] by name."""
    targets = {f"shape_{k}": moved for k, moved in enumerate(rig.shape_targets, 1)}
    targets |= {f"expression_{k}": moved for k, moved in enumerate(rig.expression_targets, 1)}
    correctives = rig.corrective_targets
    names = ["pose_correctives", *(f"pose_correctives_{k}" for k in range(1, len(correctives)))]
    return targets | dict(zip(names, correctives, strict=False))


def morph_values(rig: Rig) -> np.ndarray:
    """Values of the morph targets in each frame [T, K]: the shape is in the mesh, so that its values are zero."""
    expressions = rig.motion.expressions
    shape = np.zeros((len(expressions), len(rig.shape_targets)), np.float32)
    return np.concatenate([shape, expressions, rig.corrective_values], axis=1).astype(np.float32)


def _add_tracks(
    file: GltfFile, rig: Rig, joints: list[int], body: int, fps: float, tracks: tuple[list[Any], list[Any]]
) -> None:
    """Add the movement of one person to the channels and samplers of the animation."""
    motion = rig.motion
    times = file.add_accessor((np.array(motion.frames) / fps).astype(np.float32), bounds=True)
    channels, samplers = tracks

    def add(node: int, path: str, values: np.ndarray) -> None:
        output = file.add_accessor(np.ascontiguousarray(values, np.float32))
        samplers.append({"input": times, "output": output, "interpolation": "LINEAR"})
        channels.append({"sampler": len(samplers) - 1, "target": {"node": node, "path": path}})

    add(joints[0], "translation", motion.root_positions)
    for number, joint in enumerate(joints):
        add(joint, "rotation", continuous(quaternions(motion.rotations[:, number])))
    values = morph_values(rig)
    if values.shape[1]:
        add(body, "weights", values.ravel())


def _surface(file: GltfFile, motion: Motion, vertices: np.ndarray) -> dict[str, Any]:
    """A primitive with the material of the person; vertices on seams of the texture are repeated after the others."""
    material = file.add(
        "materials",
        name=motion.key.node_name,
        pbrMetallicRoughness={
            "baseColorFactor": [*person_color(motion.key.number), 1.0],
            "metallicFactor": 0.0,
            "roughnessFactor": ROUGHNESS,
        },
    )
    texture = texture_map(motion.data)
    normals = gltf_normals(vertices, motion.data.faces)
    if texture is None:
        return add_surface(file, vertices, motion.data.faces, normals) | {"material": material}
    primitive = add_surface(file, vertices[texture.vertices], texture.corners, normals[texture.vertices])
    points = np.ascontiguousarray(texture.points * (1, -1) + (0, 1), np.float32)  # glTF counts from the upper left
    primitive["attributes"]["TEXCOORD_0"] = file.add_accessor(points, VERTEX_DATA)
    return primitive | {"material": material}


def _about(motion: Motion) -> dict[str, Any]:
    first = motion.first
    return {
        "model": f"{first.model_type} {first.model_name}",
        "gender": first.gender,
        "betas": motion.betas.tolist(),
        "image": first.image_path,
        "flags": list(first.flags),
    }


def quaternions(rotations: np.ndarray) -> np.ndarray:
    """Unit quaternions (x, y, z, w) [N, 4] of rotation matrices [N, 3, 3]."""
    return Rotation.from_matrix(rotations).as_quat()


def continuous(turns: np.ndarray) -> np.ndarray:
    """Quaternions [T, 4] with signs such that each is the nearer one to its predecessor."""
    flips = np.where((turns[1:] * turns[:-1]).sum(axis=1) < 0.0, -1.0, 1.0)
    return turns * np.concatenate([[1.0], np.cumprod(flips)])[:, None]
