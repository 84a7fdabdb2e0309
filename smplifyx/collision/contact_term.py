"""The energy of contacts: an own, continuous stand-in for the paper's penalty of colliding triangles.

The paper's energy has a step wherever a triangle begins to intersect another, so that the last digit of a keypoint
decides how parts come apart. Here each vertex pays for its depth below the closest surface that faces it, from
nothing at the clearance on: a small change of the body changes the energy and its gradient little.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

import torch
from torch import Tensor

from smplifyx.collision.body_evaluation import BodyEvaluation, Evaluation, body_energy, to_states
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
        self._kernels = importlib.import_module("smplifyx.collision.contact_kernels")
        self._shape = self._kernels.Shape()
        for name in ("clearance", "soft", "stiffness"):
            setattr(self._shape, name, getattr(shape, name))
        self._latest: tuple[Tensor, Evaluation] | None = None

    def __call__(self, state: BoneStates, rows: Tensor) -> Tensor:
        """Energies [B] of bodies that own the rows [B] of the contacts; no row twice."""
        if self._latest is None or self._latest[0] is not rows:
            self._latest = rows, self.evaluation(rows)
        return body_energy(self._latest[1], state)

    def evaluation(self, rows: Tensor) -> Evaluation:
        """Energies [B] of bodies that own the rows [B], and their gradients, which the next call may overwrite."""
        parts: tuple[BodyEvaluation, Callable[[], None]] | None = None

        def evaluate(state: BoneStates) -> tuple[Tensor, BoneStates]:
            nonlocal parts
            if parts is None:
                parts = self._prepared(state, rows)
            body, add = parts
            return body.evaluated(state, add)

        return evaluate

    def _prepared(self, state: BoneStates, rows: Tensor) -> tuple[BodyEvaluation, Callable[[], None]]:
        skinning = self._skinning
        body = BodyEvaluation(skinning, self._contacts.found, rows, state)
        surface = skinning.wrap(self._contacts.weights), self._shape, skinning.triangles, body.posed
        inputs = *body.pairs, *surface, *body.gradients
        return body, skinning.record(self._kernels.add_contacts, (len(rows),), *inputs)

    def directions(self, state: BoneStates, rows: Tensor) -> tuple[Tensor, Tensor, BoneStates]:
        """Gradients whose products with themselves add up to about the Hessian of the energy.

        One for each group of contacts, of which all are taken to have the same direction: exact for one contact.

        Args:
            state: bodies [B].
            rows: [B] the rows that they own.

        Returns:
            The body [N], 0 to B - 1, and the number [N], below :data:`N_GROUPS`, of each gradient, and the N
            gradients.
        """
        skinning, contacts, wrap = self._skinning, self._contacts, self._skinning.wrap
        lists, vec3 = contacts.found.lists, skinning.vec3
        skinning.skin(state, lists, rows)
        size = len(rows), N_GROUPS
        to_coefficients = torch.zeros(*size, state.coefficients.shape[1], device=rows.device)
        to_transforms = torch.zeros(*size, state.positions.shape[1], 3, 4, device=rows.device)
        curvatures = torch.zeros(*size, device=rows.device)
        skinning.launch(
            self._kernels.add_directions,
            size,
            *(wrap(rows.int()), wrap(contacts.found.pairs, skinning.vec2i), wrap(contacts.found.n_pairs)),
            *(wrap(contacts.weights), wrap(contacts.groups), self._shape, skinning.triangles),
            *(*skinning.components, *skinning.bones, wrap(state.transforms.float().flatten(2))),
            *(wrap(lists.shaped, vec3), wrap(lists.posed, vec3)),
            *(wrap(to_coefficients), wrap(to_transforms.flatten(3)), wrap(curvatures)),
        )
        body, number = curvatures.nonzero(as_tuple=True)
        scale = curvatures[body, number].rsqrt()
        gradients = to_states(
            to_coefficients[body, number] * scale[:, None],
            to_transforms[body, number] * scale[:, None, None, None],
            state.index(body),
        )
        return body, number, gradients
