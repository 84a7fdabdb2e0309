"""The vector that the optimiser moves, one row a person, and the body pose it stands for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from smplifyx.body.data import BodyModelData
from smplifyx.priors import BodyPosePrior, DecodedPose
from smplifyx.rotations import axis_angle_to_matrix
from smplifyx.skeleton import BODY_JOINTS, Skeleton

#: How far each group's parameters move for a like change of the objective: one footing for the optimiser.
_NATURAL_SCALES = {
    "translation": 0.05,
    "global_orient": 0.25,
    "body_pose": 1.0,
    "betas": 5.0,
    "expression": 8.0,
    "left_hand": 1.0,
    "right_hand": 1.0,
    "neck_pose": 0.25,
    "jaw_pose": 0.5,
    "leye_pose": 5.0,
    "reye_pose": 5.0,
}


_NOT_IN_ANGLES = ("global_orient", "body_pose")
#: Pose groups of one joint, whose axis-angle numbers are optimised as they are.
_SINGLE_JOINTS = ("neck_pose", "jaw_pose", "leye_pose", "reye_pose")

#: How much more than on average the fingers are bent where a hand starts, in shares of the average.
_BENDS = (0.0, -1.0, 1.0)


def has_body(skeleton: Skeleton) -> bool:
    """Whether this is a whole body, not a hand or a head."""
    return "body_pose" in skeleton.pose_groups


class ParameterLayout:
    """Where each group of parameters lies in a row of x [B, D].

    ``translation`` is in units of the row's initial depth, ``global_orient`` is a turn in the camera frame applied
    after the row's starting orientation, ``body_pose`` are the prior's own parameters, ``left_hand`` and
    ``right_hand`` coefficients of principal components; the rest is as in the model. A model has those groups that
    its skeleton asks for; without expressions that group is empty.
    """

    def __init__(
        self, skeleton: Skeleton, n_body_pose: int, n_betas: int, n_expression: int, n_hand_components: int
    ) -> None:
        self.sizes = {"translation": 3, "global_orient": 3}
        if has_body(skeleton):
            self.sizes["body_pose"] = n_body_pose
        self.sizes |= {"betas": n_betas, "expression": n_expression}
        self.sizes |= {f"{side}_hand": n_hand_components for side in skeleton.hand_sides}
        self.sizes |= {name: 3 for name in skeleton.pose_groups if name in _SINGLE_JOINTS}
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
class InitialPose:
    """What the relative parameters of each row are relative to.

    Attributes:
        orientation: [B, 3, 3] starting orientation, body to camera.
        translation: [B, 3] starting camera translation, metres.
    """

    orientation: Tensor
    translation: Tensor

    def index(self, rows: Tensor) -> InitialPose:
        """The frames of some rows."""
        return InitialPose(self.orientation[rows], self.translation[rows])

    def joined(self, other: InitialPose) -> InitialPose:
        """These rows followed by others."""
        return InitialPose(
            torch.cat([self.orientation, other.orientation]), torch.cat([self.translation, other.translation])
        )


class PosedParameters(NamedTuple):
    """Input of the body model, and the angles that priors and results look at (radians).

    ``angles`` holds the axis-angle numbers of each pose group but orientation and body; ``body_pose`` is None for a
    hand or a head.
    """

    betas: Tensor
    expression: Tensor
    rotations: Tensor
    translation: Tensor
    body_pose: DecodedPose | None
    angles: Mapping[str, Tensor]


class _HandSpace(NamedTuple):
    """Principal components [n, 45] of the pose group ``name``, whose coefficients are in ``group``; the mean [45]."""

    name: str
    group: str
    components: Tensor
    mean: Tensor


class BodyParameters:
    """Turns rows of x into inputs of a model of the family.

    Args:
        data: the body model, for its joints and its hand pose spaces.
        prior: the body-pose prior, which decodes the pose parameters; None for a hand or a head.
        n_hand_components: how many principal components move each hand.

    Raises:
        ValueError: a body without a prior.
    """

    def __init__(
        self,
        data: BodyModelData,
        prior: BodyPosePrior | None,
        n_hand_components: int,
        dtype: torch.dtype,
        device: torch.device | str,
    ) -> None:
        self.skeleton = data.skeleton
        if has_body(self.skeleton) and prior is None:
            raise ValueError(f"{data.model_type} needs a body-pose prior")
        self._prior, self._dtype, self._device = prior, dtype, device
        self.layout = ParameterLayout(
            self.skeleton,
            0 if prior is None else prior.n_parameters,
            data.shapedirs.shape[2],
            data.expression_dirs.shape[2],
            n_hand_components,
        )

        def hand_space(side: str) -> _HandSpace:
            hand = data.hand(side)
            arrays = (hand.components[:n_hand_components], hand.mean)
            components, mean = (torch.as_tensor(array).to(dtype=dtype, device=device) for array in arrays)
            name = "hand_pose" if self.skeleton.side else f"{side}_hand_pose"
            return _HandSpace(name, f"{side}_hand", components, mean)

        self._hands = [hand_space(side) for side in self.skeleton.hand_sides]

    @property
    def has_body(self) -> bool:
        """Whether the model is a whole body, not a hand or a head."""
        return has_body(self.skeleton)

    @property
    def prior(self) -> BodyPosePrior:
        """The body-pose prior; to be asked of whole bodies alone."""
        assert self._prior is not None
        return self._prior

    def starting_poses(self) -> Tensor:
        """Rows [N, D] of x from which a hand or a head may start: fingers bent on average, straight, and bent more.

        The mean hand is taken for the direction in which fingers bend.
        """
        rows = torch.zeros(len(_BENDS), self.layout.n_parameters, dtype=self._dtype, device=self._device)
        if not self.skeleton.side:
            return rows[:1]
        (hand,) = self._hands
        bend = hand.components @ hand.mean / hand.components.square().sum(1)
        rows[:, self.layout.slices[hand.group]] = bend * bend.new_tensor(_BENDS)[:, None]
        return rows

    def __call__(self, groups: dict[str, Tensor], frame: InitialPose) -> PosedParameters:
        """Body-model inputs for the groups of x (see :meth:`ParameterLayout.split`)."""
        body = self.prior.decode(groups["body_pose"]) if self.has_body else None
        angles = self._angles(groups)
        turned = axis_angle_to_matrix(torch.cat([groups["global_orient"], *angles.values()], 1).unflatten(1, (-1, 3)))
        orientation = turned[:, :1] @ frame.orientation[:, None]
        body_rotations = [] if body is None else [body.rotations, *self._stiff_joints(turned)]
        depth = frame.translation[:, 2:3]
        return PosedParameters(
            betas=groups["betas"],
            expression=groups["expression"],
            rotations=torch.cat([orientation, *body_rotations, turned[:, 1:]], 1),
            translation=frame.translation + groups["translation"] * depth,
            body_pose=body,
            angles=angles,
        )

    def _angles(self, groups: dict[str, Tensor]) -> dict[str, Tensor]:
        """Axis-angle numbers of each pose group but orientation and body, in the order of the joints."""
        hands = {hand.name: torch.addmm(hand.mean, groups[hand.group], hand.components) for hand in self._hands}
        known = groups | hands
        return {name: known[name] for name in self.skeleton.pose_groups if name not in _NOT_IN_ANGLES}

    def _stiff_joints(self, like: Tensor) -> list[Tensor]:
        """Rotations of body joints that the prior does not know: SMPL's hands, which no keypoint tells about."""
        n_stiff = self.skeleton.pose_groups["body_pose"].stop - BODY_JOINTS.stop
        identity = torch.eye(3, dtype=like.dtype, device=like.device)
        return [identity.expand(len(like), n_stiff, 3, 3)] if n_stiff else []
