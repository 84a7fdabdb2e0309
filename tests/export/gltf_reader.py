"""A reader of .glb files after the glTF 2.0 specification, for the features that exports use."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

_TYPES = {5121: np.uint8, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
_SIZES = {"SCALAR": (), "VEC2": (2,), "VEC3": (3,), "VEC4": (4,), "MAT4": (4, 4)}


class Gltf:
    """Tree and arrays of a file."""

    def __init__(self, data: bytes) -> None:
        magic, version, length = struct.unpack_from("<4sII", data)
        assert (magic, version, length) == (b"glTF", 2, len(data))
        size, kind = struct.unpack_from("<I4s", data, 12)
        assert kind == b"JSON" and size % 4 == 0
        self.tree: dict[str, Any] = json.loads(data[20 : 20 + size])
        binary_size, kind = struct.unpack_from("<I4s", data, 20 + size)
        assert kind == b"BIN\0" and binary_size % 4 == 0
        self.binary = data[28 + size :]

    def node(self, name: str) -> dict[str, Any]:
        (found,) = [node for node in self.tree["nodes"] if node["name"] == name]
        return found

    def array(self, number: int) -> np.ndarray:
        accessor = self.tree["accessors"][number]
        shape = (accessor["count"], *_SIZES[accessor["type"]])
        if "bufferView" in accessor:
            values = self._view(accessor["bufferView"], accessor["componentType"], shape)
        else:
            values = np.zeros(shape, _TYPES[accessor["componentType"]])
        if "sparse" in accessor:
            sparse = accessor["sparse"]
            rows = self._view(sparse["indices"]["bufferView"], sparse["indices"]["componentType"], (sparse["count"],))
            changed = (sparse["count"], *shape[1:])
            values = values.copy()
            values[rows] = self._view(sparse["values"]["bufferView"], accessor["componentType"], changed)
        if "min" in accessor:
            np.testing.assert_array_equal(values.reshape(len(values), -1).min(axis=0), accessor["min"])
            np.testing.assert_array_equal(values.reshape(len(values), -1).max(axis=0), accessor["max"])
        return values.transpose(0, 2, 1) if accessor["type"] == "MAT4" else values

    def _view(self, number: int, component: int, shape: tuple[int, ...]) -> np.ndarray:
        view = self.tree["bufferViews"][number]
        part = self.binary[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
        return np.frombuffer(part, _TYPES[component]).reshape(shape)

    def apply_animation(self, key: int) -> None:
        """Set the nodes to one key frame of the animation."""
        (animation,) = self.tree["animations"]
        for channel in animation["channels"]:
            sampler = animation["samplers"][channel["sampler"]]
            times, values = self.array(sampler["input"]), self.array(sampler["output"])
            node = self.tree["nodes"][channel["target"]["node"]]
            node[channel["target"]["path"]] = values.reshape(len(times), -1)[key].tolist()

    def global_matrices(self) -> np.ndarray:
        """Global transforms of all nodes [N, 4, 4]."""
        nodes = self.tree["nodes"]
        matrices = np.zeros((len(nodes), 4, 4))

        def visit(number: int, above: np.ndarray) -> None:
            local = np.eye(4)
            local[:3, :3] = Rotation.from_quat(nodes[number].get("rotation", (0, 0, 0, 1))).as_matrix()
            local[:3, 3] = nodes[number].get("translation", (0, 0, 0))
            matrices[number] = above @ local
            for child in nodes[number].get("children", ()):
                visit(child, matrices[number])

        for root in self.tree["scenes"][self.tree["scene"]]["nodes"]:
            visit(root, np.eye(4))
        return matrices

    def skinned_vertices(self, name: str, without: str | None = None) -> np.ndarray:
        """Vertices [V, 3] of a node in the scene; morph targets that begin with ``without`` are left out."""
        node = self.node(name)
        mesh = self.tree["meshes"][node["mesh"]]
        (primitive,) = mesh["primitives"]
        vertices = self.array(primitive["attributes"]["POSITION"]).astype(np.float64)
        values = node.get("weights", mesh.get("weights", ()))
        for target, value, label in zip(primitive["targets"], values, mesh["extras"]["targetNames"], strict=True):
            if without is None or not label.startswith(without):
                vertices = vertices + value * self.array(target["POSITION"])
        skin = self.tree["skins"][node["skin"]]
        matrices = self.global_matrices()[skin["joints"]] @ self.array(skin["inverseBindMatrices"])
        joints = self.array(primitive["attributes"]["JOINTS_0"])
        weights = self.array(primitive["attributes"]["WEIGHTS_0"]).astype(np.float64)
        blended = np.einsum("vk,vkab->vab", weights, matrices[joints])
        return np.einsum("vab,vb->va", blended[:, :3, :3], vertices) + blended[:, :3, 3]

    def projected(self, points: np.ndarray) -> np.ndarray:
        """Pixels [N, 2] of the photo, its first pixel's centre at (0, 0), by section 3.10.3 of the specification."""
        camera = self.tree["cameras"][0]
        seen = np.linalg.inv(self.global_matrices()[self.tree["nodes"].index(self.node("photo_camera"))])
        points = points @ seen[:3, :3].T + seen[:3, 3]
        tangent = np.tan(camera["perspective"]["yfov"] / 2)
        ndc = points[:, :2] / -points[:, 2:] / (tangent * camera["perspective"]["aspectRatio"], tangent)
        pixels = (ndc * (1, -1) + 1) / 2 * camera["extras"]["picture_size"] - 0.5
        return pixels - camera["extras"]["photo_offset"]
