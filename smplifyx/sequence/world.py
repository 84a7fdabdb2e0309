"""Bodies in the world, and the rows of the objective that see them: one row for each frame and view.

In the frame of view v, with the rotation R_v and the translation T_v from the world, a body has the orientation
R_v R and its pelvis lies at R_v p + T_v. So a row's parameters are affine in those of the frame: orientation g and
pelvis p, and shape, as the model turns about the pelvis at rest J0, which is affine in shape and expression:

    g_v = R_v g,    t_v = R_v p + T_v - J0
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from smplifyx.body.model import BodyModel
from smplifyx.fitting.batch import InitialPose, Rows
from smplifyx.fitting.parameters import ParameterLayout
from smplifyx.fitting.solver import Solver
from smplifyx.optim import padded_rows
from smplifyx.rotations import axis_angle_to_matrix
from smplifyx.tracking import View

#: Starting depth of a row nearer than this (metres): translations are in units of it.
_MINIMUM_DEPTH = 0.1


@dataclass(frozen=True)
class WorldPoses(Rows):
    """Bodies of F frames.

    Attributes:
        orientation: [F, 3, 3] body to world.
        pelvis: [F, 3] the root joint in the world, metres.
        x: [F, D] the other parameters, see :class:`~smplifyx.fitting.parameters.ParameterLayout`; those of
            orientation and translation are zero.
    """

    orientation: Tensor
    pelvis: Tensor
    x: Tensor


@dataclass(frozen=True)
class RestPelvis:
    """The root joint at rest as an affine function of x.

    Attributes:
        template: [3] of the mean body, metres.
        directions: [D, 3] change with each parameter.
    """

    template: Tensor
    directions: Tensor

    @classmethod
    def of(cls, model: BodyModel, layout: ParameterLayout) -> RestPelvis:
        """The root joint of a model."""
        directions = model.joint_template.new_zeros(layout.n_parameters, 3)
        columns = torch.cat([layout.indices(["betas"]), layout.indices(["expression"])]).to(directions.device)
        directions[columns] = model.joint_blend_shapes[:, :3]
        return cls(model.joint_template[:3].double(), directions.double())

    def __call__(self, x: Tensor) -> Tensor:
        """[B, 3] for parameters x [B, D]."""
        return self.template + x @ self.directions


class ViewRows:
    """The affine map from parameters of frames [F, D] to those of rows [F V, D], frame by frame.

    A frame's ``translation`` is the shift of its pelvis in the world (metres), its ``global_orient`` a rotation in
    the world after the starting orientation.

    Args:
        start: the bodies that the parameters are relative to.
        views: the V cameras.
        rest: the root joint at rest.
        layout: the columns of x.
    """

    def __init__(self, start: WorldPoses, views: Sequence[View], rest: RestPelvis, layout: ParameterLayout) -> None:
        self._rest, self._start = rest, start
        self.n_frames, self.n_views = len(start.x), len(views)
        self._turn, self._shift = layout.slices["global_orient"], layout.slices["translation"]
        like = start.pelvis
        self._rotation = torch.as_tensor(np.stack([np.asarray(view.rotation) for view in views])).to(like)
        self._translation = torch.as_tensor(np.stack([np.asarray(view.translation) for view in views])).to(like)
        origin = self._translations(start.pelvis, rest(start.x)).flatten(0, 1)
        near = origin[:, 2].abs() < _MINIMUM_DEPTH
        origin[:, 2] = torch.where(near, _MINIMUM_DEPTH, origin[:, 2])
        self._depth = origin[:, 2:]
        orientation = self._rotation @ start.orientation[:, None]
        #: [F V] the poses that the rows' parameters are relative to.
        self.initial = InitialPose(orientation.flatten(0, 1), origin)

    def parts(self, size: int) -> Iterator[tuple[ViewRows, range]]:
        """The map of some frames after the other, and their numbers."""
        for first in range(0, self.n_frames, size):
            frames = range(first, min(first + size, self.n_frames))
            part = copy.copy(self)
            part.n_frames = len(frames)
            part._depth = self._depth[frames.start * self.n_views : frames.stop * self.n_views]
            yield part, frames

    @property
    def first_rows(self) -> Tensor:
        """[F] the rows of the first view."""
        return torch.arange(self.n_frames, device=self._depth.device) * self.n_views

    def _translations(self, pelvis: Tensor, rest: Tensor) -> Tensor:
        """[F, V, 3] translations for pelvises and pelvises at rest [F, 3]."""
        turned = torch.einsum("vij,fj->fvi", self._rotation, pelvis)
        return turned + self._translation - rest[:, None]

    def rows(self, x: Tensor) -> Tensor:
        """Parameters [F V, D] of the rows."""
        out = x.repeat_interleave(self.n_views, 0)
        turn = torch.einsum("vij,fj->fvi", self._rotation, x[:, self._turn])
        place = self._translations(self._start.pelvis + x[:, self._shift], self._rest(x))
        out[:, self._turn] = turn.flatten(0, 1)
        out[:, self._shift] = (place.flatten(0, 1) - self.initial.translation) / self._depth
        return out

    def pull(self, gradient: Tensor) -> Tensor:
        """Gradient [F, D] for the frames of a gradient [F V, D] for the rows."""
        return self._pull(gradient.unflatten(0, (self.n_frames, self.n_views))).sum(1)

    def pull_matrices(self, matrices: Tensor) -> Tensor:
        """Second derivatives [F, D, D] for the frames of those [F V, D, D] for the rows."""
        by_view = matrices.unflatten(0, (self.n_frames, self.n_views))
        return self._pull(self._pull(by_view).transpose(2, 3)).sum(1)

    def pull_first(self, derivatives: Tensor) -> Tensor:
        """Derivatives [F, N, D] by the frames of N numbers [F, N, D] by the rows of the first view."""
        rotation, depth = self._rotation[:1], self._depth[:: self.n_views]
        return self._pull_with(derivatives[:, None], rotation, depth[:, None])[:, 0]

    def to_world(self, vectors: Tensor) -> Tensor:
        """Vectors [F, ..., 3] in the axes of the first view in those of the world."""
        return vectors @ self._rotation[0]

    def _pull(self, values: Tensor) -> Tensor:
        """Derivatives by the frames of values [F, V, ..., D] by the rows."""
        return self._pull_with(values, self._rotation, self._depth.unflatten(0, (self.n_frames, self.n_views)))

    def _pull_with(self, values: Tensor, rotation: Tensor, depth: Tensor) -> Tensor:
        extra = (1,) * (values.ndim - 3)
        rotation = rotation.reshape(1, len(rotation), *extra, 3, 3)
        shift = values[..., self._shift] / depth.reshape(*depth.shape[:2], *extra, 1)
        out = values - shift @ self._rest.directions.T
        out[..., self._turn] = (values[..., None, self._turn] @ rotation)[..., 0, :]
        out[..., self._shift] = (shift[..., None, :] @ rotation)[..., 0, :]
        return out

    def poses(self, x: Tensor) -> WorldPoses:
        """The bodies of parameters [F, D], with orientation and place taken out of them."""
        start, rest = self._start, x.clone()
        rest[:, self._turn] = 0.0
        rest[:, self._shift] = 0.0
        orientation = axis_angle_to_matrix(x[:, self._turn]) @ start.orientation
        return WorldPoses(orientation, start.pelvis + x[:, self._shift], rest)


def with_shape(poses: WorldPoses, betas: Tensor, layout: ParameterLayout) -> WorldPoses:
    """The same bodies with one shape [S]."""
    x = poses.x.clone()
    x[:, layout.slices["betas"]] = betas
    return replace(poses, x=x)


@torch.no_grad()
def world_joints(solver: Solver, poses: WorldPoses) -> Tensor:
    """[F, J, 3] joints in the world, metres."""
    rest = RestPelvis.of(solver.full_view.model, solver.parameters.layout)
    rows = padded_rows(len(poses.x), poses.x.device)
    some = poses.index(rows)
    initial = InitialPose(some.orientation, some.pelvis - rest(some.x)).to(solver.dtype)
    return solver.pose(some.x.to(solver.dtype), initial).joints[: len(poses.x)].to(poses.x)


def world_poses(
    x: Tensor, initial: InitialPose, views: Sequence[View], view: Tensor, rest: RestPelvis, layout: ParameterLayout
) -> WorldPoses:
    """Rows of the objective as bodies in the world; ``view`` [R] is the number of each row's camera."""
    x = x.double()
    origin = initial.translation.double()
    turn, shift = layout.slices["global_orient"], layout.slices["translation"]
    rotation = torch.as_tensor(np.stack([np.asarray(one.rotation) for one in views])).to(x)[view]
    translation = torch.as_tensor(np.stack([np.asarray(one.translation) for one in views])).to(x)[view]
    place = origin + x[:, shift] * origin[:, 2:] + rest(x) - translation
    orientation = axis_angle_to_matrix(x[:, turn]) @ initial.orientation.double()
    x = x.clone()
    x[:, turn] = 0.0
    x[:, shift] = 0.0
    return WorldPoses(
        rotation.transpose(1, 2) @ orientation, (rotation.transpose(1, 2) @ place[..., None])[..., 0], x
    )
