"""The parameters that the optimiser moves, one row per hypothesis, and the body-model inputs they stand for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from smplifyx.body.data import BodyModelData
from smplifyx.fitting.batch import InitialPose
from smplifyx.priors import BodyPosePrior, DecodedPose
from smplifyx.rotations import axis_angle_to_matrix
from smplifyx.skeleton import BODY_JOINTS, Skeleton

#: Change of each group's parameters that changes the objective about equally: the scale of the optimiser's variables.
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

#: Bend of the fingers from which a hand starts, in addition to the mean bend and relative to it.
_BENDS = (0.0, -1.0, 1.0)


def has_body(skeleton: Skeleton) -> bool:
    """True for a whole body, False for a hand or a head."""
    return "body_pose" in skeleton.pose_groups


class ParameterLayout:
    """The columns of each parameter group in x [B, D].

    ``translation`` is in units of the row's initial depth, ``global_orient`` is a rotation in the camera frame
    applied after the row's starting orientation, ``body_pose`` are the parameters of the prior, ``left_hand`` and
    ``right_hand`` coefficients of principal components; the other groups are as in the model. A model has the groups
    of its skeleton; without expressions that group is empty. With shared eyes there is no ``reye_pose``.
    """

    def __init__(
        self,
        skeleton: Skeleton,
        n_body_pose: int,
        n_betas: int,
        n_expression: int,
        n_hand_components: int,
        shared_eyes: bool = False,
    ) -> None:
        self.sizes = {"translation": 3, "global_orient": 3}
        if has_body(skeleton):
            self.sizes["body_pose"] = n_body_pose
        self.sizes |= {"betas": n_betas, "expression": n_expression}
        self.sizes |= {f"{side}_hand": n_hand_components for side in skeleton.hand_sides}
        self.sizes |= {name: 3 for name in skeleton.pose_groups if name in _SINGLE_JOINTS}
        if shared_eyes:
            self.sizes.pop("reye_pose", None)
        self.slices: dict[str, slice] = {}
        start = 0
        for name, size in self.sizes.items():
            self.slices[name] = slice(start, start + size)
            start += size
        self.n_parameters = start

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that hold parameters."""
        return tuple(name for name, size in self.sizes.items() if size)

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


class PosedParameters(NamedTuple):
    """Inputs of the body model, and the angles that priors and results use (radians).

    ``angles`` holds the axis-angle numbers of each pose group except orientation and body; ``body_pose`` is None for
    a hand or a head.
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
    """Turn rows of x into inputs of a model of the family.

    Args:
        data: the body model, for its joints and its hand pose spaces.
        prior: the body-pose prior, which decodes the pose parameters; None for a hand or a head.
        n_hand_components: principal components of each hand.
        shared_eyes: both eyes have the rotation of the left one.

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
        shared_eyes: bool = False,
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
            shared_eyes,
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
        """True for a whole body, False for a hand or a head."""
        return has_body(self.skeleton)

    @property
    def prior(self) -> BodyPosePrior:
        """The body-pose prior of a whole body."""
        assert self._prior is not None
        return self._prior

    def starting_poses(self) -> Tensor:
        """Rows [N, D] of x from which a hand or a head starts: fingers in the mean pose, straight, and bent more.

        Fingers bend along the mean hand pose.
        """
        rows = torch.zeros(len(_BENDS), self.layout.n_parameters, dtype=self._dtype, device=self._device)
        if not self.skeleton.side:
            return rows[:1]
        (hand,) = self._hands
        bend = hand.components @ hand.mean / hand.components.square().sum(1)
        rows[:, self.layout.slices[hand.group]] = bend * bend.new_tensor(_BENDS)[:, None]
        return rows

    def __call__(self, groups: Mapping[str, Tensor], initial: InitialPose) -> PosedParameters:
        """Body-model inputs for the groups of x (see :meth:`ParameterLayout.split`)."""
        body = self.prior.decode(groups["body_pose"]) if self.has_body else None
        angles = self._angles(groups)
        turned = axis_angle_to_matrix(torch.cat([groups["global_orient"], *angles.values()], 1).unflatten(1, (-1, 3)))
        orientation = turned[:, :1] @ initial.orientation[:, None]
        body_rotations = [] if body is None else [body.rotations, *self._fixed_joints(turned)]
        depth = initial.translation[:, 2:3]
        return PosedParameters(
            betas=groups["betas"],
            expression=groups["expression"],
            rotations=torch.cat([orientation, *body_rotations, turned[:, 1:]], 1),
            translation=initial.translation + groups["translation"] * depth,
            body_pose=body,
            angles=angles,
        )

    def _angles(self, groups: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Axis-angle numbers of each pose group but orientation and body, in the order of the joints."""
        hands = {hand.name: torch.addmm(hand.mean, groups[hand.group], hand.components) for hand in self._hands}
        known = {**groups, **hands}
        if "leye_pose" in groups:
            known.setdefault("reye_pose", groups["leye_pose"])
        return {name: known[name] for name in self.skeleton.pose_groups if name not in _NOT_IN_ANGLES}

    def angle_map(self) -> tuple[Tensor, Tensor]:
        """Matrix [N, D] and offset [N] that give the axis-angle numbers of :meth:`_angles` from x, in their order."""
        unit = torch.eye(self.layout.n_parameters, dtype=self._dtype, device=self._device)
        with_zero = torch.cat([torch.zeros_like(unit[:1]), unit])
        angles = torch.cat(
            [unit.new_zeros(len(with_zero), 0), *self._angles(self.layout.split(with_zero)).values()], 1
        )
        return (angles[1:] - angles[0]).T.contiguous(), angles[0]

    def _fixed_joints(self, like: Tensor) -> list[Tensor]:
        """Rotations of body joints that the prior does not have: SMPL's hands, which no keypoint constrains."""
        n_fixed = self.skeleton.pose_groups["body_pose"].stop - BODY_JOINTS.stop
        identity = torch.eye(3, dtype=like.dtype, device=like.device)
        return [identity.expand(len(like), n_fixed, 3, 3)] if n_fixed else []
