"""Contacts: vertices inside or close to another part of the body, each with the triangle it has to get out of."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from smplifyx.body.data import FloatArray, IntArray
from smplifyx.collision.clusters import LANES, TriangleClusters
from smplifyx.collision.parts import PairFilter
from smplifyx.collision.search import TriangleSearch
from smplifyx.collision.skinning import PairLists, VertexLists
from smplifyx.warp_runtime import torch_stream

#: Meshes searched together: the memory of their vertices stays in the cache of a CPU; a GPU wants many threads.
_ROWS_AT_ONCE, _GPU_ROWS_AT_ONCE = 16, 64
#: Modules of the kernels, imported late.
_KERNELS = "cluster_kernels", "contact_search_kernels"
#: Number of groups of contacts, each with a curvature of its own, see :attr:`Contacts.groups`.
N_GROUPS = 16


@dataclass(frozen=True)
class ContactShape:
    """Energy of a contact as a function of the depth: how far a vertex is below ``clearance`` over the triangle.

    Its slope rises from 0 to 1 within ``soft`` and stays: times the vertex' area the energy is about the volume that
    two parts share.

    Attributes:
        clearance: distance at which a contact begins, metres; with it coarse triangles do not cross.
        soft: metres.
        reach: distance from a part within which its triangles are found, metres; less in thin parts.
        beside: distance from a triangle, within its plane, at which contacts end, metres.
        slack: contacts are kept up to this distance beyond the clearance, as vertices may come closer, metres.
        stiffness: energy of a cubic metre.
    """

    clearance: float = 0.002
    soft: float = 0.004
    reach: float = 0.035
    beside: float = 0.010
    slack: float = 0.005
    stiffness: float = 3e6


@dataclass(frozen=True)
class Contacts:
    """Contacts of R bodies.

    Attributes:
        found: their pairs are (vertex, triangle), positions by place in the lists of vertices.
        points: [R, P, 4] int32 places of the vertex and the triangle's corners in these lists.
        weights: [R, P] area of the vertex, square metres, times the contact's weight.
        parts: [R, P] a number for each pair of parts.
    """

    found: PairLists
    points: Tensor
    weights: Tensor
    parts: Tensor

    def of(self, bodies: Tensor) -> Contacts:
        """Only the bodies that are marked [R]."""
        lists, n_bodies = self.found.lists, int(bodies.sum())
        kept = VertexLists(n_bodies, lists.posed.shape[1], bodies.device, lists.by_place)
        kept.vertices, kept.n_vertices, kept.most = lists.vertices[bodies], lists.n_vertices[bodies], lists.most
        found = PairLists(self.found.pairs[bodies], self.found.n_pairs[bodies], kept)
        return Contacts(found, self.points[bodies], self.weights[bodies], self.parts[bodies])

    @cached_property
    def groups(self) -> Tensor:
        """[R, P] int32 group of each contact: those between the same two parts; the smallest groups are joined."""
        n_pairs = self.found.n_pairs.long()
        row, place = (torch.arange(self.parts.shape[1], device=n_pairs.device) < n_pairs[:, None]).nonzero(
            as_tuple=True
        )
        n_keys = int(self.parts.max()) + 1 if len(row) else 1
        keys, number, counts = (row * n_keys + self.parts[row, place]).unique(return_inverse=True, return_counts=True)
        body = keys // n_keys
        largest_first = (body * (self.parts.shape[1] + 1) - counts).argsort(stable=True)
        n_groups = torch.bincount(body, minlength=len(n_pairs))
        rank = torch.empty_like(keys)
        rank[largest_first] = torch.arange(len(keys), device=keys.device)
        rank -= (n_groups.cumsum(0) - n_groups)[body]
        groups = torch.zeros_like(self.parts, dtype=torch.int32)
        groups[row, place] = rank[number].clamp(max=N_GROUPS - 1).int()
        return groups


class _Workspace:
    """Arrays that a search for contacts writes, and its launches, recorded once.

    Attributes:
        n_rows: R, most meshes.
        triangles: [R, V] triangle of each vertex' contact; -1 for none.
        heights, weights: [R, V] height over it, metres, and weight, of the vertices that have one.
        touching: [R] 1 where a vertex is closer than the clearance.

    Args:
        warp: the module.
        n_rows: R.
        n_slots: most meshes that are searched at the same time.
        mesh, limits: as the kernels take them.
        device: where.
    """

    def __init__(self, warp: Any, n_rows: int, n_slots: int, mesh: Any, limits: Any, device: str) -> None:
        self.n_rows = n_rows
        n_parts, n_owned = mesh.may_touch.shape
        n_clusters, n_vertices = len(mesh.parts), len(mesh.around_starts) - 1

        def array(dtype: Any, *shape: int) -> Any:
            return warp.zeros(shape, dtype=dtype, device=device)

        bounds, search = (importlib.import_module(f"smplifyx.collision.{name}") for name in _KERNELS)
        #: Kept, as the recorded launches hold no more than addresses.
        self._kept = work, found = bounds.Work(), search.Found()
        work.boxes = array(float, n_slots, 6, n_clusters + LANES)
        work.part_boxes = array(bounds.Box, n_slots, n_parts)
        work.near, work.n_near = array(int, n_slots, n_parts, n_parts), array(int, n_slots, n_parts)
        work.bounds, work.normals = array(float, n_slots, n_clusters, 7, LANES), array(warp.vec3, n_slots, n_owned)
        work.misfits, work.heights = (array(float, n_slots, n_owned) for _ in range(2))
        work.triangles = array(int, n_slots, n_owned)
        found.triangles, found.touching = array(int, n_rows, n_vertices), array(int, n_rows)
        for name in ("heights", "weights", "forces", "misfits"):
            setattr(found, name, array(float, n_rows, n_vertices))
        self.triangles, self.heights, self.weights, self.touching = (
            warp.to_torch(getattr(found, name)) for name in ("triangles", "heights", "weights", "touching")
        )
        self._rows = warp.array(np.arange(n_slots, dtype=np.int32), dtype=int, device=device)
        posed = array(warp.vec3, 1, 1)
        self._steps = []
        for kernel, n_threads, inputs in (
            (bounds.bound_clusters, n_clusters, [posed, self._rows, mesh, work]),
            (bounds.bound_parts, n_parts, [mesh, work]),
            (bounds.list_neighbours, n_parts, [mesh, limits, work]),
            (bounds.bound_triangles, n_clusters, [posed, self._rows, mesh, limits, work]),
            (search.find_contacts, n_clusters, [posed, self._rows, mesh, limits, work, found]),
        ):
            launch = warp.launch(kernel, (n_slots, n_threads), inputs, device=device, record_cmd=True)
            self._steps.append((launch, n_threads, inputs[0] is posed))

    def run(self, posed: Any, n_meshes: int, row: int | None = None) -> None:
        """Search some meshes at the same time.

        Args:
            posed: [R, V] vertices.
            n_meshes: how many, from the first one on.
            row: on the CPU the one to search.
        """
        if row is not None:
            self._rows.numpy()[0] = row
        for launch, n_threads, reads_posed in self._steps:
            if row is None:
                launch.set_dim((n_meshes, n_threads))
            if reads_posed and not row:
                launch.set_param_at_index(0, posed)
            launch.launch()


class ContactSearch(TriangleSearch):
    """Search meshes that share their triangles for contacts, too.

    A vertex has a contact with the triangle of the least misfit of those parts that it may collide with. The misfit
    is the length of three numbers: the distance from the triangle, as a share of the reach; the distance sideways,
    past the triangle's edge within its plane, as a share of ``beside``; and how little the two normals face each
    other, 0 from 120 degrees on and 1 at a right angle. So the far side of a thin part does not pull it through.

    The weight of a contact falls from 1 to 0 between misfits of 2/3 and 1: contacts begin and end without a force.
    Of several parts the one that pushes most counts. Parts that push a vertex in the rest pose are left out.

    Args:
        rest_vertices, faces, pairs, max_pairs, device, clusters: see
            :class:`~smplifyx.collision.search.TriangleSearch`.
        shape: how far contacts are looked for.
        further: distance beyond the clearance at which a mesh still counts as touching itself, metres.
    """

    def __init__(
        self,
        rest_vertices: FloatArray,
        faces: IntArray,
        pairs: PairFilter,
        max_pairs: int = 65536,
        device: torch.device | str = "cpu",
        clusters: TriangleClusters | None = None,
        shape: ContactShape | None = None,
        further: float = 0.0,
    ) -> None:
        super().__init__(rest_vertices, faces, pairs, max_pairs, device, clusters)
        self._shape = shape = shape or ContactShape()
        self._limits = self._kernels.Limits()
        self._limits.outside = shape.clearance + shape.slack
        self._limits.beside, self._limits.clearance, self._limits.soft = shape.beside, shape.clearance, shape.soft
        self._workspace: _Workspace | None = None
        faces, labels = (np.asarray(some, np.int64) for some in (faces, pairs.labels))
        n_vertices = len(rest_vertices)
        parts = np.zeros(n_vertices, np.int64)
        parts[faces] = labels[:, None]
        self._parts, self._labels_of = (
            torch.as_tensor(some, dtype=torch.int64, device=self.device) for some in (parts, labels)
        )
        corners = np.asarray(rest_vertices, np.float64)[faces]
        areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
        third = np.bincount(faces.ravel(), np.repeat(areas / 3, 3), n_vertices)
        self._areas = torch.as_tensor(third, dtype=torch.float32, device=self.device)
        self._set_around(faces)
        self._mesh.reaches = self._array(self._part_reaches(corners, labels), float)
        touches = np.zeros((n_vertices, self._n_parts), np.float32)  # the parts of each vertex' triangles
        touches[faces, labels[:, None]] = 1.0
        may_touch = touches @ pairs.related_parts.astype(np.float32) == 0
        for triangles, others in (pairs.ignored_pairs.T, pairs.ignored_pairs.T[::-1]):
            may_touch[faces[triangles], labels[others][:, None]] = False
        while True:  # a vertex may be close to several parts
            self._mesh.may_touch = self._array(may_touch[self.clusters.owned].T.astype(np.uint8), self._warp.uint8)
            self._workspace = None
            found = self._search_contacts(self._rest[None])
            close = ((found.triangles[0] >= 0) & (found.heights[0] < shape.clearance)).nonzero()[:, 0]
            if not len(close):
                break
            pushing = self._labels_of[found.triangles[0, close].long()]
            may_touch[close.cpu().numpy(), pushing.cpu().numpy()] = False
        if further:
            self._limits.clearance, self._limits.outside = shape.clearance + further, self._limits.outside + further
            self._workspace = None

    def _set_around(self, faces: IntArray) -> None:
        """Hand the triangles around each vertex to the kernels."""
        order = self.clusters.triangles
        place = np.empty_like(order)
        place[order] = np.arange(len(place))
        by_vertex = faces.ravel().argsort(kind="stable")
        starts = np.searchsorted(faces.ravel()[by_vertex], np.arange(len(self._rest) + 1))
        self._mesh.around = self._array(place[by_vertex // 3].astype(np.int32), int)
        self._mesh.around_starts = self._array(starts.astype(np.int32), int)

    def _part_reaches(self, corners: FloatArray, labels: IntArray) -> FloatArray:
        """[P] reach of each part: at most half of its thickness, so that nothing is pulled through it."""
        order = labels.argsort(kind="stable")
        starts = np.flatnonzero(np.diff(labels[order], prepend=-1))
        points = np.ascontiguousarray(corners[order].reshape(-1, 3).T)
        lower, upper = (bound.reduceat(points, 3 * starts, axis=1) for bound in (np.minimum, np.maximum))
        thickness = np.zeros(self._n_parts)
        thickness[labels[order[starts]]] = (upper - lower).min(0)
        return np.clip(thickness / 2, self._shape.clearance + self._shape.slack, self._shape.reach).astype(np.float32)

    def contacts(self, chunks: Iterable[Tensor]) -> tuple[Contacts, Tensor]:
        """Contacts of those meshes that have a vertex closer than the clearance, and whether [B] a mesh has.

        Args:
            chunks: some at a time of the meshes [B, V, 3], metres.
        """
        at_once = _ROWS_AT_ONCE if self.device.type == "cpu" else _GPU_ROWS_AT_ONCE
        none = torch.zeros(0, dtype=torch.int64, device=self.device)
        touching, found, n_rows = [none.bool()], [(none, none, none, none.float())], 0
        for chunk in chunks:
            for meshes in chunk.detach().to(torch.float32).split(at_once) if len(chunk) else ():
                fits = self._search_contacts(meshes)
                touching.append(fits.touching[: len(meshes)] > 0)
                number = n_rows + touching[-1].cumsum(0) - 1
                row, vertex = ((fits.triangles[: len(meshes)] >= 0) & touching[-1][:, None]).nonzero(as_tuple=True)
                triangle = fits.triangles[row, vertex].long()
                found.append((number[row], vertex, triangle, fits.weights[row, vertex]))
                n_rows += int(touching[-1].sum())
        row, vertex, triangle, shares = (torch.cat(parts) for parts in zip(*found, strict=True))
        counts = torch.bincount(row, minlength=n_rows)
        place = torch.arange(len(row), device=row.device) - (counts.cumsum(0) - counts)[row]
        most = int(counts.max()) if n_rows else 0
        pairs = torch.zeros(n_rows, most, 2, dtype=torch.int32, device=row.device)
        pairs[row, place] = torch.stack([vertex, triangle], 1).int()
        weights = torch.zeros(n_rows, most, device=row.device)
        weights[row, place] = self._areas[vertex] * shares
        parts = torch.zeros(n_rows, most, dtype=torch.int64, device=row.device)
        ends = torch.stack([self._parts[vertex], self._labels_of[triangle]])
        parts[row, place] = ends.amin(0) * self._n_parts + ends.amax(0)
        four = torch.cat([vertex[:, None], self.faces[triangle]], 1)
        used = torch.zeros(n_rows, len(self._rest), dtype=torch.bool, device=row.device)
        used[row[:, None], four] = True
        places = used.cumsum(1, dtype=torch.int32) - 1
        lists = VertexLists(n_rows, int(places.max()) + 1 if n_rows else 0, self.device, by_place=True)
        lists.set(torch.arange(n_rows, device=row.device), used)
        points = torch.zeros(n_rows, most, 4, dtype=torch.int32, device=row.device)
        points[row, place] = places[row[:, None], four]
        return Contacts(PairLists(pairs, counts.int(), lists), points, weights, parts), torch.cat(touching)

    def _search_contacts(self, vertices: Tensor) -> _Workspace:
        """The contacts of each vertex of some meshes, in the first rows; the next call overwrites them."""
        n_rows, is_cpu = len(vertices), self.device.type == "cpu"
        if self._workspace is None or self._workspace.n_rows < n_rows:
            n_slots = 1 if is_cpu else n_rows
            self._workspace = _Workspace(self._warp, n_rows, n_slots, self._mesh, self._limits, str(self.device))
        space = self._workspace
        space.triangles.fill_(-1)
        space.touching.zero_()
        with torch_stream(self._warp, self.device):
            posed = self._warp.from_torch(self._finite(vertices), dtype=self._warp.vec3)
            if is_cpu:  # one after the other, so that the numbers of a mesh stay in the cache
                for row in range(n_rows):
                    space.run(posed, 1, row)
            else:
                space.run(posed, n_rows)
        return space
