"""Listed vertices of many bodies, posed by Warp."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from smplifyx.body.model import BodyModel, BodyOutput
from smplifyx.warp_runtime import load_warp, torch_stream

#: Threads that share the vertices of one body; a fixed number, so that sums do not depend on the batch.
_CUDA_LANES = 32


@dataclass(frozen=True)
class ConeOptions:
    """Shape of the distance field.

    Attributes:
        height: height of the cone above its triangle (sigma), metres.
        penalize_outside: vertices in the cone above the triangle have an energy too.
        exponent: power of the field; 4 in the paper, 8 in effect in the released code.
    """

    height: float = 1e-4
    penalize_outside: bool = True
    exponent: int = 4


def cone_struct(kernels: ModuleType, cones: ConeOptions) -> Any:
    """The options as the kernels take them."""
    value = kernels.Cones()
    value.height, value.exponent = cones.height, cones.exponent
    value.penalize_outside = int(cones.penalize_outside)
    return value


class VertexLists:
    """The vertices of each of R rows that are posed, and their positions.

    Attributes:
        vertices: [R, V] int32 numbers, of which the first ``n_vertices`` count.
        n_vertices: [R] int32.
        shaped, posed: [R, V, 3] metres, by vertex number; only listed vertices are up to date.
        to_posed: [R, V, 3] sums of gradients for the posed vertices; zero between evaluations.
        by_place: whether positions are by place in the list instead, which keeps those of a row together.
    """

    def __init__(self, n_rows: int, n_vertices: int, device: torch.device, by_place: bool = False) -> None:
        self.by_place = by_place
        self.vertices = torch.zeros(n_rows, n_vertices, dtype=torch.int32, device=device)
        self.n_vertices = torch.zeros(n_rows, dtype=torch.int32, device=device)
        #: No row lists more vertices; a number of the processor, so that a GPU need not be waited for.
        self.most = 0
        self.shaped = torch.empty(n_rows, n_vertices, 3, device=device)
        self.posed = torch.empty_like(self.shaped)
        self.to_posed = torch.zeros_like(self.shaped)

    def list_all(self, rows: Tensor) -> None:
        """List all vertices of some rows."""
        self.vertices[rows] = torch.arange(self.vertices.shape[1], dtype=torch.int32, device=rows.device)
        self.n_vertices[rows] = self.vertices.shape[1]
        self.most = self.vertices.shape[1]

    def set(self, rows: Tensor, used: Tensor) -> None:
        """List the vertices that are marked in ``used`` [len(rows), V]."""
        counts = used.sum(1)
        row, vertex = used.nonzero(as_tuple=True)
        place = torch.arange(len(row), device=rows.device) - (counts.cumsum(0) - counts)[row]
        self.vertices[rows[row], place] = vertex.int()
        self.n_vertices[rows] = counts.int()
        self.most = int(self.n_vertices.max()) if len(self.n_vertices) else 0

    @property
    def n_threads(self) -> int:
        """Threads among which a row's vertices are worth dividing: one on the CPU, all on a GPU."""
        return min(self.most, 1 if self.vertices.device.type == "cpu" else self.most)


@dataclass(frozen=True)
class PairLists:
    """Pairs of triangles of R rows.

    Attributes:
        pairs: [R, P, 2] int32 triangles, of which the first ``n_pairs`` count.
        n_pairs: [R] int32.
        lists: their vertices, posed.
    """

    pairs: Tensor
    n_pairs: Tensor
    lists: VertexLists


