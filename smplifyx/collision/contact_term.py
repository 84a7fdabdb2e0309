"""The energy of contacts: an own, continuous stand-in for the paper's penalty of colliding triangles.

The paper's energy has a step wherever a triangle begins to intersect another, so that the last digit of a keypoint
decides how parts come apart. Here each vertex pays for its depth below the closest surface that faces it, from
nothing at the clearance on: a small change of the body changes the energy and its gradient little.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from smplifyx.collision.body_evaluation import BodyEvaluation, Evaluation, body_energy
from smplifyx.collision.contacts import N_GROUPS, Contacts, ContactShape
from smplifyx.collision.skinning import BoneStates, SparseSkinning


class ContactTerm:
    """Energy of contacts that are kept while the body moves, differentiable in what moves it.

    Args:
        skinning: of the full body.
        contacts: of R rows.
        shape: of the energy.
    """

    def __init__(self, skinning: SparseSkinning, contacts: Contacts, shape: ContactShape) -> None:
        self._skinning, self._contacts = skinning, contacts
        self._kernels, self._shape = importlib.import_module("smplifyx.collision.contact_kernels"), shape
        self._latest: tuple[Tensor, Evaluation] | None = None

    def __call__(self, state: BoneStates, rows: Tensor) -> Tensor:
        """Energies [B] of bodies that own the rows [B] of the contacts; no row twice."""
        if self._latest is None or self._latest[0] is not rows:
            self._latest = rows, self.evaluation(rows)
        return body_energy(self._latest[1], state)

    def evaluation(self, rows: Tensor, weight: float = 1.0) -> Evaluation:
        """Energies [B] of bodies that own the rows [B], and their gradients, which the next call may overwrite."""
        parts: tuple[BodyEvaluation, Callable[[], None]] | None = None

        def evaluate(state: BoneStates) -> tuple[Tensor, BoneStates]:
            nonlocal parts
            if parts is None:
                parts = self._prepared(state, rows, weight)
            body, add = parts
            return body.evaluated(state, add)

        return evaluate

    def _prepared(self, state: BoneStates, rows: Tensor, weight: float) -> tuple[BodyEvaluation, Callable[[], None]]:
        skinning = self._skinning
        body = BodyEvaluation(skinning, self._contacts.found.lists, rows, state)
        inputs = *self._arrays, self._weighted(weight), body.posed, *body.gradients
        return body, skinning.record(self._kernels.add_contacts, (len(rows),), body.rows, *inputs)

    def _weighted(self, weight: float) -> Any:
        """The shape of the energy, times a weight, as the kernels take it."""
        shape = self._kernels.Shape()
        shape.clearance, shape.soft = self._shape.clearance, self._shape.soft
        shape.stiffness = weight * self._shape.stiffness
        return shape

    @cached_property
    def _arrays(self) -> tuple[Any, Any, Any]:
        """The contacts as the kernels take them."""
        wrap, contacts = self._skinning.wrap, self._contacts
        points = wrap(contacts.points, self._skinning.vec4i)
        return points, wrap(contacts.found.n_pairs), wrap(contacts.weights)

    def directions(self, state: BoneStates, rows: Tensor, weight: float = 1.0) -> Tensor:
        """Gradients whose products with themselves add up to about the Hessian of the energy.

        One for each group of contacts, of which all are taken to have the same direction: exact for one contact.

        Args:
            state: bodies [B].
            rows: [B] the rows that they own.
            weight: of the energy.

        Returns:
            [B, N_GROUPS, 9 J + C] gradients for turns of the bones in the world, their positions, the joints at rest,
            and shape and expression. Pose correctives are left out.
        """
        skinning, lists, wrap = self._skinning, self._contacts.found.lists, self._skinning.wrap
        n_joints, n_shape = state.positions.shape[1], skinning.n_shape
        state = state.single()
        skinning.skin(state, lists, rows)
        size = len(rows), N_GROUPS
        directions = torch.zeros(*size, 9 * n_joints + n_shape, device=rows.device)
        parts = directions.split([3 * n_joints] * 3 + [n_shape], dim=2)
        _, rotations, _, rest_joints = skinning.bone_arrays(state)
        skinning.launch(
            self._kernels.add_directions,
            size,
            *(wrap(rows.int()), wrap(lists.vertices), *self._arrays, self._groups, self._weighted(weight)),
            *(skinning.body, rotations, rest_joints, *skinning.positions(lists)),
            *(wrap(part.unflatten(2, (n_joints, 3)), skinning.vec3) for part in parts[:3]),
            wrap(parts[3]),
        )
        return directions

    @cached_property
    def _groups(self) -> Any:
        return self._skinning.wrap(self._contacts.groups)
