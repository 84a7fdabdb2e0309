"""A cheap stand-in for the body's surface: some hundred vertices, moved by the 22 joints that a body pose turns."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from smplifyx import skeleton
from smplifyx.body.data import BodyModelData
from smplifyx.body.kinematics import KinematicTree
from smplifyx.body.model import BodyModel

_N_JOINTS = skeleton.BODY_JOINTS.stop


class PoseSurface(nn.Module):
    """Vertices of the mean body as a function of its body pose alone; hands and face are rigid.

    Args:
        data: the body model.
        n_vertices: how many vertices, spread evenly over the mesh; None for all.
    """

    def __init__(self, data: BodyModelData, n_vertices: int | None = None) -> None:
        super().__init__()
        full = BodyModel.from_data(data)
        chosen = torch.arange(data.n_vertices) if n_vertices is None else _spread(data.v_template, n_vertices)
        part = full.restrict(chosen)
        # Fingers move with the wrists, jaw and eyes with the head.
        owner = [_body_joint(joint) for joint in range(full.n_joints)]
        weights = torch.zeros(len(chosen), _N_JOINTS).index_add_(1, torch.tensor(owner), part.skinning_weights)
        buffers: dict[str, Tensor | None] = {
            "template": part.template,
            "blend_shapes": part.blend_shapes[:0],
            "pose_shapes": part.pose_shapes[:0],
            "pose_projection": None,
            "skinning_weights": weights,
            "joint_template": full.joint_template[: 3 * _N_JOINTS],
            "joint_blend_shapes": full.joint_blend_shapes[:0, : 3 * _N_JOINTS],
        }
        self._body = BodyModel(KinematicTree(skeleton.PARENTS[:_N_JOINTS]), 0, buffers)

    def forward(self, rotations: Tensor) -> Tensor:
        """Vertices [B, V, 3] (metres, pelvis unturned) of body rotations [B, 21, 3, 3]."""
        none = rotations.new_zeros(len(rotations), 0)
        root = torch.eye(3, dtype=rotations.dtype, device=rotations.device).expand(len(rotations), 1, 3, 3)
        vertices: Tensor = self._body(none, none, torch.cat([root, rotations], 1)).vertices
        return vertices


def _body_joint(joint: int) -> int:
    while joint >= _N_JOINTS:
        joint = skeleton.PARENTS[joint]
    return joint


def _spread(points: np.ndarray, count: int) -> Tensor:
    """Indices [count] of points [N, 3] far from each other: each next one is the furthest from those before."""
    chosen = [int(np.argmax(points[:, 1]))]
    distance = np.full(len(points), np.inf)
    for _ in range(count - 1):
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
        chosen.append(int(np.argmax(distance)))
    return torch.tensor(chosen)
