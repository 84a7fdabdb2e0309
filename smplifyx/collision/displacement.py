"""Bound on the displacements of a body's vertices."""

from __future__ import annotations

import torch
from torch import Tensor

from smplifyx.body.model import BodyModel
from smplifyx.collision.skinning import BoneStates, component_shapes


class DisplacementBound:
    """Bound on the movement of any vertex of a body, as the body's first joint sees it, without posing a vertex.

    A vertex is the weighted mean of what each of its bones makes of its place ``l`` about that bone's joint at rest:
    ``R l + p``. So it moves at most as far as the worst of its bones says. Let the bone go from (R, p) to (R', p')
    and l to l'. The bone then moves the vertex by ``(R' l + p') - (R l + p) + R' (l' - l)``, where

    - the first difference is affine in l, so over a box of places its length is greatest at one of the corners; the
      box holds all places of the template, and those of the shaped body stray from it by no more than e, which adds
      at most ``|R' - R| e``;
    - l' - l and e are sums over the coefficients, each times the longest shift that it makes relative to the joint.

    Turning and shifting the body as a whole changes nothing.
    """

    def __init__(self, model: BodyModel) -> None:
        template, shapes = model.template.unflatten(0, (-1, 3)), component_shapes(model)
        joint_shapes = torch.zeros(model.n_joints, 3, shapes.shape[2], dtype=shapes.dtype, device=shapes.device)
        n_shape = model.joint_blend_shapes.shape[0]
        joint_shapes[:, :, :n_shape] = model.joint_blend_shapes.T.unflatten(0, (-1, 3))
        joints = model.joint_template.unflatten(0, (-1, 3))
        self._corners = torch.zeros(model.n_joints, 8, 4, dtype=template.dtype, device=template.device)
        self._corners[..., 3] = 1.0
        self._reach = torch.zeros(model.n_joints, shapes.shape[2], dtype=template.dtype, device=template.device)
        choice = torch.cartesian_prod(*[torch.arange(2, device=template.device)] * 3)
        for joint in range(model.n_joints):
            own = model.skinning_weights[:, joint] > 0
            if own.any():
                places = template[own] - joints[joint]
                ends = torch.stack([places.amin(0), places.amax(0)])
                self._corners[joint, :, :3] = ends[choice, torch.arange(3, device=template.device)]
                self._reach[joint] = (shapes[own] - joint_shapes[joint]).norm(dim=1).amax(0)

    def __call__(self, before: BoneStates, after: BoneStates) -> Tensor:
        """Metres [B] that no vertex has moved by more."""
        change = after.from_root - before.from_root
        corners = torch.einsum("bjxc,jkc->bjkx", change, self._corners).norm(dim=3).amax(2)
        # The difference of two rotations stretches by its Frobenius norm over the square root of two at most.
        turn = change[..., :3].flatten(2).norm(dim=2) / 2**0.5
        stray = before.coefficients.abs() @ self._reach.T
        shift = (after.coefficients - before.coefficients).abs() @ self._reach.T
        return (corners + turn * stray + shift).amax(1)
