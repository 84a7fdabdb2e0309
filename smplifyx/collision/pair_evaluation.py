"""Energies of the pairs of some bodies and their gradients for what moves the bodies, asked for again and again."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from smplifyx.collision.skinning import BoneStates, ConeOptions, PairLists, SparseSkinning, cone_struct, rotated


class PairEvaluation:
    """Evaluate pairs of triangles of B bodies; Warp's launches are recorded once.

    Args:
        skinning: of the full body.
        found: pairs of R rows.
        slots: [B] the rows that the bodies own.
        cones: shape of the distance field.
        like: B bodies, for the sizes.
    """

    def __init__(
        self, skinning: SparseSkinning, found: PairLists, slots: Tensor, cones: ConeOptions, like: BoneStates
    ) -> None:
        n_rows, device, wrap = len(slots), slots.device, skinning.wrap
        n_coefficients, n_joints, n_lanes = like.coefficients.shape[1], like.positions.shape[1], skinning.n_lanes
        self._skinning, self._cones, lists = skinning, cone_struct(skinning.kernels, cones), found.lists
        self._coefficients = torch.zeros(n_rows, n_coefficients, device=device)
        self._transforms = torch.zeros(n_rows, n_joints, 3, 4, device=device)
        self._energies = torch.zeros(n_rows, dtype=torch.float64, device=device)
        self._to_coefficients = torch.zeros(n_rows, n_lanes, n_coefficients, device=device)
        self._to_transforms = torch.zeros(n_rows, n_lanes, n_joints, 3, 4, device=device)
        rows, vec3, kernels = wrap(slots.int()), skinning.vec3, skinning.kernels
        body = (*skinning.components, *skinning.bones)
        listed = wrap(lists.vertices), wrap(lists.n_vertices)
        shaped, posed, to_posed = (wrap(one, vec3) for one in (lists.shaped, lists.posed, lists.to_posed))
        transforms = wrap(self._transforms.flatten(2))
        self._skin = skinning.record(
            kernels.skin,
            (n_rows, lists.most_of(slots)),
            *(rows, *listed, skinning.template, *body, wrap(self._coefficients), transforms, shaped, posed),
        )
        self._add_vertices = skinning.record(
            kernels.add_vertices,
            (n_rows, n_lanes),
            *(rows, *listed, n_lanes, *body, transforms, shaped, to_posed),
            *(wrap(self._to_coefficients), wrap(self._to_transforms.flatten(3))),
        )
        self._pairs = rows, wrap(found.pairs, skinning.vec2i), wrap(found.n_pairs)
        self._surface = skinning.triangles, posed, self._cones, to_posed, wrap(self._energies)
        self._add_all_pairs = self._adding(None)

    def _adding(self, meets: Tensor | None) -> Callable[[], None]:
        """A launch that adds the pairs that are marked in ``meets``, or all."""
        marks = self._energies.new_zeros(1, 1, dtype=torch.uint8) if meets is None else meets
        skinning, chosen = self._skinning, (self._skinning.wrap(marks), int(meets is None))
        n_rows = len(self._energies)
        return skinning.record(skinning.kernels.add_pairs, (n_rows,), *self._pairs, *chosen, *self._surface)

    def __call__(self, state: BoneStates, meets: Tensor | None = None) -> tuple[Tensor, BoneStates]:
        """Energies [B] and their gradients for all parts of the state, which the next call may overwrite.

        Args:
            state: the B bodies.
            meets: [B, P] uint8, the pairs that count; None for all. With it, vertices must be posed already.
        """
        self._coefficients.copy_(state.coefficients)
        self._transforms[..., :3] = state.rotations
        self._transforms[..., 3] = state.positions - rotated(state.rotations, state.rest_joints)
        self._to_coefficients.zero_()
        self._to_transforms.zero_()
        if meets is None:
            self._skin()
            self._add_all_pairs()
        else:
            self._adding(meets)()
        self._add_vertices()
        to_coefficients, to_transforms = self._to_coefficients.sum(1), self._to_transforms.sum(1)
        # A bone's transform is its rotation and ``position - rotation rest_joint``.
        to_offsets = to_transforms[..., 3].to(state.rotations)
        gradient = BoneStates(
            to_coefficients.to(state.coefficients),
            to_transforms[..., :3].to(state.rotations) - to_offsets[..., None] * state.rest_joints[..., None, :],
            to_offsets,
            -rotated(state.rotations.transpose(2, 3), to_offsets),
        )
        return self._energies.to(state.coefficients.dtype), gradient
