"""Gradients for bones as the Gauss-Newton matrices take them, by plain torch."""

from __future__ import annotations

import torch
from torch import Tensor

from smplifyx.collision.skinning import BoneStates


def bone_derivatives(bones: BoneStates, gradients: BoneStates, n_shape: int) -> Tensor:
    """Gradients for bones as rows [N, 9 J + C] of turns in the world, positions, joints at rest, and shape.

    Pose correctives are left out.

    Args:
        bones: N bodies.
        gradients: for all parts of them.
        n_shape: C, coefficients of shape and expression.
    """
    # A turn w changes a column r of a rotation by w x r.
    turns = [torch.linalg.cross(bones.rotations[..., k], gradients.rotations[..., k]) for k in range(3)]
    parts = turns[0] + turns[1] + turns[2], gradients.positions, gradients.rest_joints
    return torch.cat([*(part.flatten(1) for part in parts), gradients.coefficients[:, :n_shape]], 1)
