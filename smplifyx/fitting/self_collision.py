"""Self-collision of one body model: the parts that a fit needs, made when the first one asks."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch

from smplifyx.body.data import BodyModelData
from smplifyx.body.model import BodyModel
from smplifyx.collision.candidates import CandidateCache, FixedContactSet
from smplifyx.collision.parts import PairFilter, body_parts, ignored_parts, load_part_segmentation, pair_filter
from smplifyx.collision.penalty import CollisionTerm, ConeOptions, cone_energy
from smplifyx.collision.penetration import Penetration, PenetrationMeter
from smplifyx.collision.search import TrianglePairs, TriangleSearch, rest_pairs
from smplifyx.collision.skinning import DisplacementBound, SparseSkinning
from smplifyx.collision.winding import FastWinding
from smplifyx.config import CollisionConfig
from smplifyx.fitting.parameters import PosedParameters

#: Full meshes at the same time; more would fill the memory, not save time.
_ROWS_AT_ONCE = 16
#: Distance that a vertex may move before candidates are searched again, metres.
_MARGIN = 0.002
#: Largest number of candidate pairs per row; bounds the memory.
_MAX_PAIRS = 32768


class SelfCollision:
    """Search and term of one body model.

    Args:
        data: the body model's arrays.
        model: the full body.
        config: the term's settings.
    """

    def __init__(self, data: BodyModelData, model: BodyModel, config: CollisionConfig) -> None:
        self._data, self._model, self._config = data, model, config
        self._device = model.template.device

    @cached_property
    def pair_filter(self) -> PairFilter:
        """Which triangles may collide; pairs that do in the rest pose are left out."""
        data, path = self._data, self._config.part_segmentation
        parts = body_parts(data) if path is None else load_part_segmentation(path, len(data.faces))
        known = np.zeros((0, 2), np.int64) if data.rest_contact_pairs is None else data.rest_contact_pairs
        chosen = pair_filter(
            parts, data.faces, ignored_parts(self._config.ignored_parts, data.skeleton.joint_names), known
        )
        at_rest = rest_pairs(self._make_search(chosen), data.v_template)
        return PairFilter(chosen.labels, chosen.colliding_parts, np.concatenate([known, at_rest]))

    @cached_property
    def search(self) -> TriangleSearch:
        """Search of the body's triangles."""
        return self._make_search(self.pair_filter)

    @cached_property
    def _skinning(self) -> SparseSkinning:
        return SparseSkinning(self._model, self._data.faces, self._device)

    @cached_property
    def _bound(self) -> DisplacementBound:
        return DisplacementBound(self._model)

    def term(self, n_rows: int, held: bool = False) -> CollisionTerm:
        """The term for so many rows; with ``held``, of the pairs that collide at its first evaluation."""
        config = self._config
        height = config.round_cone_height if held else config.cone_height
        cones = ConeOptions(height)
        if held:
            pairs = FixedContactSet(self._skinning, self._bound, self.search, n_rows)
            return CollisionTerm(self._skinning, pairs, cones, cone_energy)
        candidates = CandidateCache(self._skinning, self._bound, self.search, n_rows, _MARGIN)
        return CollisionTerm(self._skinning, candidates, cones)

    @torch.no_grad()
    def find(self, posed: PosedParameters) -> TrianglePairs:
        """Pairs of triangles that intersect, of bodies given by the model's inputs."""
        inputs = (posed.betas, posed.expression, posed.rotations)
        found = [
            self.search(self._model(*chunk).vertices)
            for chunk in zip(*(tensor.split(_ROWS_AT_ONCE) for tensor in inputs), strict=True)
        ]
        starts = range(0, len(posed.betas), _ROWS_AT_ONCE)
        return TrianglePairs(
            torch.cat([pairs.rows + start for pairs, start in zip(found, starts, strict=True)]),
            torch.cat([pairs.triangles for pairs in found]),
            torch.cat([pairs.truncated for pairs in found]),
        )

    @torch.no_grad()
    def measure(self, posed: PosedParameters) -> list[Penetration]:
        """How far each of the bodies passes through itself."""
        found = self.find(posed)
        rows, triangles = found.rows.cpu().numpy(), found.triangles.cpu().numpy()
        return [self._measure(posed, row, triangles[rows == row]) for row in range(len(posed.betas))]

    def _measure(self, posed: PosedParameters, row: int, pairs: np.ndarray) -> Penetration:
        if not len(pairs):
            return Penetration(0, 0.0, np.zeros(self._data.n_vertices), [])
        one = slice(row, row + 1)
        vertices = self._model(posed.betas[one], posed.expression[one], posed.rotations[one]).vertices
        return self._meter.measure(vertices[0].double().cpu().numpy(), pairs)

    @cached_property
    def _meter(self) -> PenetrationMeter:
        chosen, faces = self.pair_filter, self._data.faces
        return PenetrationMeter(faces, chosen.labels, chosen.related_parts, FastWinding(faces))

    def _make_search(self, chosen: PairFilter) -> TriangleSearch:
        return TriangleSearch(self._data.v_template, self._data.faces, chosen, _MAX_PAIRS, self._device)
