"""The vector that the optimiser moves, one row a person, and the body pose it stands for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from smplifyx.body.model_data import BodyModelData
from smplifyx.geometry import axis_angle_to_matrix
from smplifyx.priors import BodyPosePrior, DecodedPose

#: How far each group's parameters move for a like change of the objective: one footing for the optimiser.
_NATURAL_SCALES = {
    "translation": 0.05,
    "global_orient": 0.25,
    "body_pose": 1.0,
    "betas": 5.0,
    "expression": 8.0,
    "left_hand": 1.0,
    "right_hand": 1.0,
    "jaw_pose": 0.5,
    "leye_pose": 5.0,
    "reye_pose": 5.0,
}


class ParameterLayout:
    """Where each group of parameters lies in a row of x [B, D].

    ``translation`` is in units of the row's initial depth, ``global_orient`` is a turn in the camera frame applied
    after the row's starting orientation, ``body_pose`` are the prior's own parameters; the rest is as in SMPL-X.
    """

    def __init__(self, n_body_pose: int, n_betas: int, n_expression: int, n_hand_components: int) -> None:
        self.sizes = {
            "translation": 3,
            "global_orient": 3,
            "body_pose": n_body_pose,
            "betas": n_betas,
            "expression": n_expression,
            "left_hand": n_hand_components,
            "right_hand": n_hand_components,
            "jaw_pose": 3,
            "leye_pose": 3,
            "reye_pose": 3,
        }
        self.slices: dict[str, slice] = {}
        start = 0
        for name, size in self.sizes.items():
            self.slices[name] = slice(start, start + size)
            start += size
        self.n_parameters = start

    def indices(self, names: Iterable[str]) -> Tensor:
        """Columns [n] of the named groups, ascending."""
        columns = [torch.arange(self.slices[name].start, self.slices[name].stop) for name in names]
        return torch.cat(columns).sort().values

    def natural_scales(self) -> Tensor:
        """Typical change [D] of each parameter; its square is a first guess at the inverse Hessian's diagonal."""
        return torch.cat([torch.full((size,), _NATURAL_SCALES[name]) for name, size in self.sizes.items()])

    def split(self, x: Tensor) -> dict[str, Tensor]:
        """Views of x [B, D] by group."""
        return dict(zip(self.sizes, x.split(list(self.sizes.values()), 1), strict=True))


@dataclass(frozen=True)
class RowFrame:
    """What the relative parameters of each row are relative to.

    Attributes:
        orientation: [B, 3, 3] starting orientation, body to camera.
        translation: [B, 3] starting camera translation, metres.
    """

    orientation: Tensor
    translation: Tensor

    def index(self, rows: Tensor) -> RowFrame:
        """The frames of some rows."""
        return RowFrame(self.orientation[rows], self.translation[rows])

    def joined(self, other: RowFrame) -> RowFrame:
        """These rows followed by others."""
        return RowFrame(
            torch.cat([self.orientation, other.orientation]), torch.cat([self.translation, other.translation])
        )


class PosedParameters(NamedTuple):
    """Input of the body model, and the angles that priors look at (radians)."""

    betas: Tensor
    expression: Tensor
    rotations: Tensor
    translation: Tensor
    body_pose: DecodedPose
    left_hand_pose: Tensor
    right_hand_pose: Tensor


class BodyParameters:
    """Turns rows of x into body-model inputs.

    Args:
        data: the body model, for its hand pose space.
        prior: the body-pose prior, which decodes the pose parameters.
        n_hand_components: how many principal components move each hand.
    """

    def __init__(
        self,
        data: BodyModelData,
        prior: BodyPosePrior,
        n_hand_components: int,
        dtype: torch.dtype,
        device: torch.device | str,
    ) -> None:
        self.prior = prior
        with torch.no_grad():
            middle = torch.zeros(1, prior.n_parameters, dtype=dtype, device=device)
            #: Rotations [21, 3, 3] of the prior's middle.
            self.relaxed_body = prior.decode(middle).rotations[0]
        self.layout = ParameterLayout(
            prior.n_parameters, data.shapedirs.shape[2], data.expression_dirs.shape[2], n_hand_components
        )

        def tensor(array: object) -> Tensor:
            return torch.as_tensor(array).to(dtype=dtype, device=device)

        left, right = data.hand("left"), data.hand("right")
        self._left_components = tensor(left.components[:n_hand_components])
        self._right_components = tensor(right.components[:n_hand_components])
        self._left_mean = tensor(left.mean)
        self._right_mean = tensor(right.mean)

    def __call__(self, groups: dict[str, Tensor], frame: RowFrame) -> PosedParameters:
        """Body-model inputs for the groups of x (see :meth:`ParameterLayout.split`)."""
        body = self.prior.decode(groups["body_pose"])
        left = torch.addmm(self._left_mean, groups["left_hand"], self._left_components)
        right = torch.addmm(self._right_mean, groups["right_hand"], self._right_components)
        others = torch.cat(
            [groups["global_orient"], groups["jaw_pose"], groups["leye_pose"], groups["reye_pose"], left, right], 1
        )
        turned = axis_angle_to_matrix(others.unflatten(1, (-1, 3)))
        orientation = turned[:, :1] @ frame.orientation[:, None]
        depth = frame.translation[:, 2:3]
        return PosedParameters(
            betas=groups["betas"],
            expression=groups["expression"],
            rotations=torch.cat([orientation, body.rotations, turned[:, 1:]], 1),
            translation=frame.translation + groups["translation"] * depth,
            body_pose=body,
            left_hand_pose=left,
            right_hand_pose=right,
        )
