"""Self-collision of one body model: search, term and measurement, built when first used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from smplifyx.body.data import BodyModelData
from smplifyx.body.model import BodyModel
from smplifyx.collision.candidates import CandidateCache
from smplifyx.collision.contact_term import ContactTerm
from smplifyx.collision.contacts import Contacts, ContactSearch, ContactShape
from smplifyx.collision.displacement import DisplacementBound
from smplifyx.collision.parts import (
    PairFilter,
    body_parts,
    ignored_parts,
    load_part_segmentation,
    pair_filter,
    with_free_end,
)
from smplifyx.collision.penalty import CollisionTerm
from smplifyx.collision.penetration import Penetration, PenetrationMeter
from smplifyx.collision.search import TrianglePairs, TriangleSearch, rest_pairs
from smplifyx.collision.skinning import ConeOptions, SparseSkinning, bone_states
from smplifyx.config import CollisionConfig
from smplifyx.optim import padded_rows

#: Full meshes at the same time: on the CPU more would fill the memory, not save time; a GPU wants many.
_ROWS_AT_ONCE, _GPU_ROWS_AT_ONCE = 16, 256
#: Distance that a vertex may move before candidates are searched again, metres.
_MARGIN = 0.002
#: Largest number of candidate pairs per row; bounds the memory.
_MAX_PAIRS = 32768
#: Stiffness of contacts in the first round, as a share of that in the last.
_SOFTEST = 0.1
#: Distance at which parts that were pulled out of each other still have contacts, so that they do not slip back.
_FAR = 0.03
#: Joints at both ends of the upper arms.
_UPPER_ARMS = (("left_shoulder", "left_elbow"), ("right_shoulder", "right_elbow"))


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
        """The triangles that may collide; without the pairs that intersect in the rest pose."""
        chosen = self._first_filter
        at_rest = rest_pairs(self._first_search, self._data.v_template)
        return PairFilter(chosen.labels, chosen.colliding_parts, np.concatenate([chosen.ignored_pairs, at_rest]))

    @cached_property
    def _first_filter(self) -> PairFilter:
        """The triangles that may collide, but for those that only the rest pose tells."""
        data, path = self._data, self._config.part_segmentation
        parts = body_parts(data) if path is None else load_part_segmentation(path, len(data.faces))
        known = np.zeros((0, 2), np.int64) if data.rest_contact_pairs is None else data.rest_contact_pairs
        ignored = ignored_parts(self._config.ignored_parts, data.skeleton.joint_names)
        return self._with_free_arms(pair_filter(parts, data.faces, ignored, known), ignored)

    @cached_property
    def _first_search(self) -> TriangleSearch:
        data = self._data
        return TriangleSearch(data.v_template, data.faces, self._first_filter, _MAX_PAIRS, self._device)

    def _with_free_arms(self, chosen: PairFilter, ignored: Sequence[tuple[int, int]]) -> PairFilter:
        """The same filter, but only the share of the upper arms next to the shoulders may overlap ignored parts."""
        data, names = self._data, list(self._data.skeleton.joint_names)
        joints = self._model.joint_template.cpu().double().numpy().reshape(-1, 3)
        centres = np.asarray(data.v_template, np.float64)[data.faces].mean(1)
        for shoulder, elbow in _UPPER_ARMS:
            if shoulder not in names:
                continue
            part, start = names.index(shoulder), joints[names.index(shoulder)]
            bone = joints[names.index(elbow)] - start
            others = [one + other - part for one, other in ignored if part in (one, other)]
            if others:
                along = (centres - start) @ bone / (bone @ bone)
                chosen = with_free_end(chosen, part, along > self._config.ignored_share, others)
        return chosen

    @cached_property
    def search(self) -> ContactSearch:
        """Search of the body's triangles."""
        data, clusters = self._data, self._first_search.clusters
        return ContactSearch(data.v_template, data.faces, self.pair_filter, _MAX_PAIRS, self._device, clusters)

    @cached_property
    def _far_search(self) -> ContactSearch:
        data, clusters = self._data, self._first_search.clusters
        return ContactSearch(
            data.v_template, data.faces, self.pair_filter, _MAX_PAIRS, self._device, clusters, further=_FAR
        )

    @cached_property
    def _skinning(self) -> SparseSkinning:
        return SparseSkinning(self._model, self._data.faces, self._device)

    @cached_property
    def _bound(self) -> DisplacementBound:
        return DisplacementBound(self._model)

    @property
    def stiffnesses(self) -> list[float]:
        """Stiffness of the contacts in each round, as a share of that in the last; empty for the paper's penalty."""
        rounds = self._config.rounds
        return [_SOFTEST ** (1 - k / max(rounds - 1, 1)) for k in range(rounds - 1)] + [1.0] * (rounds > 0)

    def contact_term(self, contacts: Contacts, stiffness: float) -> ContactTerm:
        """The energy of contacts, with a share of its stiffness."""
        shape = ContactShape()
        return ContactTerm(self._skinning, contacts, replace(shape, stiffness=stiffness * shape.stiffness))

    def pair_term(self, n_rows: int) -> CollisionTerm:
        """The paper's penalty of the pairs that intersect at each evaluation."""
        candidates = CandidateCache(self._skinning, self._bound, self.search, n_rows, _MARGIN)
        return CollisionTerm(self._skinning, candidates, ConeOptions(self._config.cone_height))

    def contacts(
        self, betas: Tensor, expression: Tensor, rotations: Tensor, far: bool = False
    ) -> tuple[Contacts, Tensor]:
        """Contacts of those bodies that touch themselves, and which [B] they are; given by the model's inputs.

        Args:
            betas, expression, rotations: of the bodies.
            far: whether parts count that are up to 3 cm apart.
        """
        search = self._far_search if far else self.search
        return search.contacts(vertices for _, vertices in self._posed(betas, expression, rotations))

    def find(self, betas: Tensor, expression: Tensor, rotations: Tensor) -> TrianglePairs:
        """Pairs of triangles that intersect, of bodies [B] given by the model's inputs."""
        found = []
        for start, vertices in self._posed(betas, expression, rotations):
            pairs = self.search(vertices)
            found.append(replace(pairs, rows=pairs.rows + start))
        if not found:
            none = torch.zeros(0, dtype=torch.int64, device=self._device)
            return TrianglePairs(none, none.reshape(0, 2), none.bool())
        return TrianglePairs(
            *(torch.cat([getattr(part, field.name) for part in found]) for field in fields(TrianglePairs))
        )

    def vertices(self, betas: Tensor, expression: Tensor, rotations: Tensor) -> np.ndarray:
        """Vertices [B, V, 3] about the first joint of bodies given by the model's inputs, metres."""
        return np.concatenate([body.cpu().numpy() for _, body in self._posed(betas, expression, rotations)])

    def measure(self, betas: Tensor, expression: Tensor, rotations: Tensor) -> list[Penetration]:
        """Self-penetration of each of the bodies [B], given by the model's inputs."""
        measured = []
        for _, vertices in self._posed(betas, expression, rotations):
            pairs = self.search(vertices)
            rows, triangles = pairs.rows.cpu().numpy(), pairs.triangles.cpu().numpy()
            bodies = vertices.cpu().numpy()
            measured += [self._measure(body, triangles[rows == row]) for row, body in enumerate(bodies)]
        return measured

    def _measure(self, vertices: np.ndarray, pairs: np.ndarray) -> Penetration:
        if not len(pairs):
            return Penetration(0, 0.0, np.zeros(len(vertices)), [])
        return self.meter.measure(vertices, pairs)

    @torch.no_grad()
    def _posed(self, betas: Tensor, expression: Tensor, rotations: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Chunks of the bodies: number of the first, vertices [C, V, 3] about the first joint."""
        if not len(betas):
            return
        rows = padded_rows(len(betas), self._device)
        inputs = betas[rows], expression[rows], rotations[rows]
        state = bone_states(self._joints, *inputs, self._joints(*inputs))
        at_once = _ROWS_AT_ONCE if self._device.type == "cpu" else _GPU_ROWS_AT_ONCE
        for chunk in torch.arange(len(betas), device=self._device).split(at_once):
            yield int(chunk[0]), self._skinning.pose(state.index(chunk))

    @cached_property
    def _joints(self) -> BodyModel:
        """The body without vertices."""
        return self._model.restrict(torch.zeros(0, dtype=torch.int64, device=self._device))

    @cached_property
    def meter(self) -> PenetrationMeter:
        """Meter of single bodies."""
        data, chosen = self._data, self.pair_filter
        return PenetrationMeter(data.v_template, data.faces, chosen.labels, chosen.related_parts)
