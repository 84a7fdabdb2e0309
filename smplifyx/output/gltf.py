"""Binary glTF 2.0 files from NumPy arrays (Khronos Group, glTF 2.0 specification)."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

import smplifyx

_MAGIC, _VERSION, _JSON_CHUNK, _BINARY_CHUNK = 0x46546C67, 2, 0x4E4F534A, 0x004E4942
_COMPONENT_TYPES = {np.dtype(np.uint8): 5121, np.dtype(np.uint16): 5123, np.dtype(np.uint32): 5125}
_COMPONENT_TYPES |= {np.dtype(np.float32): 5126}
_ELEMENT_TYPES = {(): "SCALAR", (2,): "VEC2", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}
#: Uses of a buffer view.
VERTEX_DATA, INDEX_DATA = 34962, 34963
#: Below this share of rows that differ from zero, an accessor is stored sparse.
_SPARSE_SHARE = 0.6


class GltfFile:
    """A glTF file that grows: every method adds one object and returns its number.

    Attributes:
        tree: the JSON part.
    """

    def __init__(self) -> None:
        self.tree: dict[str, Any] = {
            "asset": {"version": "2.0", "generator": f"smplifyx {smplifyx.__version__}"},
            "scene": 0,
        }
        self._binary = bytearray()

    def add(self, kind: str, **values: Any) -> int:
        """Add an object to the list ``kind``, for example ``nodes``."""
        objects = self.tree.setdefault(kind, [])
        objects.append(values)
        return len(objects) - 1

    def add_accessor(self, values: np.ndarray, use: int | None = None, bounds: bool = False) -> int:
        """Add an array [N, ...] of float32 or unsigned integers.

        Args:
            values: scalars, vectors or 4 x 4 matrices; a matrix is stored by columns, as glTF wants it.
            use: ``VERTEX_DATA``, ``INDEX_DATA`` or None.
            bounds: whether to store the least and the largest values, which positions and times must have.
        """
        element = _ELEMENT_TYPES[values.shape[1:]]
        stored = values.transpose(0, 2, 1) if element == "MAT4" else values
        accessor = self._accessor(values, element, bounds)
        return self.add("accessors", bufferView=self._add_view(stored, use), **accessor)

    def add_sparse_accessor(self, values: np.ndarray) -> int:
        """Add displacements [N, 3] float32, of which only rows other than zero are stored where that is shorter."""
        rows = np.flatnonzero(np.any(values != 0.0, axis=1))
        if not 0 < len(rows) < _SPARSE_SHARE * len(values):
            return self.add_accessor(values, VERTEX_DATA, bounds=True)
        indices = rows.astype(smallest_type(len(values)))
        sparse = {
            "count": len(rows),
            "indices": {
                "bufferView": self._add_view(indices, None),
                "byteOffset": 0,  # optional, but VTK refuses a file without it
                "componentType": _COMPONENT_TYPES[indices.dtype],
            },
            "values": {"bufferView": self._add_view(values[rows], None), "byteOffset": 0},
        }
        return self.add("accessors", sparse=sparse, **self._accessor(values, "VEC3", bounds=True))

    def to_bytes(self) -> bytes:
        """The .glb file: the JSON chunk and the binary chunk, each padded to four bytes."""
        tree = self.tree | ({"buffers": [{"byteLength": len(self._binary)}]} if self._binary else {})
        text = json.dumps(tree, separators=(",", ":"), allow_nan=False).encode()
        chunks = [_chunk(_JSON_CHUNK, text, b" ")]
        if self._binary:
            chunks.append(_chunk(_BINARY_CHUNK, bytes(self._binary), b"\0"))
        body = b"".join(chunks)
        return struct.pack("<III", _MAGIC, _VERSION, 12 + len(body)) + body

    @staticmethod
    def _accessor(values: np.ndarray, element: str, bounds: bool) -> dict[str, Any]:
        accessor: dict[str, Any] = {
            "componentType": _COMPONENT_TYPES[values.dtype],
            "count": len(values),
            "type": element,
        }
        if bounds:
            flat = values.reshape(len(values), -1)
            accessor |= {"min": flat.min(axis=0).tolist(), "max": flat.max(axis=0).tolist()}
        return accessor

    def _add_view(self, values: np.ndarray, use: int | None) -> int:
        data = np.ascontiguousarray(values).tobytes()
        self._binary.extend(b"\0" * (-len(self._binary) % 4))
        view: dict[str, Any] = {"buffer": 0, "byteOffset": len(self._binary), "byteLength": len(data)}
        if use is not None:
            view["target"] = use
        self._binary.extend(data)
        return self.add("bufferViews", **view)


def smallest_type(count: int) -> type[np.unsignedinteger]:
    """The smallest type of vertex numbers of a mesh; glTF reserves the largest value of a type."""
    return np.uint16 if count < 0xFFFF else np.uint32


def _chunk(kind: int, data: bytes, padding: bytes) -> bytes:
    data += padding * (-len(data) % 4)
    return struct.pack("<II", len(data), kind) + data
