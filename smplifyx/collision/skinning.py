"""Poses listed vertices of many bodies with Warp, and takes gradients for them back to what moves the body."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from smplifyx.body.model import BodyModel, BodyOutput
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


@dataclass(frozen=True)
class BoneStates:
    """All that moves the vertices of some bodies, and so all that a vertex depends on (C coefficients, J joints).

    Attributes:
        coefficients: [B, C] of shape, expression and pose correctives, in this order.
        rotations: [B, J, 3, 3] of the joints in the world.
        positions: [B, J, 3] of the joints in the world, from the first joint, metres.
        rest_joints: [B, J, 3] of the shaped body in the rest pose, metres.
    """

    coefficients: Tensor
    rotations: Tensor
    positions: Tensor
    rest_joints: Tensor

    @property
    def transforms(self) -> Tensor:
        """[B, J, 3, 4] from the shaped body at rest to the posed one."""
        offsets = self.positions - (self.rotations @ self.rest_joints[..., None])[..., 0]
        return torch.cat([self.rotations, offsets[..., None]], 3)

    @property
    def from_root(self) -> Tensor:
        """[B, J, 3, 4] from points about a joint at rest to the posed body as the first joint sees it."""
        moved = torch.cat([self.rotations, self.positions[..., None]], 3)
        return self.rotations[:, :1].transpose(2, 3) @ moved

    def index(self, rows: Tensor) -> BoneStates:
        """Some of the bodies."""
        return BoneStates(*(part[rows] for part in vars(self).values()))

    def store(self, rows: Tensor, state: BoneStates) -> None:
        """Overwrites some of the bodies."""
        for name, part in vars(state).items():
            getattr(self, name)[rows] = part

    def zeros(self, n_rows: int) -> BoneStates:
        """As many empty bodies of the same kind."""
        return BoneStates(*(part.new_zeros(n_rows, *part.shape[1:]) for part in vars(self).values()))

    def detach(self) -> BoneStates:
        """Without gradients."""
        return BoneStates(*(part.detach() for part in vars(self).values()))


def bone_states(
    model: BodyModel, betas: Tensor, expression: Tensor, rotations: Tensor, output: BodyOutput
) -> BoneStates:
    """What moves the vertices, from the inputs [B, ...] of a model and the joints of its output, differentiable."""
    coefficients = [betas, expression]
    if model.pose_shapes.shape[0]:
        identity = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
        feature = (rotations[:, 1:] - identity).flatten(1)
        coefficients.append(feature if model.pose_projection is None else feature @ model.pose_projection)
    return BoneStates(
        torch.cat(coefficients, 1),
        output.joint_rotations,
        output.joints - output.joints[:, :1],
        model.rest_joints(betas, expression),
    )


class DisplacementBound:
    """Bounds how far any vertex of a body has moved, as the body's first joint sees it, without posing a vertex.

    A vertex is the weighted mean of what each of its bones makes of its place ``l`` about that bone's joint at rest:
    ``R l + p``. So it moves at most as far as the worst of its bones says. Let the bone go from (R, p) to (R', p')
    and l to l'. The bone then moves the vertex by ``(R' l + p') - (R l + p) + R' (l' - l)``, where

    - the first difference is affine in l, so over a box of places its length is greatest at one of the corners; the
      box holds all places of the template, and those of the shaped body stray from it by no more than e, which adds
      at most ``|R' - R| e``;
    - l' - l and e are sums over the coefficients, each times the longest shift that it makes relative to the joint.

    Turning and shifting the body as a whole changes nothing.
    """

    def __init__(self, model: BodyModel) -> None:
        template, shapes = model.template.unflatten(0, (-1, 3)), _component_shapes(model)
        joint_shapes = torch.zeros(model.n_joints, 3, shapes.shape[2], dtype=shapes.dtype, device=shapes.device)
        n_shape = model.joint_blend_shapes.shape[0]
        joint_shapes[:, :, :n_shape] = model.joint_blend_shapes.T.unflatten(0, (-1, 3))
        joints = model.joint_template.unflatten(0, (-1, 3))
        self._corners = torch.zeros(model.n_joints, 8, 4, dtype=template.dtype, device=template.device)
        self._corners[..., 3] = 1.0
        self._reach = torch.zeros(model.n_joints, shapes.shape[2], dtype=template.dtype, device=template.device)
        choice = torch.cartesian_prod(*[torch.arange(2, device=template.device)] * 3)
        for joint in range(model.n_joints):
            own = model.skinning_weights[:, joint] > 0
            if own.any():
                places = template[own] - joints[joint]
                ends = torch.stack([places.amin(0), places.amax(0)])
                self._corners[joint, :, :3] = ends[choice, torch.arange(3, device=template.device)]
                self._reach[joint] = (shapes[own] - joint_shapes[joint]).norm(dim=1).amax(0)

    def __call__(self, before: BoneStates, after: BoneStates) -> Tensor:
        """Metres [B] that no vertex has moved by more."""
        change = after.from_root - before.from_root
        corners = torch.einsum("bjxc,jkc->bjkx", change, self._corners).norm(dim=3).amax(2)
        # The difference of two rotations stretches by its Frobenius norm over the square root of two at most.
        turn = change[..., :3].flatten(2).norm(dim=2) / 2**0.5
        stray = before.coefficients.abs() @ self._reach.T
        shift = (after.coefficients - before.coefficients).abs() @ self._reach.T
        return (corners + turn * stray + shift).amax(1)


@dataclass(frozen=True)
class SparseBody:
    """Arrays [V, ...] of the body model with only what is not zero.

    Attributes:
        template: [V, 3] metres.
        component_start: [V + 1] where each vertex' components begin.
        component_index: [N] which coefficient.
        component_shape: [N, 3] metres for one unit of it.
        bones: [V, K] joints that move a vertex.
        weights: [V, K] how much; zero beyond a vertex' last bone.
    """

    template: np.ndarray
    component_start: np.ndarray
    component_index: np.ndarray
    component_shape: np.ndarray
    bones: np.ndarray
    weights: np.ndarray

    @classmethod
    def of_model(cls, model: BodyModel) -> SparseBody:
        """Collects what is not zero."""
        shapes = _component_shapes(model).cpu().float().numpy()
        vertex, component = np.nonzero(shapes.any(1))
        weights = model.skinning_weights.cpu().float().numpy()
        n_bones = int((weights > 0).sum(1).max())
        bones = np.argsort(-weights, 1, kind="stable")[:, :n_bones]
        return cls(
            template=model.template.cpu().float().numpy().reshape(-1, 3),
            component_start=np.searchsorted(vertex, np.arange(len(weights) + 1)).astype(np.int32),
            component_index=component.astype(np.int32),
            component_shape=shapes[vertex, :, component],
            bones=bones.astype(np.int32),
            weights=np.take_along_axis(weights, bones, 1),
        )


def _component_shapes(model: BodyModel) -> Tensor:
    """[V, 3, C] metres for one unit of each coefficient."""
    return torch.cat([model.blend_shapes, model.pose_shapes]).T.unflatten(0, (-1, 3))
