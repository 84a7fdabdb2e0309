"""Whether a surface goes around points more than once, through a tree instead of all triangles."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smplifyx.body.data import IntArray
from smplifyx.collision.warp_runtime import load_warp


class FastWinding:
    """Winding numbers with far triangles taken together (Barill et al. 2018), by Warp, on the CPU.

    Args:
        faces: [F, 3] triangles of a closed surface, counter-clockwise seen from outside.
    """

    def __init__(self, faces: IntArray) -> None:
        self._warp = load_warp()
        self._kernel = importlib.import_module("smplifyx.collision.winding_kernels").surrounded_twice
        self._indices = self._array(np.asarray(faces, np.int32).reshape(-1), int)
        self._latest: tuple[NDArray[np.floating], Any] | None = None

    def __call__(self, points: NDArray[np.floating], vertices: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Whether the surface of vertices [V, 3] goes around the points [N, 3] more than once; [N]."""
        warp = self._warp
        if self._latest is None or self._latest[0] is not vertices:
            corners = self._array(np.asarray(vertices, np.float32), warp.vec3)
            self._latest = vertices, warp.Mesh(points=corners, indices=self._indices, support_winding_number=True)
        mesh = self._latest[1]
        inside = warp.zeros(len(points), dtype=warp.uint8, device="cpu")
        reach = float(np.linalg.norm(np.ptp(np.concatenate([points, vertices]), axis=0)))
        asked = self._array(np.asarray(points, np.float32), warp.vec3)
        warp.launch(self._kernel, len(points), [mesh.id, asked, reach, inside], device="cpu")
        return np.asarray(inside.numpy() > 0)

    def _array(self, values: np.ndarray, dtype: Any) -> Any:
        return self._warp.array(values, dtype=dtype, device="cpu")
