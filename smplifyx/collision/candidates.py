"""Pairs of triangles that may collide soon: found by a search now and then, tested at each evaluation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from smplifyx.collision.search import TrianglePairs, TriangleSearch
from smplifyx.collision.skinning import BoneStates, DisplacementBound, SparseSkinning, VertexLists


@dataclass
class SearchCounts:
    """What was done so far: ``evaluations`` of a body, and ``searches`` of a body that they took."""

    evaluations: int = 0
    searches: int = 0


@dataclass(frozen=True)
class Hits:
    """Pairs of triangles that intersect.

    Attributes:
        rows: [N] places in the batch asked for.
        vertices: [N, 2, 3] their corners' numbers.
        corners: [N, 2, 3, 3] metres from the first joint.
    """

    rows: Tensor
    vertices: Tensor
    corners: Tensor


class CandidateCache:
    """The candidate pairs of R rows; a row's are searched anew when its body may have moved by the margin.

    Args:
        skinning: of the full body.
        bound: on the movement of its vertices.
        search: of its triangles.
        n_rows: R.
        margin: metres by which boxes are inflated; 0 searches at each evaluation. A row with more candidates than
            the search returns is searched at each evaluation too, without a margin, until it has fewer. None keeps
            the pairs that intersect alone.
    """

    def __init__(
        self,
        skinning: SparseSkinning,
        bound: DisplacementBound,
        search: TriangleSearch,
        n_rows: int,
        margin: float | None,
    ) -> None:
        device = search.device
        self._skinning, self._bound, self._search, self._margin = skinning, bound, search, margin
        self._pairs = torch.zeros(n_rows, search.max_pairs, 2, dtype=torch.int32, device=device)
        self._n_pairs = torch.zeros(n_rows, dtype=torch.int32, device=device)
        self._reference: BoneStates | None = None
        self._is_searched = torch.zeros(n_rows, dtype=torch.bool, device=device)
        #: The vertices of the candidates.
        self.lists = VertexLists.empty(n_rows, skinning.n_vertices, device)
        #: [R] rows that once had too many candidates even without a margin, so that some were left out.
        self.truncated = torch.zeros(n_rows, dtype=torch.bool, device=device)
        self.counts = SearchCounts()

    @torch.no_grad()
    def intersecting(self, state: BoneStates, slots: Tensor) -> Hits:
        """The pairs that intersect, of bodies that own the rows ``slots`` [B] of this store."""
        stale = slots if self._margin == 0 else slots[self._is_stale(state, slots)]
        self.counts.evaluations += len(slots)
        self.counts.searches += len(stale)
        if len(stale):
            self._refresh(state.index(torch.isin(slots, stale)), stale)
        self._skinning.skin(state, self.lists, slots)
        return self._hits(slots)

    def _is_stale(self, state: BoneStates, slots: Tensor) -> Tensor:
        if self._reference is None:
            return torch.ones_like(slots, dtype=torch.bool)
        moved = self._bound(self._reference.index(slots), state)
        return ~(moved <= (self._margin or 0.0)) | ~self._is_searched[slots]

    def _refresh(self, state: BoneStates, slots: Tensor) -> None:
        """Searches the bodies anew and remembers how they stood."""
        if self._reference is None:
            self._reference = state.zeros(len(self._is_searched))
        self._reference.store(slots, state)
        self.lists.list_all(slots)
        self._skinning.skin(state, self.lists, slots)
        found = self._search(self.lists.posed[slots], self._margin)
        self._is_searched[slots] = ~found.truncated
        self._keep(slots[~found.truncated], found.of(~found.truncated))
        if found.truncated.any():
            crowded = slots[found.truncated]
            touching = self._search(self.lists.posed[crowded], 0.0)
            self.truncated[crowded] |= touching.truncated
            self._keep(crowded, touching)

    def _keep(self, slots: Tensor, found: TrianglePairs) -> None:
        """Makes the pairs that were found the candidates of some rows."""
        counts = torch.bincount(found.rows, minlength=len(slots))
        place = torch.arange(len(found.rows), device=slots.device) - (counts.cumsum(0) - counts)[found.rows]
        self._pairs[slots[found.rows], place] = found.triangles.int()
        self._n_pairs[slots] = counts.int()
        used = torch.zeros(len(slots), self._skinning.n_vertices, dtype=torch.bool, device=slots.device)
        used[found.rows[:, None, None], self._search.faces[found.triangles]] = True
        self.lists.set(slots, used)

    def _hits(self, slots: Tensor) -> Hits:
        rows, triangles = self._skinning.intersecting(self._pairs, self._n_pairs, self.lists, slots)
        vertices = self._search.faces[triangles]
        return Hits(rows, vertices, self.lists.posed[slots[rows][:, None, None], vertices])


class FixedContactSet(CandidateCache):
    """The pairs of R rows that intersect where a row is asked for first; they count from then on, apart or not.

    So the energy of a minimisation has no steps, see :mod:`~smplifyx.collision.penalty`.

    Args:
        skinning: of the full body.
        bound: on the movement of its vertices.
        search: of its triangles.
        n_rows: R.
    """

    def __init__(
        self, skinning: SparseSkinning, bound: DisplacementBound, search: TriangleSearch, n_rows: int
    ) -> None:
        super().__init__(skinning, bound, search, n_rows, None)

    def _is_stale(self, state: BoneStates, slots: Tensor) -> Tensor:
        return ~self._is_searched[slots]

    def _hits(self, slots: Tensor) -> Hits:
        counts = self._n_pairs[slots]
        held = torch.arange(int(counts.max()), device=slots.device) < counts[:, None]
        rows, place = held.nonzero(as_tuple=True)
        vertices = self._search.faces[self._pairs[slots[rows], place].long()]
        return Hits(rows, vertices, self.lists.posed[slots[rows][:, None, None], vertices])
