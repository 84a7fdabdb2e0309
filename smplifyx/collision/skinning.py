"""Poses listed vertices of many bodies with Warp, and takes gradients for them back to what moves the body."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from smplifyx.body.body_model import BodyModel
from smplifyx.collision.sparse_body import BoneStates, SparseBody
from smplifyx.collision.warp_runtime import load_warp, torch_stream


@dataclass
class VertexLists:
    """For each of R rows the vertices that are posed, and where they came to lie.

    Attributes:
        vertices: [R, V] int32 numbers, of which the first ``n_vertices`` count.
        n_vertices: [R] int32.
        shaped, posed: [R, V, 3] by vertex number; only listed vertices are up to date.
    """

    vertices: Tensor
    n_vertices: Tensor
    shaped: Tensor
    posed: Tensor

    @classmethod
    def empty(cls, n_rows: int, n_vertices: int, device: torch.device) -> VertexLists:
        """No vertices in any row."""
        return cls(
            torch.zeros(n_rows, n_vertices, dtype=torch.int32, device=device),
            torch.zeros(n_rows, dtype=torch.int32, device=device),
            torch.zeros(n_rows, n_vertices, 3, device=device),
            torch.zeros(n_rows, n_vertices, 3, device=device),
        )

    def list_all(self, rows: Tensor) -> None:
        """Lists all vertices in some rows."""
        self.vertices[rows] = torch.arange(self.vertices.shape[1], dtype=torch.int32, device=rows.device)
        self.n_vertices[rows] = self.vertices.shape[1]

    def set(self, rows: Tensor, used: Tensor) -> None:
        """Lists the vertices that are marked in ``used`` [len(rows), V]."""
        counts = used.sum(1)
        row, vertex = used.nonzero(as_tuple=True)
        place = torch.arange(len(row), device=rows.device) - (counts.cumsum(0) - counts)[row]
        self.vertices[rows[row], place] = vertex.int()
        self.n_vertices[rows] = counts.int()


@dataclass(frozen=True)
class VertexEntries:
    """Gradients for posed vertices.

    Attributes:
        rows: [E] body in the batch.
        slots: [B] row of the lists that each body in the batch owns.
        vertices: [E] numbers.
        gradients: [E, 3].
    """

    rows: Tensor
    slots: Tensor
    vertices: Tensor
    gradients: Tensor


class SparseSkinning:
    """Poses listed vertices of many bodies with Warp.

    Args:
        model: the full body model.
        faces: [F, 3] its triangles.
        device: where to compute.
    """

    def __init__(self, model: BodyModel, faces: np.ndarray, device: torch.device) -> None:
        self.warp = load_warp()
        self.kernels = importlib.import_module("smplifyx.collision.skin_kernels")
        self.device = device
        body = SparseBody.of_model(model)
        vec3 = self.warp.vec3
        self.faces = self._array(np.asarray(faces, np.int32), self.warp.vec3i)
        self._template = self._array(body.template, vec3)
        self._components = (
            self._array(body.component_start, int),
            self._array(body.component_index, int),
            self._array(body.component_shape, vec3),
        )
        self._bones = self._array(body.bones, int), self._array(body.weights, float)
        self.n_vertices = len(body.template)

    def skin(self, state: BoneStates, lists: VertexLists, slots: Tensor) -> None:
        """Poses the listed vertices of the bodies of ``state``, which own the rows ``slots`` of the lists."""
        n_most = int(lists.n_vertices[slots].max())
        self.launch(
            self.kernels.skin,
            (len(slots), n_most),
            self.wrap(slots.int()),
            self.wrap(lists.vertices),
            self.wrap(lists.n_vertices),
            self._template,
            *self._components,
            *self._bones,
            self.wrap(state.coefficients.float()),
            self.wrap(state.transforms.float().flatten(2)),
            self.wrap(lists.shaped, self.warp.vec3),
            self.wrap(lists.posed, self.warp.vec3),
        )

    def gradient(self, state: BoneStates, lists: VertexLists, entries: VertexEntries) -> tuple[Tensor, Tensor]:
        """Gradients for the coefficients [B, C] and transforms [B, J, 3, 4], from those for posed vertices."""
        transforms = state.transforms.float().flatten(2)
        to_coefficients = torch.zeros_like(state.coefficients, dtype=torch.float32)
        to_transforms = torch.zeros_like(transforms)
        self.launch(
            self.kernels.skin_gradient,
            (len(entries.rows),),
            self.wrap(entries.rows.int()),
            self.wrap(entries.slots.int()),
            self.wrap(entries.vertices.int()),
            self.wrap(entries.gradients.float(), self.warp.vec3),
            *self._components,
            *self._bones,
            self.wrap(transforms),
            self.wrap(lists.shaped, self.warp.vec3),
            self.wrap(to_coefficients),
            self.wrap(to_transforms),
        )
        return to_coefficients, to_transforms.unflatten(2, (3, 4))

    def intersecting(
        self, pairs: Tensor, n_pairs: Tensor, lists: VertexLists, slots: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Which of the candidates of some rows intersect, with listed vertices: row in the batch [N], pair [N, 2].

        Args:
            pairs: [R, P, 2] int32 triangles, of which the first ``n_pairs`` [R] count.
            lists: of the same rows, posed.
            slots: [B] rows to look at.
        """
        n_most = int(n_pairs[slots].max()) if len(slots) else 0
        found = torch.zeros(len(slots), n_most, 2, dtype=torch.int32, device=slots.device)
        counts = torch.zeros(len(slots), dtype=torch.int32, device=slots.device)
        if n_most:
            self.launch(
                self.kernels.intersect,
                (len(slots), n_most),
                self.wrap(slots.int()),
                self.wrap(pairs, self.warp.vec2i),
                self.wrap(n_pairs),
                self.faces,
                self.wrap(lists.posed, self.warp.vec3),
                self.wrap(found, self.warp.vec2i),
                self.wrap(counts),
            )
        rows, place = (torch.arange(n_most, device=slots.device) < counts[:, None]).nonzero(as_tuple=True)
        return rows, found[rows, place].long()

    def wrap(self, tensor: Tensor, dtype: Any = None) -> Any:
        """A tensor as Warp's array, sharing memory."""
        return self.warp.from_torch(tensor.detach().contiguous(), dtype=dtype)

    def launch(self, kernel: Any, threads: tuple[int, ...], *inputs: Any) -> None:
        """Runs a kernel."""
        with torch_stream(self.warp, self.device):
            self.warp.launch(kernel, threads, list(inputs), device=str(self.device))

    def _array(self, values: np.ndarray, dtype: Any) -> Any:
        return self.warp.array(values, dtype=dtype, device=str(self.device))