class SparseSkinning:
    """Pose listed vertices of many bodies with Warp, and test pairs of their triangles.

    A body's numbers do not depend on the other bodies of a call.

    Args:
        model: the full body model.
        faces: [F, 3] its triangles.
        device: where to compute.
    """

    def __init__(self, model: BodyModel, faces: np.ndarray, device: torch.device) -> None:
        self._warp = load_warp()
        self.vec3, self.vec2i, self.vec4i = self._warp.vec3, self._warp.vec2i, self._warp.vec4i
        self.kernels = importlib.import_module("smplifyx.collision.term_kernels")
        self._lane_kernels = importlib.import_module("smplifyx.collision.lane_kernels")
        self.device = device
        body = SparseBody.of_model(model)
        #: [F, 3] the triangles.
        self.faces = torch.as_tensor(np.asarray(faces, np.int64), device=device)
        self.triangles = self._array(np.asarray(faces, np.int32), self._warp.vec3i)
        #: The arrays of the body as the kernels take them.
        self.body = self.kernels.Body()
        self.body.at_rest = self._array(body.template, self.vec3)
        self.body.component_start = self._array(body.component_start, int)
        self.body.component_index = self._array(body.component_index, int)
        self.body.component_shape = self._array(body.component_shape, self.vec3)
        self.body.bones, self.body.weights = self._array(body.bones, int), self._array(body.weights, float)
        self.n_vertices, self.n_shape = len(body.template), model.blend_shapes.shape[0]
        n_coefficients, n_joints = self.n_shape + model.pose_shapes.shape[0], model.n_joints
        #: Of the parts of a body's state.
        self.state_sizes = (n_coefficients,), (n_joints, 3, 3), (n_joints, 3), (n_joints, 3)
        self.n_lanes = 1 if device.type == "cpu" else _CUDA_LANES

    def skin(self, state: BoneStates, lists: VertexLists, slots: Tensor) -> None:
        """Pose the listed vertices of the bodies of ``state``, which own the rows ``slots`` [B] of the lists."""
        n_threads = lists.n_threads
        inputs = self.wrap(slots.int()), *self.listed(lists), n_threads, self.body
        bones = self.bone_arrays(state.single())
        self.launch(self.kernels.skin, (len(slots), n_threads), *inputs, *bones, *self.positions(lists))

    def listed(self, lists: VertexLists) -> tuple[Any, ...]:
        """The lists as the kernels take them."""
        return self.wrap(lists.vertices), self.wrap(lists.n_vertices), int(lists.by_place)

    def positions(self, lists: VertexLists) -> tuple[Any, Any]:
        """The listed vertices, shaped and posed, as the kernels take them."""
        return self.wrap(lists.shaped, self.vec3), self.wrap(lists.posed, self.vec3)

    def bone_arrays(self, state: BoneStates) -> tuple[Any, Any, Any, Any]:
        """The parts of states in single precision, as the kernels take them."""
        vectors = (self.wrap(part, self.vec3) for part in (state.positions, state.rest_joints))
        return self.wrap(state.coefficients), self.wrap(state.rotations, self._warp.mat33), *vectors

    def pose(self, state: BoneStates) -> Tensor:
        """[B, V, 3] all posed vertices of the bodies [B] of ``state``."""
        n_rows = len(state.coefficients)
        if self.device.type == "cpu":
            posed = torch.empty(n_rows, self.n_vertices, 3)
            self.launch(
                self._lane_kernels.pose_meshes,
                (-(-n_rows // self._lane_kernels.LANES),),
                n_rows,
                self.body,
                self._tiled(state.coefficients.float()),
                self._tiled(state.transforms.float().flatten(1)),
                self.wrap(posed, self.vec3),
            )
            return posed
        slots = torch.arange(n_rows, device=self.device)
        lists = VertexLists(n_rows, self.n_vertices, self.device)
        lists.list_all(slots)
        self.skin(state, lists, slots)
        return lists.posed

    def _tiled(self, rows: Tensor) -> Any:
        """Rows [B, N] in the lanes of tiles [T, N, LANES], the last one padded with zeros."""
        n_lanes = self._lane_kernels.LANES
        rows = torch.nn.functional.pad(rows, (0, 0, 0, -len(rows) % n_lanes))
        return self.wrap(rows.unflatten(0, (-1, n_lanes)).transpose(1, 2).contiguous())

    def meeting(self, found: PairLists, slots: Tensor) -> Tensor:
        """Mask of the pairs of some rows that intersect, with posed vertices; touching counts.

        Args:
            found: pairs of R rows.
            slots: [B] the rows.

        Returns:
            [B, P] uint8; P covers the longest of the rows.
        """
        n_most = int(found.n_pairs[slots].max()) if len(slots) else 0
        meets = torch.zeros(len(slots), n_most, dtype=torch.uint8, device=slots.device)
        self.launch(
            self.kernels.test_pairs,
            (len(slots), n_most),
            self.wrap(slots.int()),
            self.wrap(found.pairs, self.vec2i),
            self.wrap(found.n_pairs),
            self.triangles,
            self.wrap(found.lists.posed, self.vec3),
            self.wrap(meets),
        )
        return meets

    def record(self, kernel: Any, threads: tuple[int, ...], *inputs: Any) -> Callable[[int], None]:
        """A launch, recorded once, as a function of the number of rows; it keeps its input arrays."""
        if 0 in threads:
            return lambda n_rows: None
        kept = list(inputs)
        command = self._warp.launch(kernel, threads, kept, device=str(self.device), record_cmd=True)

        def launch(n_rows: int, kept: list[Any] = kept) -> None:
            command.set_dim((n_rows, *threads[1:]))
            with torch_stream(self._warp, self.device):
                command.launch()

        return launch

    def wrap(self, tensor: Tensor, dtype: Any = None) -> Any:
        """A tensor as Warp's array, sharing memory."""
        return self._warp.from_torch(tensor.detach(), dtype=dtype)

    def launch(self, kernel: Any, threads: tuple[int, ...], *inputs: Any) -> None:
        """Launch a kernel."""
        if 0 not in threads:
            with torch_stream(self._warp, self.device):
                self._warp.launch(kernel, threads, list(inputs), device=str(self.device))

    def _array(self, values: np.ndarray, dtype: Any) -> Any:
        return self._warp.array(values, dtype=dtype, device=str(self.device))


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
        offsets = self.positions - rotated(self.rotations, self.rest_joints)
        return torch.cat([self.rotations, offsets[..., None]], 3)

    @property
    def from_root(self) -> Tensor:
        """[B, J, 3, 4] from points about a joint at rest to the posed body as the first joint sees it."""
        moved = torch.cat([self.rotations, self.positions[..., None]], 3)
        return self.rotations[:, :1].transpose(2, 3) @ moved

    def index(self, rows: Tensor) -> BoneStates:
        """Select rows."""
        return self._map(lambda part: part[rows])

    def store(self, rows: Tensor, state: BoneStates) -> None:
        """Overwrite rows [B] with the B bodies of ``state``."""
        for own, given in zip(self.parts, state.parts, strict=True):
            own[rows] = given

    def zeros(self, n_rows: int) -> BoneStates:
        """Zeros of the same shapes for ``n_rows`` bodies."""
        return self._map(lambda part: part.new_zeros(n_rows, *part.shape[1:]))

    def times(self, factor: float) -> BoneStates:
        """A multiple, contiguous."""
        return self._map(lambda part: (factor * part).contiguous())

    @property
    def parts(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """All parts, in their order."""
        return self.coefficients, self.rotations, self.positions, self.rest_joints

    def first(self, n_rows: int) -> BoneStates:
        """The first rows."""
        return self._map(lambda part: part[:n_rows])

    def over_lanes(self) -> BoneStates:
        """Sums over the second axis."""
        return self._map(lambda part: part.sum(1) if part.shape[1] > 1 else part[:, 0])

    def single(self) -> BoneStates:
        """In single precision, contiguous."""
        return self._map(lambda part: part.detach().float().contiguous())

    def detach(self) -> BoneStates:
        """Without gradients."""
        return self._map(lambda part: part.detach())

    def _map(self, function: Callable[[Tensor], Tensor]) -> BoneStates:
        return BoneStates(*map(function, self.parts))


def rotated(rotations: Tensor, points: Tensor) -> Tensor:
    """Points [..., 3] turned by rotations [..., 3, 3]; the bits of a row do not depend on the other rows."""
    return sum((rotations[..., k] * points[..., k : k + 1] for k in range(1, 3)), rotations[..., 0] * points[..., :1])


def bone_states(
    model: BodyModel, betas: Tensor, expression: Tensor, rotations: Tensor, output: BodyOutput
) -> BoneStates:
    """The state of the bones, from the inputs [B, ...] of a model and the joints of its output, differentiable."""
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


@dataclass(frozen=True)
class SparseBody:
    """Arrays [V, ...] of the body model without zeros.

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
        """Collect the nonzero entries."""
        blocks = [
            block.cpu().float().numpy().reshape(len(block), -1, 3)
            for block in (model.blend_shapes, model.pose_shapes)
        ]
        # coordinate by coordinate, which is several times as fast as along the last axis
        moves = [(block[..., 0] != 0) | (block[..., 1] != 0) | (block[..., 2] != 0) for block in blocks]
        by_vertex = np.ascontiguousarray(np.concatenate(moves).T)
        vertex, component = np.divmod(np.flatnonzero(by_vertex), by_vertex.shape[1])
        shapes = np.empty((len(vertex), 3), np.float32)
        start = 0
        for block in blocks:
            own = (component >= start) & (component < start + len(block))
            shapes[own] = block[component[own] - start, vertex[own]]
            start += len(block)
        weights = model.skinning_weights.cpu().float().numpy()
        n_bones = int((weights > 0).sum(1).max())
        bones = np.argsort(-weights, 1, kind="stable")[:, :n_bones]
        return cls(
            template=model.template.cpu().float().numpy().reshape(-1, 3),
            component_start=np.searchsorted(vertex, np.arange(len(weights) + 1)).astype(np.int32),
            component_index=component.astype(np.int32),
            component_shape=shapes,
            bones=bones.astype(np.int32),
            weights=np.take_along_axis(weights, bones, 1),
        )


def component_shapes(model: BodyModel) -> Tensor:
    """[V, 3, C] metres for one unit of each coefficient."""
    return torch.cat([model.blend_shapes, model.pose_shapes]).T.unflatten(0, (-1, 3))
