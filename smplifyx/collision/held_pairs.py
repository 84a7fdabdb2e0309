"""Pairs of triangles that collide at the start of a minimisation and count until its end."""

from __future__ import annotations

import torch
from torch import Tensor

from smplifyx.collision.candidates import Hits, KeptCandidates
from smplifyx.collision.search import TriangleSearch
from smplifyx.collision.skinning import SparseSkinning
from smplifyx.collision.sparse_body import BoneStates, MovementBound


class HeldPairs(KeptCandidates):
    """The pairs of R rows that intersect where a row is asked for first; they count from then on, apart or not.

    So the energy of a minimisation has no steps, see :mod:`~smplifyx.collision.distance_field`.

    Args:
        skinning: of the full body.
        bound: on the movement of its vertices.
        search: of its triangles.
        n_rows: R.
    """

    def __init__(self, skinning: SparseSkinning, bound: MovementBound, search: TriangleSearch, n_rows: int) -> None:
        super().__init__(skinning, bound, search, n_rows, None)

    def _is_stale(self, state: BoneStates, slots: Tensor) -> Tensor:
        return ~self._is_searched[slots]

    def _hits(self, slots: Tensor) -> Hits:
        counts = self._n_pairs[slots]
        held = torch.arange(int(counts.max()), device=slots.device) < counts[:, None]
        rows, place = held.nonzero(as_tuple=True)
        vertices = self._search.faces[self._pairs[slots[rows], place].long()]
        return Hits(rows, vertices, self.lists.posed[slots[rows][:, None, None], vertices])
