"""The objective of a stage: the weighted sum of its terms, row by row (Pavlakos et al. 2019, eq. 3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property, partial

import torch
from torch import Tensor

from smplifyx.collision.skinning import BoneStates
from smplifyx.errors import UsageError
from smplifyx.fitting.batch import FitTargets, Hypotheses, InitialPose, Rows
from smplifyx.fitting.native_objective import BoneEnergy, BoneResiduals, NativeObjective, NativeTerms
from smplifyx.fitting.state import BodyState, BodyView, CollisionEnergy
from smplifyx.fitting.terms import (
    KeypointEnergy,
    Squares,
    Term,
    Weight,
    collision_energy,
    depth_change,
    is_zero,
    joint_limits,
    lifting,
    pose_prior,
    squared_weight,
    trunk_tilt,
    upright_stance,
    weighted,
)
from smplifyx.fitting.torch_curvature import TorchCurvature, damped_factors
from smplifyx.optim import padded_rows
from smplifyx.optim.problem import Evaluation

#: Terms that the native objective has, by their names there.
_NATIVE = {
    joint_limits: "joint_limits",
    trunk_tilt: "trunk_tilt",
    upright_stance: "upright_stance",
    lifting: "lifting",
    depth_change: "depth",
}


@dataclass(frozen=True)
class StageTerms:
    """The terms of one stage and the parameters that it moves.

    Attributes:
        view: the restricted body and its keypoints.
        terms: the terms and their weights; terms of weight 0 are left out.
        groups: parameter groups that move.
        rho: scale of the robust keypoint error; None for a squared error.
    """

    view: BodyView
    terms: Sequence[tuple[Term, Weight]]
    groups: Sequence[str]
    rho: float | None

    @classmethod
    def of(
        cls,
        view: BodyView,
        terms: Sequence[Term],
        weights: Mapping[str, Weight],
        groups: Sequence[str],
        rho: float | None,
    ) -> StageTerms:
        """The terms with a weight, and with parameters to depend on."""
        moving = set(groups) & set(view.parameters.layout.groups)
        named = [(term, weights[term.name]) for term in terms]
        active = [(term, weight) for term, weight in named if not is_zero(weight) and term.applies(moving)]
        return cls(view, active, groups, rho)


@dataclass(frozen=True)
class _RowData(Rows):
    """The data of some rows [A]; ``keypoint_weights`` [A, N, 1] are the factors of the squared keypoint errors."""

    rows: Tensor
    x: Tensor
    initial: InitialPose
    targets: FitTargets
    keypoint_weights: Tensor
    contour_rows: Tensor


class Objective:
    """The weighted sum of a stage's terms as a function of the free parameters of some rows.

    Args:
        stage: the terms.
        hypotheses: the rows; parameters that the stage does not move stay as they are here.
        targets: those that the terms compare with, if not those of the hypotheses.
        collision: energy of the self-collisions of these rows; None leaves the term out.
        contour_rows: [B] rows of the face contour's table; None: from the poses of the hypotheses.
    """

    def __init__(
        self,
        stage: StageTerms,
        hypotheses: Hypotheses,
        targets: FitTargets | None = None,
        collision: CollisionEnergy | None = None,
        contour_rows: Tensor | None = None,
    ) -> None:
        view, x = stage.view, hypotheses.x
        self.free = view.parameters.layout.indices(stage.groups).to(x.device)
        self._view, self._rho, self._collision = view, stage.rho, collision
        self._terms = [
            (term, squared_weight(weight, x))
            for term, weight in stage.terms
            if collision is not None or term.energy is not collision_energy
        ]
        observed = (hypotheses.targets if targets is None else targets).of_keypoints(view.keypoints)
        # Choosing the contour's points anew at each step would make the loss jump.
        contour = view.contour_rows(x, hypotheses.initial) if contour_rows is None else contour_rows
        self._all = _RowData(
            hypotheses.rows, x, hypotheses.initial, observed, self._keypoint_weights(observed.confidence), contour
        )

    @property
    def _curvature(self) -> NativeObjective | TorchCurvature:
        return self._curvature_and_others[0]

    @property
    def _others(self) -> list[tuple[Term, float | Tensor]]:
        """The terms without a native form."""
        return self._curvature_and_others[1]

    @property
    def _native(self) -> NativeObjective | None:
        """Computes losses and gradients on the CPU, where these are wanted in its precision."""
        if self._view.native is None or not self._view.is_single:
            return None
        assert isinstance(self._curvature, NativeObjective)
        return self._curvature

    @property
    def contour_rows(self) -> Tensor:
        """[B] rows of the face contour's table."""
        return self._all.contour_rows

    @property
    def has_collision(self) -> bool:
        """Whether self-collisions count."""
        return self._collision is not None

    def _keypoint_weights(self, confidence: Tensor) -> Tensor:
        """[B, N, 1] factors of the squared errors of all keypoint terms together."""
        factors = confidence.new_zeros(confidence.shape[1])
        for term, squared in self._terms:
            if isinstance(term.energy, KeypointEnergy):
                factors = factors + squared * term.energy.mask(self._view.keypoints, confidence)
        return (confidence.square() * factors)[..., None]

    def __call__(self, rows: Tensor) -> Evaluation:
        """Losses [A] and gradients [A, F] of some rows [A] as a function of their free parameters [A, F]."""
        if self._native is not None:
            collision = self._collision
            energy = None if collision is None else collision.evaluation(rows, self._collision_weight)
            return self._native_evaluation(self._native, rows, energy)
        return self._torch_evaluation(rows, self._loss, self._collision is not None)

    def evaluation_with(self, rows: Tensor, bone_energy: BoneEnergy) -> Evaluation:
        """As a call, with more losses [A] of the posed bones; ``bone_energy`` also gives their gradients.

        The energy may connect the rows. Self-collisions are not part of it.
        """
        if self._native is not None:
            return self._native_evaluation(self._native, rows, bone_energy)
        n_rows = len(rows)

        def function(x: Tensor, data: _RowData) -> Tensor:
            state = self._state(x, data)
            bones = state.bones.index(torch.arange(n_rows, device=x.device))
            more, gradient = bone_energy(bones.detach())
            along = x.new_zeros(n_rows)
            for part in fields(BoneStates):
                value, slope = getattr(bones, part.name), getattr(gradient, part.name)
                along = along + ((value - value.detach()) * slope).flatten(1).sum(1)
            return self._sum(state, data)[:n_rows] + more + along

        return self._torch_evaluation(rows, function)

    def _torch_evaluation(
        self, rows: Tensor, function: Callable[[Tensor, _RowData], Tensor], with_collision: bool = False
    ) -> Evaluation:
        n_rows = len(rows)
        # The collision term keeps something for each row, so that rows cannot be filled up with copies.
        index = self._all.rows[:n_rows] if with_collision else padded_rows(n_rows, rows.device)
        data = self._all.index(rows[index])

        def evaluate(x: Tensor) -> tuple[Tensor, Tensor]:
            with torch.enable_grad():
                x = x.detach()[index].requires_grad_()
                loss = function(x, data)
                (gradient,) = torch.autograd.grad(loss.sum(), x)
            return loss.detach()[:n_rows], gradient[:n_rows]

        return evaluate

    def _native_evaluation(self, native: NativeObjective, rows: Tensor, bone_energy: BoneEnergy | None) -> Evaluation:
        evaluate = native.evaluation(rows, bone_energy)
        if not self._others:
            return evaluate
        evaluate_others = self._torch_evaluation(rows, self._other_losses)

        def evaluate_all(x: Tensor) -> tuple[Tensor, Tensor]:
            (loss, gradient), (other_loss, other_gradient) = evaluate(x), evaluate_others(x)
            return loss + other_loss, gradient + other_gradient

        return evaluate_all

    @property
    def _collision_weight(self) -> float:
        return float(sum(squared for term, squared in self._terms if term.energy is collision_energy))

    def _other_losses(self, x: Tensor, data: _RowData) -> Tensor:
        state, loss = self._state(x, data), x.new_zeros(len(x))
        for term, squared in self._others:
            loss = _add(loss, _energy(term, state, len(x)), squared)
        return loss

    @property
    def has_gauss_newton(self) -> bool:
        """Whether :meth:`hessian_factors` may be asked for.

        Parameters that no prior holds, other than the place and heading of the body, make the matrix nearly singular
        where keypoints do not show them.
        """
        layout, names = self._view.parameters.layout, ["translation", "global_orient"]
        if any(term.energy is pose_prior for term, _ in self._others):
            names.append("body_pose")
        return bool(torch.isin(self._curvature.unheld.cpu(), layout.indices(names)).all())

    def gauss_newton(self, x: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Gauss-Newton matrices and derivatives of the joints, as those of the native objective."""
        single = x.float()
        matrices, joints = self._curvature.gauss_newton(single, rows, self._directions(rows))
        return matrices + self._prior_curvature(x, rows).float(), joints

    def hessian_factors(self, x: Tensor, rows: Tensor, damping: float) -> Tensor:
        """Upper Cholesky factors [A, F, F] of damped Gauss-Newton matrices at free parameters x [A, F].

        They are computed in single precision whatever that of x is: an optimiser needs no more.
        """
        if any(term.energy is pose_prior for term, _ in self._others):
            return damped_factors(self.gauss_newton(x, rows)[0], damping).to(x)
        return self._curvature.hessian_factors(x.float(), rows, damping, self._directions(rows)).to(x)

    def _prior_curvature(self, x: Tensor, rows: Tensor) -> Tensor:
        """Curvature [A, F, F] of a pose prior that is not native."""
        weight = sum(squared for term, squared in self._others if term.energy is pose_prior)
        curvature = x.new_zeros(*x.shape, x.shape[1])
        if weight:
            columns = self._view.parameters.layout.slices["body_pose"]
            place = torch.arange(len(self.free))[(self.free >= columns.start) & (self.free < columns.stop)]
            pose = x[:, place][padded_rows(len(x), x.device)]
            curvature[:, place[:, None], place] = weight * self._view.parameters.prior.curvature(pose)[: len(x)]
        return curvature

    def _directions(self, rows: Tensor) -> BoneResiduals | None:
        """Residuals whose squares curve as the collision term; None without collisions."""
        if self._collision is None:
            return None
        return partial(self._collision.directions, rows=rows, weight=self._collision_weight)

    def loss(self, x: Tensor, rows: Tensor | None = None) -> Tensor:
        """Losses [A] of some or all rows at free parameters [A, F], differentiable."""
        return self._loss(x, self._all if rows is None else self._all.index(rows))

    @cached_property
    def _curvature_and_others(self) -> tuple[NativeObjective | TorchCurvature, list[tuple[Term, float | Tensor]]]:
        """Gauss-Newton matrices, of the native objective where there is one, and the terms that they do not have."""
        body, layout = self._view.native, self._view.parameters.layout
        quadratic = self._all.x.new_zeros(layout.n_parameters)
        scalars = {**dict.fromkeys(_NATIVE.values(), 0.0), "frames": 0.0}
        others = []
        for term, squared in self._terms:
            energy = term.energy
            if isinstance(energy, Squares):
                for name in energy.groups:
                    if name in layout.slices:
                        quadratic[layout.slices[name]] += squared
            elif energy is pose_prior and (scale := self._view.parameters.prior.quadratic_scale) is not None:
                quadratic[layout.slices["body_pose"]] += squared * scale
                scalars["frames"] += float(squared) * getattr(self._view.parameters.prior, "frame_weight", 0.0)
            elif energy in _NATIVE:
                scalars[_NATIVE[energy]] += float(squared)
            elif not isinstance(energy, KeypointEnergy) and energy is not collision_energy:
                others.append((term, squared))
        data = self._all
        targets = data.targets
        terms = NativeTerms(
            quadratic=quadratic,
            **scalars,
            rho=self._rho,
            keypoints=targets.keypoints,
            keypoint_weights=data.keypoint_weights[..., 0],
            focal_length=targets.focal_length,
            principal_point=targets.principal_point,
            pixel_scale=targets.pixel_scale,
            stance=targets.upright_stance,
            lifted=targets.lifted,
            sqrt_precision=targets.sqrt_precision,
            x=data.x,
            orientation=data.initial.orientation,
            translation=data.initial.translation,
            contour_rows=data.contour_rows,
            free=self.free,
        )
        return (TorchCurvature(self._view, terms) if body is None else NativeObjective(body, terms)), others

    @torch.no_grad()
    def values(self, x: Tensor) -> Tensor:
        """Losses [B] of all rows at free parameters [B, F], not differentiable."""
        if self._native is not None and not self._others and self._collision is None:
            return self._native.values(x, self._all.rows)
        rows = padded_rows(len(x), x.device)
        return self._loss(x[rows], self._all.index(rows))[: len(x)]

    @torch.no_grad()
    def energies(self, x: Tensor) -> dict[str, Tensor]:
        """The energy [B] or [B, C] of each term but collisions, without its weight, at free parameters [B, F]."""
        rows = padded_rows(len(x), x.device)
        state = self._state(x[rows], self._all.index(rows))
        terms = [term for term, _ in self._terms if term.energy is not collision_energy]
        return {term.name: _energy(term, state, len(rows))[: len(x)] for term in terms}

    def _state(self, x: Tensor, data: _RowData) -> BodyState:
        state = self._view.pose(data.x.index_copy(1, self.free, x), data.initial)
        return replace(
            state,
            targets=data.targets,
            contour_rows=data.contour_rows,
            rho=self._rho,
            collision=self._collision,
            rows=data.rows,
        )

    def _loss(self, x: Tensor, data: _RowData) -> Tensor:
        return self._sum(self._state(x, data), data)

    def _sum(self, state: BodyState, data: _RowData) -> Tensor:
        # The keypoint terms differ in their factors only, so they are evaluated together.
        loss = (data.keypoint_weights * state.keypoint_errors).sum((1, 2))
        for term, squared in self._terms:
            if not isinstance(term.energy, KeypointEnergy):
                loss = _add(loss, _energy(term, state, len(loss)), squared)
        return loss


def _energy(term: Term, state: BodyState, n_rows: int) -> Tensor:
    """Energy of a term; raises UsageError unless it has one number, or one row, for each body."""
    energy = term.energy(state)
    if energy.ndim not in (1, 2) or len(energy) != n_rows:
        found = " x ".join(str(size) for size in energy.shape) or "one number"
        raise UsageError(f"term {term.name}: expected an energy of one number per body, [{n_rows}], found {found}")
    return energy


def _add(loss: Tensor, energy: Tensor, squared: float | Tensor) -> Tensor:
    if isinstance(squared, Tensor):
        return loss + weighted(energy, squared)
    return torch.add(loss, energy if energy.ndim == 1 else energy.sum(1), alpha=squared)
