"""The objective of a stage: the weighted sum of its terms, row by row (Pavlakos et al. 2019, eq. 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from smplifyx.fitting.batch import FitTargets, Hypotheses, InitialPose, Rows
from smplifyx.fitting.state import BodyState, BodyView, CollisionEnergy
from smplifyx.fitting.terms import KeypointEnergy, Term, Weight, collision_energy, is_zero, squared_weight
from smplifyx.optim.lbfgs import Evaluation


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
        targets: what the terms compare with, if not the targets of the hypotheses.
        collision: energy of the self-collisions of these rows; None leaves the term out.
    """

    def __init__(
        self,
        stage: StageTerms,
        hypotheses: Hypotheses,
        targets: FitTargets | None = None,
        collision: CollisionEnergy | None = None,
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
        with torch.no_grad():
            start = view.pose(x, hypotheses.initial)
            # Choosing the contour's points anew at each step would make the loss jump.
            contour = view.regressor.contour_rows(start.output)
        self._all = _RowData(
            hypotheses.rows, x, hypotheses.initial, observed, self._keypoint_weights(observed.confidence), contour
        )

    def _keypoint_weights(self, confidence: Tensor) -> Tensor:
        """[B, N, 1] factors of the squared errors of all keypoint terms together."""
        factors = confidence.new_zeros(confidence.shape[1])
        for term, squared in self._terms:
            if isinstance(term.energy, KeypointEnergy):
                factors = factors + squared * term.energy.mask(self._view.keypoints, confidence)
        return (confidence.square() * factors)[..., None]

    def __call__(self, rows: Tensor) -> Evaluation:
        """Losses [A] and gradients [A, F] of some rows [A] as a function of their free parameters [A, F]."""
        data = self._all.index(rows)

        def evaluate(x: Tensor) -> tuple[Tensor, Tensor]:
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                loss = self._loss(x, data)
                (gradient,) = torch.autograd.grad(loss.sum(), x)
            return loss.detach(), gradient

        return evaluate

    def loss(self, x: Tensor, rows: Tensor | None = None) -> Tensor:
        """Losses [A] of some or all rows at free parameters [A, F], differentiable."""
        return self._loss(x, self._all if rows is None else self._all.index(rows))

    @torch.no_grad()
    def losses(self, x: Tensor) -> dict[str, Tensor]:
        """The value [B] of each term at free parameters [B, F] of all rows; they add up to the loss."""
        state = self._state(x, self._all)
        return {term.name: _weighted(term.energy(state), squared) for term, squared in self._terms}

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
        state = self._state(x, data)
        # The keypoint terms differ in their factors only, so they are evaluated together.
        loss = (data.keypoint_weights * state.keypoint_errors).sum((1, 2))
        for term, squared in self._terms:
            if not isinstance(term.energy, KeypointEnergy):
                loss = _add(loss, term.energy(state), squared)
        return loss


def _weighted(energy: Tensor, squared: float | Tensor) -> Tensor:
    return energy * squared if energy.ndim == 1 else (energy * squared).sum(1)


def _add(loss: Tensor, energy: Tensor, squared: float | Tensor) -> Tensor:
    if isinstance(squared, Tensor):
        return loss + _weighted(energy, squared)
    return torch.add(loss, energy if energy.ndim == 1 else energy.sum(1), alpha=squared)
