"""A body model with named pose parameters: vertices, joints and keypoints from shape, expression and pose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from smplifyx.body.data import BodyModelData
from smplifyx.body.files import load_body_model_data
from smplifyx.body.model import BodyModel, BodyOutput
from smplifyx.body.regressor import OPENPOSE_DEFINITIONS, KeypointRegressor, PointCombination
from smplifyx.body.search import find_body_model
from smplifyx.rotations import axis_angle_to_matrix
from smplifyx.skeleton import CANONICAL_KEYPOINT_NAMES


@dataclass(frozen=True)
class HandOptions:
    """Parameters of a hand pose.

    Attributes:
        n_components: number of principal components; None for 45 axis-angle values.
        flat_mean: whether a zero pose is the flat hand instead of the mean hand. None follows the results of a fit:
            axis-angle poses are complete, coefficients are relative to the mean hand.
    """

    n_components: int | None = None
    flat_mean: bool | None = None

    @property
    def adds_mean(self) -> bool:
        """True if the mean hand is added to a pose."""
        return self.n_components is not None if self.flat_mean is None else not self.flat_mean


class PosedBody(NamedTuple):
    """``vertices`` [B, V, 3], ``joints`` [B, J, 3] and ``keypoints`` [B, K, 3] in metres.

    ``joint_rotations`` [B, J, 3, 3] are the world rotations of the joints.
    """

    vertices: Tensor
    joints: Tensor
    keypoints: Tensor
    joint_rotations: Tensor


class Body(nn.Module):
    """A model of the SMPL family whose pose parts have the names that the ``smplx`` package uses.

    Args:
        data: the arrays of the model; see :func:`~smplifyx.body.files.load_body_model_data`.
        hands: parameters of a hand pose.
        definitions: the point of the body that each keypoint means, by default as OpenPose defines it.
        dtype, device: of all tensors.
    """

    faces: Tensor

    def __init__(
        self,
        data: BodyModelData,
        hands: HandOptions | None = None,
        definitions: Mapping[str, PointCombination] = OPENPOSE_DEFINITIONS,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__()
        self.data = data
        self.hands = hands or HandOptions()
        self.model = BodyModel.from_data(data, dtype, device)
        self.regressor = KeypointRegressor(data, definitions=definitions, dtype=dtype, device=device)
        self.register_buffer("faces", torch.as_tensor(data.faces, dtype=torch.int64, device=device), persistent=False)
        for side in data.skeleton.hand_sides:
            components, mean = data.hand(side)
            kept = components[: self.hands.n_components]
            self._register(f"_{side}_components", torch.as_tensor(kept, dtype=dtype, device=device))
            self._register(f"_{side}_mean", torch.as_tensor(mean, dtype=dtype, device=device))

    def _register(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value, persistent=False)

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names of the J joints."""
        return self.data.skeleton.joint_names

    @property
    def keypoint_names(self) -> tuple[str, ...]:
        """Names of the K canonical keypoints that this model has."""
        return tuple(CANONICAL_KEYPOINT_NAMES[k] for k in self.regressor.keypoints)

    @property
    def pose_sizes(self) -> dict[str, int]:
        """Number of values of each pose part: ``global_orient`` 3, ``body_pose`` 63 and so on."""
        sizes = {name: 3 * (part.stop - part.start) for name, part in self.data.skeleton.pose_groups.items()}
        if self.hands.n_components is not None:
            sizes.update({name: self.hands.n_components for name in sizes if name.endswith("hand_pose")})
        return sizes

    def forward(
        self,
        *,
        betas: Tensor | None = None,
        expression: Tensor | None = None,
        transl: Tensor | None = None,
        camera: Tensor | None = None,
        **pose: Tensor,
    ) -> PosedBody:
        """Pose a batch of bodies. Missing inputs are zero; an input with one row applies to all bodies.

        Args:
            betas: [B, S] or fewer shape coefficients, standard deviations.
            expression: [B, E] or fewer expression coefficients, standard deviations.
            transl: [B, 3] metres, added after posing.
            camera: [3] or [B, 3] position of the camera, which decides the contour of the face; by default far in
                front of an untransformed body (+z).
            pose: the parts named in :attr:`pose_sizes`, each [B, size] (axis-angle, radians) or rotation matrices
                [B, n, 3, 3].

        Raises:
            ValueError: unknown parts, or tensors of other sizes.
        """
        unknown = sorted(set(pose) - set(self.pose_sizes))
        if unknown:
            known = ", ".join(self.pose_sizes)
            raise ValueError(f"{self.data.model_type} has no {', '.join(unknown)}; its pose parts are {known}")
        given = [value for value in (betas, expression, transl, *pose.values()) if value is not None]
        batch = max((len(value) for value in given), default=1)
        output = self.model(
            self._coefficients("betas", betas, self.model.n_betas, batch),
            self._coefficients("expression", expression, self.model.n_expressions, batch),
            torch.cat([self._rotations(name, pose.get(name), batch) for name in self.pose_sizes], 1),
            None if transl is None else self._cast(transl).expand(batch, 3),
        )
        return PosedBody(output.vertices, output.joints, self._keypoints(output, camera), output.joint_rotations)

    def _cast(self, value: Tensor) -> Tensor:
        return value.to(self.model.template)

    def _coefficients(self, name: str, value: Tensor | None, size: int, batch: int) -> Tensor:
        if value is None:
            return self.model.template.new_zeros(batch, size)
        if value.ndim != 2 or value.shape[1] > size:
            raise ValueError(f"{name} has shape {tuple(value.shape)}; expected [B, {size}] or fewer columns")
        return nn.functional.pad(self._cast(value), (0, size - value.shape[1])).expand(batch, size)

    def _rotations(self, name: str, value: Tensor | None, batch: int) -> Tensor:
        """[B, n, 3, 3] of one part of the pose."""
        part = self.data.skeleton.pose_groups[name]
        n_joints, size = part.stop - part.start, self.pose_sizes[name]
        if value is None:
            value = self.model.template.new_zeros(1, size)
        value = self._cast(value)
        if value.shape[1:] == (n_joints, 3, 3):
            return value.expand(batch, n_joints, 3, 3)
        if value.shape[1:].numel() != size:
            raise ValueError(
                f"{name} has shape {tuple(value.shape)}; expected [B, {size}] or rotations [B, {n_joints}, 3, 3]"
            )
        angles = value.reshape(len(value), size)
        if name.endswith("hand_pose"):
            angles = self._hand_angles(self.data.side or name.removesuffix("_hand_pose"), angles)
        return axis_angle_to_matrix(angles.reshape(-1, n_joints, 3)).expand(batch, n_joints, 3, 3)

    def _hand_angles(self, side: str, numbers: Tensor) -> Tensor:
        """Axis-angle pose [B, 45] of a hand."""
        angles = numbers if self.hands.n_components is None else numbers @ getattr(self, f"_{side}_components")
        return angles + getattr(self, f"_{side}_mean") if self.hands.adds_mean else angles

    def _keypoints(self, output: BodyOutput, camera: Tensor | None) -> Tensor:
        seen = output._replace(vertices=output.vertices[:, self.regressor.vertices])
        return self.regressor(seen, self.regressor.contour_rows(output, self._view(output, camera)))

    def _view(self, output: BodyOutput, camera: Tensor | None) -> Tensor:
        """Direction [B, 3] from the face to the camera."""
        if camera is None:
            return output.joints.new_tensor([0.0, 0.0, 1.0]).expand(len(output.joints), 3)
        return self._cast(camera) - output.joints[:, self.regressor.face_joint]


def load_body_model(
    model_type: str = "smplx",
    gender: str = "neutral",
    *,
    side: str | None = None,
    models_dir: str | Path | None = None,
    n_betas: int = 10,
    n_expressions: int = 10,
    hands: HandOptions | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> Body:
    """Find a body model, the user's licensed one or else the shipped open one, and load it.

    Args:
        model_type: ``smplx``, ``smplh``, ``smpl``, ``mano`` or ``flame``.
        gender: ``neutral``, ``male`` or ``female``; MANO has only neutral.
        side: ``left`` or ``right`` for MANO.
        models_dir: the only folder to search, otherwise those of :func:`~smplifyx.body.search.search_dirs`.
        n_betas, n_expressions: number of leading components to keep.
        hands: parameters of a hand pose.
        dtype, device: of all tensors.

    Raises:
        UsageError: unknown model type, gender or side.
        InputError: no such file, or a damaged one.
    """
    path = find_body_model(model_type, gender, models_dir, side=side)
    data = load_body_model_data(path, gender, n_betas=n_betas, n_expressions=n_expressions)
    return Body(data, hands, dtype=dtype, device=device)
