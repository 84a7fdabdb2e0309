"""The energy of contacts: an own, continuous stand-in for the paper's penalty of colliding triangles.

The paper's energy has a step wherever a triangle begins to intersect another, so that the last digit of a keypoint
decides how parts come apart. Here each vertex pays for its depth below the closest surface that faces it, from
nothing at the clearance on: a small change of the body changes the energy and its gradient little.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

from smplifyx.collision.body_evaluation import BodyEvaluation, Evaluation, body_energy
from smplifyx.collision.contacts import N_GROUPS, Contacts, ContactShape
from smplifyx.collision.skinning import BoneStates, SparseSkinning

#: Launches a kernel for the first bodies, given their number.
_Launch = Callable[[int], None]


class ContactTerm:
    """Energy of contacts that are kept while the body moves, differentiable in what moves it.

    Args:
        skinning: of the full body.
        contacts: of R rows.
        shape: of the energy.
    """

    def __init__(self, skinning: SparseSkinning, contacts: Contacts, shape: ContactShape) -> None:
        self._skinning, self._contacts, self._shape = skinning, contacts, shape
        self._kernels = importlib.import_module("smplifyx.collision.contact_kernels")
        self._recorded: dict[float, tuple[_Launch, _Launch]] = {}
        self._latest: tuple[Tensor, Evaluation] | None = None

    def __call__(self, state: BoneStates, rows: Tensor) -> Tensor:
        """Energies [B] of bodies that own the rows [B] of the contacts; no row twice."""
        if self._latest is None or self._latest[0] is not rows:
            self._latest = rows, self.evaluation(rows)
        return body_energy(self._latest[1], state)

    def evaluation(self, rows: Tensor, weight: float = 1.0) -> Evaluation:
        """Energies [B] of bodies that own the rows [B], and their gradients, which the next call may overwrite."""

        def evaluate(state: BoneStates) -> tuple[Tensor, BoneStates]:
            add_contacts, _ = self._launches(weight)
            self._body.set(state, rows)
            return self._body.evaluated(len(rows), add_contacts)

        return evaluate

    def directions(self, state: BoneStates, rows: Tensor, weight: float = 1.0) -> Tensor:
        """Gradients whose products with themselves add up to about the Hessian of the energy.

        One for each group of contacts, of which all are taken to have the same direction: exact for one contact.

        Args:
            state: bodies [B].
            rows: [B] the rows that they own.
            weight: of the energy.

        Returns:
            [B, N_GROUPS, 9 J + C] gradients for turns of the bones in the world, their positions, the joints at rest,
            and shape and expression, which the next call overwrites. Pose correctives are left out.
        """
        _, add_directions = self._launches(weight)
        self._body.set(state, rows)
        directions = self._directions[: len(rows)].zero_()
        add_directions(len(rows))
        return directions

    @cached_property
    def _body(self) -> BodyEvaluation:
        return BodyEvaluation(self._skinning, self._contacts.found.lists)

    @cached_property
    def _directions(self) -> Tensor:
        """[R, N_GROUPS, 9 J + C] of all rows."""
        (_, (n_joints, *_), *_), n_rows = self._skinning.state_sizes, len(self._contacts.weights)
        return torch.zeros(n_rows, N_GROUPS, 9 * n_joints + self._skinning.n_shape, device=self._skinning.device)

    def _launches(self, weight: float) -> tuple[_Launch, _Launch]:
        """Add energies and their gradients, and directions of curvature, all times a weight."""
        if weight not in self._recorded:
            skinning, contacts, wrap, body = self._skinning, self._contacts, self._skinning.wrap, self._body
            shape = self._kernels.Shape()
            shape.clearance, shape.soft = self._shape.clearance, self._shape.soft
            shape.stiffness = weight * self._shape.stiffness
            found = wrap(contacts.points, skinning.vec4i), wrap(contacts.found.n_pairs), wrap(contacts.weights)
            add_contacts = skinning.record(
                self._kernels.add_contacts,
                (len(contacts.weights),),
                *(body.rows, *found, shape, body.listed[1], *body.gradients),
            )
            n_joints = skinning.state_sizes[1][0]
            *vectors, to_shape = self._directions.split([3 * n_joints] * 3 + [skinning.n_shape], dim=2)
            add_directions = skinning.record(
                self._kernels.add_directions,
                (len(contacts.weights), N_GROUPS),
                *(body.rows, wrap(contacts.found.lists.vertices), *found, wrap(contacts.groups), shape),
                *(skinning.body, *body.bones, *body.listed),
                *(wrap(part.unflatten(2, (n_joints, 3)), skinning.vec3) for part in vectors),
                wrap(to_shape),
            )
            self._recorded[weight] = add_contacts, add_directions
        return self._recorded[weight]
