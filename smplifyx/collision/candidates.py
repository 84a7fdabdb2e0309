"""Pairs of triangles whose energy counts: candidates of a cached search."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from smplifyx.collision.displacement import DisplacementBound
from smplifyx.collision.search import TrianglePairs, TriangleSearch
from smplifyx.collision.skinning import BoneStates, PairLists, SparseSkinning, VertexLists


def empty_pair_lists(n_rows: int, max_pairs: int, n_vertices: int, device: torch.device) -> PairLists:
    """Lists without pairs for ``n_rows`` rows, with room for ``max_pairs`` each."""
    return PairLists(
        torch.zeros(n_rows, max_pairs, 2, dtype=torch.int32, device=device),
        torch.zeros(n_rows, dtype=torch.int32, device=device),
        VertexLists(n_rows, n_vertices, device),
    )


def store_pairs(lists: PairLists, slots: Tensor, found: TrianglePairs, faces: Tensor) -> None:
    """Replace the pairs of the rows ``slots`` by those found for them, in their order."""
    counts = torch.bincount(found.rows, minlength=len(slots))
    place = torch.arange(len(found.rows), device=slots.device) - (counts.cumsum(0) - counts)[found.rows]
    lists.pairs[slots[found.rows], place] = found.triangles.int()
    lists.n_pairs[slots] = counts.int()
    used = torch.zeros(len(slots), lists.lists.posed.shape[1], dtype=torch.bool, device=slots.device)
    used[found.rows[:, None, None], faces[found.triangles]] = True
    lists.lists.set(slots, used)


@dataclass
class SearchCounts:
    """Numbers of ``evaluations`` of a body, and of ``searches`` of a body that they took."""

    evaluations: int = 0
    searches: int = 0


class CandidateCache:
    """Candidate pairs of R rows; a row is searched anew when its body may have moved by the margin.

    The pairs that count are those that intersect, as if each evaluation searched anew: what a row gives depends on
    the pose asked for alone, not on the calls before.

    Args:
        skinning: of the full body.
        bound: on the displacement of its vertices.
        search: of its triangles.
        n_rows: R.
        margin: metres by which boxes are inflated; 0 searches at each evaluation. A row with more candidates than
            the search returns is searched at each evaluation too, for what intersects, until it has fewer.
    """

    def __init__(
        self,
        skinning: SparseSkinning,
        bound: DisplacementBound,
        search: TriangleSearch,
        n_rows: int,
        margin: float,
    ) -> None:
        device = search.device
        self._skinning, self._bound, self._search, self._margin = skinning, bound, search, margin
        self._reference: BoneStates | None = None
        self._is_searched = torch.zeros(n_rows, dtype=torch.bool, device=device)
        #: The candidates, their vertices posed by :meth:`pose`.
        self.lists = empty_pair_lists(n_rows, search.max_pairs, skinning.n_vertices, device)
        #: [R] rows that once had more pairs that intersect than the search returns, so that some were left out.
        self.truncated = torch.zeros(n_rows, dtype=torch.bool, device=device)
        self.counts = SearchCounts()

    @torch.no_grad()
    def pose(self, state: BoneStates, slots: Tensor) -> Tensor:
        """Pose the candidates' vertices of bodies [B] that own the rows ``slots`` [B]; search where that is due.

        Returns:
            [B, P] uint8, which of the candidates intersect.
        """
        stale = slots if self._margin == 0 else slots[self._is_stale(state, slots)]
        self.counts.evaluations += len(slots)
        self.counts.searches += len(stale)
        if len(stale):
            self._refresh(state.index(torch.isin(slots, stale)), stale)
        self._skinning.skin(state, self.lists.lists, slots)
        return self._skinning.meeting(self.lists, slots)

    def intersecting(self, state: BoneStates, slots: Tensor) -> TrianglePairs:
        """The pairs that intersect, of bodies [B] that own the rows ``slots`` [B]."""
        rows, place = self.pose(state, slots).nonzero(as_tuple=True)
        return TrianglePairs(rows, self.lists.pairs[slots[rows], place].long(), self.truncated[slots])

    def _is_stale(self, state: BoneStates, slots: Tensor) -> Tensor:
        if self._reference is None:
            return torch.ones_like(slots, dtype=torch.bool)
        moved = self._bound(self._reference.index(slots), state)
        return ~(moved <= self._margin) | ~self._is_searched[slots]

    def _refresh(self, state: BoneStates, slots: Tensor) -> None:
        """Search the bodies anew and remember their state."""
        if self._reference is None:
            self._reference = state.zeros(len(self._is_searched))
        self._reference.store(slots, state)
        self.lists.lists.list_all(slots)
        self._skinning.skin(state, self.lists.lists, slots)
        posed = self.lists.lists.posed
        found = self._search(posed[slots], self._margin)
        self._is_searched[slots] = ~found.truncated
        self._store(slots[~found.truncated], found.of(~found.truncated))
        if found.truncated.any():
            crowded = slots[found.truncated]
            touching = self._search(posed[crowded])
            self.truncated[crowded] |= touching.truncated
            self._store(crowded, touching)

    def _store(self, slots: Tensor, found: TrianglePairs) -> None:
        store_pairs(self.lists, slots, found, self._search.faces)
