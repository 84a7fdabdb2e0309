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
from smplifyx.collision.parts import PairFilter
from smplifyx.collision.search import TriangleSearch
from smplifyx.collision.skinning import PairLists, VertexLists
from smplifyx.collision.warp_runtime import torch_stream

#: Number of groups of contacts, each with a curvature of its own, see :attr:`Contacts.groups`.
N_GROUPS = 8


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
        found: their pairs are (vertex, triangle).
        weights: [R, P] area of the vertex, square metres, times the contact's weight.
        parts: [R, P] a number for each pair of parts.
    """

    found: PairLists
    weights: Tensor
    parts: Tensor

    def of(self, bodies: Tensor) -> Contacts:
        """Only the bodies that are marked [R]."""
        lists, n_bodies = self.found.lists, int(bodies.sum())
        kept = VertexLists(n_bodies, lists.posed.shape[1], bodies.device)
        kept.vertices, kept.n_vertices, kept.most = lists.vertices[bodies], lists.n_vertices[bodies], lists.most
        found = PairLists(self.found.pairs[bodies], self.found.n_pairs[bodies], kept)
        return Contacts(found, self.weights[bodies], self.parts[bodies])

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


class ContactSearch(TriangleSearch):
    """Search meshes that share their triangles for contacts, too.

    A vertex has a contact with the triangle of the least misfit of those parts that it may collide with. The misfit
    is the length of three numbers: the distance from the triangle, as a share of the reach; the distance sideways,
    past the triangle's edge within its plane, as a share of ``beside``; and how little the two normals face each
    other, 0 from 120 degrees on and 1 at a right angle. So the far side of a thin part does not pull it through.

    The weight of a contact falls from 1 to 0 between misfits of 2/3 and 1: contacts begin and end without a force.
    Of several parts the one that pushes most counts. Parts that push a vertex in the rest pose are left out.

    Args:
        rest_vertices, faces, pairs, max_pairs, device: see :class:`~smplifyx.collision.search.TriangleSearch`.
        shape: how far contacts are looked for.
    """

    def __init__(
        self,
        rest_vertices: FloatArray,
        faces: IntArray,
        pairs: PairFilter,
        max_pairs: int = 65536,
        device: torch.device | str = "cpu",
        shape: ContactShape | None = None,
    ) -> None:
        super().__init__(rest_vertices, faces, pairs, max_pairs, device)
        self._contact_kernels = importlib.import_module("smplifyx.collision.contact_kernels")
        self._shape = shape = shape or ContactShape()
        self._limits = self._contact_kernels.Limits()
        self._limits.outside = shape.clearance + shape.slack
        self._limits.beside, self._limits.clearance, self._limits.soft = shape.beside, shape.clearance, shape.soft
        faces, n_vertices = np.asarray(faces, np.int64), len(rest_vertices)
        by_vertex = faces.ravel().argsort(kind="stable")
        starts = np.searchsorted(faces.ravel()[by_vertex], np.arange(n_vertices + 1))
        self._around = self._array(starts.astype(np.int32), int), self._array((by_vertex // 3).astype(np.int32), int)
        parts = np.zeros(n_vertices, np.int64)
        parts[faces] = pairs.labels[:, None]
        self._vertex_parts = self._array(parts.astype(np.int32), int)
        self._parts, self._labels_of = (
            torch.as_tensor(some, dtype=torch.int64, device=self.device) for some in (parts, pairs.labels)
        )
        corners = np.asarray(rest_vertices, np.float64)[faces]
        areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
        third = np.bincount(faces.ravel(), np.repeat(areas / 3, 3), n_vertices)
        self._areas = torch.as_tensor(third, dtype=torch.float32, device=self.device)
        self._reaches = self._array(self._part_reaches(corners, pairs.labels), float)
        belongs_to = np.zeros((n_vertices, self._n_parts), np.float32)
        belongs_to[faces, pairs.labels[:, None]] = 1.0
        may_touch = belongs_to @ ~pairs.colliding_parts == 0.0
        for triangles, others in (pairs.ignored_pairs.T, pairs.ignored_pairs.T[::-1]):
            may_touch[faces[triangles], pairs.labels[others][:, None]] = False
        while True:  # a vertex may be close to several parts
            self._may_touch = self._array(may_touch.astype(np.uint8), self._warp.uint8)
            at_rest, heights, _ = (found[0].cpu().numpy() for found in self._search_contacts(self._rest[None]))
            close = np.flatnonzero((at_rest >= 0) & (heights < shape.clearance))
            if not len(close):
                break
            may_touch[close, pairs.labels[at_rest[close]]] = False

    def _part_reaches(self, corners: FloatArray, labels: IntArray) -> FloatArray:
        """[P] reach of each part: at most half of its thickness, so that nothing is pulled through it."""
        thickness = np.zeros(self._n_parts)
        for part in np.unique(labels):
            thickness[part] = np.ptp(corners[labels == part].reshape(-1, 3), axis=0).min()
        return np.clip(thickness / 2, self._shape.clearance + self._shape.slack, self._shape.reach).astype(np.float32)

    def contacts(self, chunks: Iterable[Tensor]) -> tuple[Contacts, Tensor]:
        """Contacts of those meshes that have a vertex closer than the clearance, and whether [B] a mesh has.

        Args:
            chunks: some at a time of the meshes [B, V, 3], metres.
        """
        none = torch.zeros(0, len(self._rest), device=self.device)
        found = [(none.int(), none, none)]
        for chunk in chunks:
            found += [self._search_contacts(part) for part in chunk.detach().to(torch.float32).split(self._n_rows)]
        triangles, heights, shares = (torch.cat(parts) for parts in zip(*found, strict=True))
        touching = ((shares > 0) & (heights < self._shape.clearance)).any(1)
        triangles, shares, n_rows = triangles[touching], shares[touching], int(touching.sum())
        row, vertex = (triangles >= 0).nonzero(as_tuple=True)
        triangle = triangles[row, vertex].long()
        counts = torch.bincount(row, minlength=n_rows)
        place = torch.arange(len(row), device=row.device) - (counts.cumsum(0) - counts)[row]
        most = int(counts.max()) if n_rows else 0
        pairs = torch.zeros(n_rows, most, 2, dtype=torch.int32, device=row.device)
        pairs[row, place] = torch.stack([vertex, triangle], 1).int()
        weights = torch.zeros(n_rows, most, device=row.device)
        weights[row, place] = self._areas[vertex] * shares[row, vertex]
        parts = torch.zeros(n_rows, most, dtype=torch.int64, device=row.device)
        ends = torch.stack([self._parts[vertex], self._labels_of[triangle]])
        parts[row, place] = ends.amin(0) * self._n_parts + ends.amax(0)
        used = torch.zeros(triangles.shape, dtype=torch.bool, device=row.device)
        used[row, vertex] = True
        used[row[:, None], self.faces[triangle]] = True
        lists = VertexLists(n_rows, len(self._rest), self.device)
        lists.set(torch.arange(n_rows, device=row.device), used)
        return Contacts(PairLists(pairs, counts.int(), lists), weights, parts), touching

    def _search_contacts(self, vertices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Triangle (-1: none), height over it and weight [B, V] of each vertex of as many meshes as a tree holds."""
        size, wrap = vertices.shape[:2], self._warp.from_torch
        triangles = torch.full(size, -1, dtype=torch.int32, device=self.device)
        heights, weights = (torch.zeros(size, device=self.device) for _ in range(2))
        near: tuple[Any, Any] = self._near, self._n_near
        with torch_stream(self._warp, self.device):
            points = self._points(vertices)
            self._bound(points, 0.0)
            self._tree.refit()
            self._launch(
                self._contact_kernels.list_neighbours,
                (len(vertices), self._n_parts),
                [*self._part_boxes, self._colliding, self._n_parts, self._limits.outside, *near],
            )
            self._launch(
                self._contact_kernels.find_contacts,
                (len(vertices), len(self._rest)),
                [
                    self._tree.id, points, self._faces, *self._around, self._vertex_parts, self._may_touch,
                    self._reaches, self._limits, *self._part_boxes, *near,
                    wrap(triangles), wrap(heights), wrap(weights),
                ],
            )  # fmt: skip
        return triangles, heights, weights
