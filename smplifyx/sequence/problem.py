"""The joint objective of a track: the rows of all frames and views, one shape, and smoothness in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smplifyx.body.model import BodyModel
from smplifyx.collision.skinning import BoneStates
from smplifyx.fitting.batch import FitTargets, Hypotheses
from smplifyx.fitting.objective import StageTerms
from smplifyx.fitting.solver import Solver
from smplifyx.fitting.state import CollisionEnergy
from smplifyx.fitting.terms import (
    KeypointEnergy,
    Squares,
    Weight,
    collision_energy,
    lifting,
    trunk_tilt,
    upright_stance,
)
from smplifyx.optim.inverse_hessian import Operator
from smplifyx.optim.problem import Evaluation
from smplifyx.sequence.band import BorderedBand
from smplifyx.sequence.known import Known
from smplifyx.sequence.smoothness import Motion, Smoothness
from smplifyx.sequence.world import RestPelvis, ViewRows, WorldPoses
from smplifyx.skeleton import BODY_JOINTS
from smplifyx.tracking import View

#: Frames whose matrices are made at once.
_FRAMES_AT_ONCE = 16
#: Of a second difference.
_FACTORS = (1.0, -2.0, 1.0)
#: Size of a body below which it does not count as smaller.
_LEAST_SIZE = 0.3
_SHAPE = Squares(("betas",))


@dataclass(frozen=True)
class TrackData:
    """Targets of the fit of a track.

    Attributes:
        targets: of the rows [F V], frame by frame; views that do not observe a frame have no confidence there.
        views: the V cameras in the world.
    """

    targets: FitTargets
    views: Sequence[View]

    @property
    def n_views(self) -> int:
        """Number of views."""
        return len(self.views)

    def of_frames(self, frames: Tensor) -> TrackData:
        """The same of some frames [N], in that order."""
        rows = frames[:, None] * self.n_views + torch.arange(self.n_views, device=frames.device)
        return replace(self, targets=self.targets.index(rows.flatten()))


@dataclass(frozen=True)
class FrameCollisions:
    """Self-collisions of some frames.

    Attributes:
        frames: [N] the frames, ascending.
        energy: of their bodies, numbered from 0.
        weight: its squared weight.
    """

    frames: Tensor
    energy: CollisionEnergy
    weight: float


class JointObjective:
    """The loss of a track as a function of z [S + F d]: its shape, then the parameters of its frames.

    Args:
        solver: body model and settings.
        data: the observations.
        start: the bodies that z starts from, all of one shape.
        smoothness: the energy in time.
        fixed_shape: the shape stays as it is; S is 0.
        shape_count: times that the prior of the shape counts; None: once for each frame.
        known: stature and floor.
        collisions: self-collisions that count; None leaves them out.
        frozen: [F] frames that stay as they are; None: none.
    """

    def __init__(
        self,
        solver: Solver,
        data: TrackData,
        start: WorldPoses,
        smoothness: Smoothness,
        *,
        fixed_shape: bool = False,
        shape_count: float | None = None,
        known: Known | None = None,
        collisions: FrameCollisions | None = None,
        frozen: Tensor | None = None,
    ) -> None:
        layout, model = solver.parameters.layout, solver.full_view.model
        self._solver, self._smoothness, self._start = solver, smoothness, start
        self._known = Known() if known is None else known
        self.n_views = data.n_views
        self._map = ViewRows(start, data.views, RestPelvis.of(model, layout), layout)
        n_rows = self._map.n_frames * self._map.n_views
        n_stages = len(solver.weights)
        shape_share = 1.0 if shape_count is None else shape_count / self._map.n_frames
        stage = row_terms(solver, n_stages, self._map.n_views, shape_share)
        frame = torch.arange(n_rows, device=start.x.device) // self._map.n_views
        rows = Hypotheses.start(
            frame, data.targets, self._map.initial.to(solver.dtype), self._cast(self._map.rows(start.x))
        )
        self.hypotheses = rows
        self._objective = solver.objective(stage, rows)
        self._all = rows.rows
        self._evaluate_rows = self._objective.evaluation_with(self._all, self._bone_energy)
        free, shape = self._objective.free, layout.slices["betas"]
        in_shape = (free >= shape.start) & (free < shape.stop)
        self._frame_columns, self._shape_columns = free[~in_shape], free[in_shape]
        if fixed_shape:
            self._shape_columns = self._shape_columns[:0]
        self._size_directions = size_directions(model, shape.stop - shape.start).to(start.x)
        self._collisions = collisions
        self._evaluate_collisions = None
        if collisions is not None:
            numbers = torch.arange(len(collisions.frames), device=start.x.device)
            self._evaluate_collisions = collisions.energy.evaluation(numbers)
        moves = torch.ones(self._map.n_frames, dtype=torch.bool, device=start.x.device) if frozen is None else ~frozen
        shared = torch.ones(len(self._shape_columns), dtype=torch.bool, device=start.x.device)
        #: [S + F d] numbers that move.
        self._moves = torch.cat([shared, moves.repeat_interleave(len(self._frame_columns))])
        self._x: Tensor | None = None
        self._energy, self._to_x = start.x.new_zeros(()), torch.zeros_like(start.x)

    @property
    def start(self) -> Tensor:
        """[S + F d] z at the start."""
        return torch.cat([self._start.x[0, self._shape_columns], self._start.x[:, self._frame_columns].flatten()])

    def parameters(self, z: Tensor) -> Tensor:
        """[F, D] parameters of the frames."""
        n_shape = len(self._shape_columns)
        x = self._start.x.clone()
        x[:, self._shape_columns] = z[:n_shape]
        x[:, self._frame_columns] = z[n_shape:].unflatten(0, (len(x), -1))
        return x

    def poses(self, z: Tensor) -> WorldPoses:
        """The bodies."""
        return self._map.poses(self.parameters(z))

    def at(self, z: Tensor) -> Hypotheses:
        """The rows, with their losses."""
        x = self._cast(self._map.rows(self.parameters(z)))
        loss = self._objective.values(x[:, self._objective.free])
        return replace(self.hypotheses, x=x, loss=loss, contour_rows=self._objective.contour_rows)

    def natural_scales(self) -> Tensor:
        """Typical change [S + F d] of each number."""
        layout = self._solver.parameters.layout
        scales = layout.natural_scales().to(self._start.x)
        scales[layout.slices["translation"]] = 0.15
        of_frames = scales[self._frame_columns].repeat(len(self._start.x))
        return torch.cat([scales[self._shape_columns], of_frames])

    def __call__(self, rows: Tensor) -> Evaluation:
        """The evaluation of the only row of z, for :func:`~smplifyx.optim.lbfgs.minimize`."""

        def evaluate(z: Tensor) -> tuple[Tensor, Tensor]:
            loss, gradient = self.evaluate(z[0])
            return loss[None], gradient[None]

        return evaluate

    def evaluate(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and gradient [S + F d]."""
        self._x = self.parameters(z)
        rows = self._cast(self._map.rows(self._x))
        loss, gradient = self._evaluate_rows(rows[:, self._objective.free])
        to_rows = torch.zeros_like(rows, dtype=z.dtype)
        to_rows[:, self._objective.free] = gradient.to(z.dtype)
        to_frames = self._map.pull(to_rows) + self._to_x
        to_z = torch.cat([to_frames[:, self._shape_columns].sum(0), to_frames[:, self._frame_columns].flatten()])
        shape_loss, to_shape = self._shape_loss(z)
        to_z[: len(to_shape)] += to_shape
        return loss.to(z.dtype).sum() + self._energy + shape_loss, to_z * self._moves

    def _shape_loss(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Loss of the shape by its known stature, and its gradient [S]."""
        n_shape = len(self._shape_columns)
        if not n_shape or self._known.stature is None:
            return z.new_zeros(()), z.new_zeros(0)
        with torch.enable_grad():
            betas = z[:n_shape].detach().requires_grad_()
            loss = self._known.shape_loss(betas, self._map.n_frames)
            (gradient,) = torch.autograd.grad(loss, betas)
        return loss.detach(), gradient

    def _bone_energy(self, bones: BoneStates) -> tuple[Tensor, BoneStates]:
        """Keep the energy in time and its gradient for x; give back its gradient for the bones."""
        assert self._x is not None
        first = self._map.first_rows
        gradient = bones.zeros(len(bones.positions))
        with torch.enable_grad():
            x = self._x.detach().requires_grad_()
            positions = bones.positions[first].to(x).requires_grad_()
            rotations = bones.rotations[first].to(x).requires_grad_()
            energy = self._smoothness.loss(self._motion(x, positions, rotations))
            energy = energy + self._known.floor_loss(self._places(x, positions))
            if energy.requires_grad:
                to_x, to_positions, to_rotations = torch.autograd.grad(energy, (x, positions, rotations))
                gradient.positions[first] = to_positions.to(gradient.positions)
                gradient.rotations[first] = to_rotations.to(gradient.rotations)
                self._to_x = to_x
        self._energy = energy.detach() + self._collide(bones, gradient)
        return bones.positions.new_zeros(len(bones.positions)), gradient

    def _collide(self, bones: BoneStates, gradient: BoneStates) -> float:
        """Loss of the self-collisions; its gradient is added."""
        if self._collisions is None or self._evaluate_collisions is None:
            return 0.0
        rows = self._map.first_rows[self._collisions.frames]
        energy, found = self._evaluate_collisions(bones.index(rows))
        for part in fields(BoneStates):
            getattr(gradient, part.name)[rows] += self._collisions.weight * getattr(found, part.name)
        return self._collisions.weight * float(energy.double().sum())

    def _motion(self, x: Tensor, positions: Tensor, rotations: Tensor) -> Motion:
        """The motion of bodies whose joints and rotations are in the axes of the first view."""
        joints = self._places(x, positions)
        turn = self._map.to_world(torch.eye(3, dtype=x.dtype, device=x.device)).T
        # Otherwise a motion would be smoothest as that of a small person near the camera.
        return Motion(joints / self._size(x)[:, None, None], turn @ rotations, x)

    def _places(self, x: Tensor, positions: Tensor) -> Tensor:
        """[F, J, 3] joints in the world from those [F, J, 3] about the pelvis in the axes of the first view."""
        shift = self._solver.parameters.layout.slices["translation"]
        return (self._start.pelvis + x[:, shift])[:, None] + self._map.to_world(positions)

    def _size(self, x: Tensor) -> Tensor:
        """[F] size of the bodies, relative to the mean body."""
        betas = x[:, self._solver.parameters.layout.slices["betas"]]
        return (1.0 + betas @ self._size_directions).clamp_min(_LEAST_SIZE)

    def preconditioner(self, z: Tensor, rows: Tensor) -> list[Operator]:
        """Gauss-Newton inverses of the rows of z: there is one."""
        inverse = self._inverse(z[0])
        return [lambda vector: inverse((vector * self._moves).cpu()).to(vector) * self._moves]

    @property
    def has_gauss_newton(self) -> bool:
        """Whether :meth:`preconditioner` may be asked for."""
        return self._objective.has_gauss_newton

    def _inverse(self, z: Tensor) -> Operator:
        x = self.parameters(z)
        free_rows = self._cast(self._map.rows(x))[:, self._objective.free]
        n_views = self.n_views
        frame, shape = self._frame_columns, self._shape_columns
        shared = np.zeros((len(shape), len(shape)))
        own, border, points, turns = [], [], [], []
        parts = self._map.parts(_FRAMES_AT_ONCE)
        for part, frames in parts:
            chosen = self._all[frames.start * n_views : frames.stop * n_views]
            matrices, joints = self._objective.gauss_newton(free_rows[chosen], chosen)
            matrices = part.pull_matrices(self._embedded(self._embedded(matrices).transpose(1, 2)))
            shared += matrices[:, shape[:, None], shape].sum(0).cpu().numpy()
            own.append(matrices[:, frame[:, None], frame].cpu().numpy())
            border.append(matrices[:, frame[:, None], shape].cpu().numpy())
            joints = part.pull_first(self._embedded(joints[::n_views]))[..., frame].unflatten(1, (2, -1, 3))
            points.append(self._smoothness.relative(joints[:, 0]).flatten(1, 2).cpu().numpy())
            turns.append(joints[:, 1, self._smoothness.body].flatten(1, 2).cpu().numpy())
        with torch.no_grad():
            curvature = self._smoothness.curvature(self.motion_of(x))
        points = [part / float(self._size(x)[0]) for part in points]
        moving = np.concatenate([np.concatenate(points), np.concatenate(turns)], 1).astype(np.float32)
        weights = torch.cat([curvature.points, curvature.turns], 1).repeat_interleave(3, 1).cpu().numpy()
        blocks = _bands(moving, weights)
        face = _positions(frame, self._smoothness.face)
        for apart, factors in enumerate(_band_weights(curvature.face.cpu().numpy(), len(x))):
            blocks[apart][:, face, face] += factors
        blocks[0] += np.concatenate(own)
        if len(shape):
            shared += np.asarray(self._known.shape_curvature(self._map.n_frames))
        return BorderedBand(shared, np.concatenate(border), blocks)

    def _embedded(self, values: Tensor) -> Tensor:
        """Derivatives [..., D] by all columns of those [..., n] by the free ones."""
        out = values.new_zeros(*values.shape[:-1], self._start.x.shape[1], dtype=torch.float64)
        out[..., self._objective.free] = values.double()
        return out

    @torch.no_grad()
    def motion_of(self, x: Tensor) -> Motion:
        """The motion of frames with parameters [F, D]."""
        first = self._map.first_rows
        rows = self._cast(self._map.rows(x))[first]
        state = self._solver.pose(rows, self.hypotheses.initial.index(first))
        positions = (state.joints - state.joints[:, :1]).to(x)
        return self._motion(x, positions, state.output.joint_rotations.to(x))

    def _cast(self, values: Tensor) -> Tensor:
        return values.to(self._solver.dtype)


def size_directions(model: BodyModel, n_betas: int) -> Tensor:
    """[S] relative change of the size of a body, the sum of its bones' lengths, with each shape coefficient."""
    parents = torch.as_tensor(model.tree.parents)[BODY_JOINTS]
    rest = model.joint_template.unflatten(0, (-1, 3))
    bones = rest[BODY_JOINTS] - rest[parents]
    change = model.joint_blend_shapes[:n_betas].unflatten(1, (-1, 3))
    along = ((change[:, BODY_JOINTS] - change[:, parents]) * bones / bones.norm(dim=1, keepdim=True)).sum((1, 2))
    return along / bones.norm(dim=1).sum()


def row_terms(solver: Solver, number: int, n_views: int, shape_share: float = 1.0) -> StageTerms:
    """The terms of a stage for the rows of a track; self-collisions are left out.

    A frame's priors count once, whatever the number of views. With several views no assumption about leaning towards
    a camera is needed.

    Args:
        solver: body model and settings.
        number: the stage, counted from 1.
        n_views: rows of each frame.
        shape_share: times that the prior of the shape counts in each frame.
    """
    stage = solver.stage_terms(number)
    terms = []
    for term, weight in stage.terms:
        energy = term.energy
        if energy is collision_energy or (n_views > 1 and energy in (trunk_tilt, upright_stance)):
            continue
        if energy == _SHAPE:
            weight = _scaled(weight, shape_share / n_views)
        elif not isinstance(energy, KeypointEnergy) and energy is not lifting:
            weight = _scaled(weight, 1.0 / n_views)
        terms.append((term, weight))
    groups = [name for name in solver.parameters.layout.sizes if name in stage.groups or name == "translation"]
    return StageTerms(stage.view, terms, groups, stage.rho)


def _scaled(weight: Weight, factor: float) -> Weight:
    """A weight whose square is a multiple."""
    root = factor**0.5
    return tuple(one * root for one in weight) if isinstance(weight, tuple) else weight * root


def _band_weights(factors: NDArray[np.floating], n_frames: int) -> list[NDArray[np.floating]]:
    """Weights [F - k, N] of products of frames k = 0, 1, 2 apart, from those [F - 2, N] of second differences."""
    out = [np.zeros((max(n_frames - apart, 0), factors.shape[1]), factors.dtype) for apart in range(3)]
    for i, a in enumerate(_FACTORS):
        for apart in range(3 - i):
            out[apart][i : i + len(factors)] += a * _FACTORS[i + apart] * factors
    return out


def _bands(moving: NDArray[np.float32], factors: NDArray[np.floating]) -> list[NDArray[np.float64]]:
    """Blocks [F - k, d, d] of frames k apart, from derivatives [F, N, d] and factors [F - 2, N]."""
    blocks = []
    for apart, weights in enumerate(_band_weights(factors, len(moving))):
        later = moving[apart:].transpose(0, 2, 1)
        weighted = moving[: len(moving) - apart] * weights[:, :, None].astype(np.float32)
        blocks.append(np.matmul(later, weighted).astype(np.float64))
    return blocks


def _positions(columns: Tensor, wanted: Tensor) -> NDArray[np.int64]:
    """Places of the wanted columns among all."""
    return np.flatnonzero(np.isin(columns.cpu().numpy(), wanted.cpu().numpy()))
