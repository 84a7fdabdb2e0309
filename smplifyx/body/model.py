"""The SMPL-X model function as a batched, differentiable torch module (Pavlakos et al. 2019, section 3.1)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from smplifyx.body.data import BodyModelData
from smplifyx.body.kinematics import KinematicTree, articulate


class BodyOutput(NamedTuple):
    """Posed body: ``joints`` [B, J, 3], ``vertices`` [B, V, 3] (metres) and the joints' world rotations."""

    joints: Tensor
    vertices: Tensor
    joint_rotations: Tensor


class BodyModel(nn.Module):
    """Shape, expression and pose blend shapes, joint regression, forward kinematics and skinning.

    Joints are linear in shape and expression, ``J0 + Jd (betas, expression)``, so the regressor is applied once, at
    construction. A model *restricted* to some vertices therefore gives the same joints and vertices as the full
    model, at the cost of those vertices only.
    """

    template: Tensor
    blend_shapes: Tensor
    pose_shapes: Tensor
    pose_projection: Tensor | None
    skinning_weights: Tensor
    joint_template: Tensor
    joint_blend_shapes: Tensor

    def __init__(self, tree: KinematicTree, n_betas: int, buffers: dict[str, Tensor | None]) -> None:
        super().__init__()
        self.tree = tree
        self.n_betas = n_betas
        for name, value in buffers.items():
            self.register_buffer(name, value, persistent=False)

    @classmethod
    def from_data(
        cls,
        data: BodyModelData,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> BodyModel:
        """Build the full model from the arrays of a file."""

        def tensor(array: object) -> Tensor:
            return torch.as_tensor(array).to(device=device, dtype=dtype)

        def flat(array: Tensor) -> Tensor:  # [V, 3, C] -> [C, 3 V], the layout of a batched product
            return array.reshape(-1, array.shape[2]).T.contiguous()

        template = tensor(data.v_template)
        directions = torch.cat([tensor(data.shapedirs), tensor(data.expression_dirs)], 2)
        # In float64, so that the joints of a float32 model do not depend on summation order.
        regressor = torch.as_tensor(data.joint_regressor).to(device=device, dtype=torch.float64)
        joint_template = (regressor @ template.double()).to(dtype)
        joint_directions = torch.einsum("jv,vcs->jcs", regressor, directions.double()).to(dtype)
        buffers = {
            "template": template.reshape(-1),
            "blend_shapes": flat(directions),
            "pose_shapes": flat(tensor(data.posedirs)),
            "pose_projection": None if data.pose_projection is None else tensor(data.pose_projection).T.contiguous(),
            "skinning_weights": tensor(data.skinning_weights),
            "joint_template": joint_template.reshape(-1),
            "joint_blend_shapes": flat(joint_directions),
        }
        tree = KinematicTree(data.parents.tolist()).to(device=device, dtype=dtype)
        return cls(tree, data.shapedirs.shape[2], buffers)

    @property
    def n_expressions(self) -> int:
        """Number of expression components."""
        return self.blend_shapes.shape[0] - self.n_betas

    @property
    def n_vertices(self) -> int:
        """Number of vertices that :meth:`forward` returns."""
        return self.skinning_weights.shape[0]

    @property
    def n_joints(self) -> int:
        """Number of joints."""
        return self.skinning_weights.shape[1]

    def restrict(self, vertices: Tensor) -> BodyModel:
        """Return the same model with only the given vertices [N], in that order."""
        coordinates = (vertices[:, None] * 3 + torch.arange(3, device=vertices.device)).reshape(-1)
        buffers = dict(self.named_buffers(recurse=False))
        return BodyModel(
            self.tree,
            self.n_betas,
            {
                "pose_projection": self.pose_projection,
                **buffers,
                "template": self.template[coordinates],
                "blend_shapes": self.blend_shapes[:, coordinates].contiguous(),
                "pose_shapes": self.pose_shapes[:, coordinates].contiguous(),
                "skinning_weights": self.skinning_weights[vertices].contiguous(),
            },
        )

    def rest_joints(self, betas: Tensor, expression: Tensor) -> Tensor:
        """Return joints [B, J, 3] in T-pose (metres) for betas [B, S] and expression [B, E]."""
        coefficients = torch.cat([betas, expression], 1)
        return torch.addmm(self.joint_template, coefficients, self.joint_blend_shapes).unflatten(1, (-1, 3))

    def forward(
        self, betas: Tensor, expression: Tensor, rotations: Tensor, translation: Tensor | None = None
    ) -> BodyOutput:
        """Pose the body.

        Args:
            betas: [B, S] shape coefficients (standard deviations).
            expression: [B, E] expression coefficients (standard deviations).
            rotations: [B, J, 3, 3] local joint rotations; the first turns the body about its pelvis joint.
            translation: [B, 3] metres, added after posing.

        Returns:
            Joints and vertices in metres.
        """
        coefficients = torch.cat([betas, expression], 1)
        joints_at_rest = self.rest_joints(betas, expression)
        shaped = torch.addmm(self.template[:, None], self.blend_shapes.T, coefficients.T)  # [3 V, B]
        if self.pose_shapes.shape[0]:
            identity = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
            feature = (rotations[:, 1:] - identity).flatten(1)
            if self.pose_projection is not None:
                feature = feature @ self.pose_projection
            shaped = torch.addmm(shaped, self.pose_shapes.T, feature.T)
        joints, vertices, world_rotations = articulate(
            self.tree, self.skinning_weights, rotations, joints_at_rest, shaped
        )
        if translation is not None:
            joints = joints + translation[:, None]
            vertices = vertices + translation[:, None]
        return BodyOutput(joints, vertices, world_rotations)
