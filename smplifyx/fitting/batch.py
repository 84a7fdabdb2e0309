"""Tensors of a batch: the observations of each person, and the hypotheses about them, one row each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from smplifyx.constants import index_of
from smplifyx.optim.problem import Status

_R = TypeVar("_R", bound="Rows")


class Rows:
    """A dataclass of tensors, or of such dataclasses, whose first axis is the same."""

    def index(self: _R, rows: Tensor) -> _R:
        """Some rows [N], in that order."""
        return type(self)(**{name: _index(value, rows) for name, value in self._values().items()})

    def concatenate(self: _R, other: _R) -> _R:
        """These rows followed by others."""
        others = other._values()
        return type(self)(**{name: _concatenate(value, others[name]) for name, value in self._values().items()})

    def overwrite(self: _R, rows: Tensor, other: _R) -> _R:
        """A copy in which the given rows [N] are those of another batch of N rows."""
        others = other._values()
        return type(self)(**{name: _overwrite(value, rows, others[name]) for name, value in self._values().items()})

    def on_host(self: _R) -> _R:
        """The same on the CPU."""
        return type(self)(**{name: _on_host(value) for name, value in self._values().items()})

    def _values(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]


def _index(value: Any, rows: Tensor) -> Any:
    return value.index(rows) if isinstance(value, Rows) else value[rows]


def _on_host(value: Any) -> Any:
    return value.on_host() if isinstance(value, Rows) else value.cpu()


def _concatenate(first: Any, second: Any) -> Any:
    return first.concatenate(second) if isinstance(first, Rows) else torch.cat([first, second])


def _overwrite(value: Any, rows: Tensor, other: Any) -> Any:
    return value.overwrite(rows, other) if isinstance(value, Rows) else value.index_copy(0, rows, other)


@dataclass(frozen=True)
class FitTargets(Rows):
    """The observed quantities that the objective compares with.

    Attributes:
        keypoints: [B, 135, 2] pixels.
        confidence: [B, 135] in 0..1; 0 for keypoints that were not detected.
        focal_length: [B, 2] pixels.
        principal_point: [B, 2] pixels.
        pixel_scale: [B] factor from pixels to the units of the objective, in which a person is about 1000 tall.
        upright_stance: [B] 1 for people who seem to stand, else 0.
        swapped_sides: [B, 2] whether left and right of arms and of legs were swapped back.
        lifted: [B, 21, 3] lifted body joints, see :class:`~smplifyx.lifting.lifter.LiftedJoints`.
        sqrt_precision: [B, 21, 3, 3] their precision; zero without lifting.
    """

    keypoints: Tensor
    confidence: Tensor
    focal_length: Tensor
    principal_point: Tensor
    pixel_scale: Tensor
    upright_stance: Tensor
    swapped_sides: Tensor
    lifted: Tensor
    sqrt_precision: Tensor

    def of_keypoints(self, keypoints: Sequence[int]) -> FitTargets:
        """These targets, restricted to some keypoints [N]."""
        chosen = index_of(tuple(keypoints), self.keypoints.device)
        return replace(self, keypoints=self.keypoints[:, chosen], confidence=self.confidence[:, chosen])

    def without_keypoints(self, keypoints: Sequence[int]) -> FitTargets:
        """These targets with confidence 0 for some keypoints."""
        if not keypoints:
            return self
        confidence = self.confidence.clone()
        confidence.index_fill_(1, index_of(tuple(keypoints), confidence.device), 0.0)
        return replace(self, confidence=confidence)


@dataclass(frozen=True)
class InitialPose(Rows):
    """The pose that the relative parameters of each row refer to.

    Attributes:
        orientation: [B, 3, 3] starting orientation, body to camera.
        translation: [B, 3] starting camera translation, metres.
    """

    orientation: Tensor
    translation: Tensor

    def to(self, dtype: torch.dtype) -> InitialPose:
        """The same in another precision."""
        return InitialPose(self.orientation.to(dtype), self.translation.to(dtype))


@dataclass(frozen=True)
class StageEnds(Rows):
    """The hypotheses at the ends of the stages so far; attributes of the same names as in :class:`Hypotheses`.

    Attributes:
        x: [R, S, D].
        loss, contour_rows, colliding: [R, S].
    """

    x: Tensor
    loss: Tensor
    contour_rows: Tensor
    colliding: Tensor

    @classmethod
    def of(cls, hypotheses: Hypotheses) -> StageEnds:
        """One stage that ended with these hypotheses."""
        return cls(**{field.name: getattr(hypotheses, field.name)[:, None] for field in fields(cls)})

    def followed_by(self, other: StageEnds) -> StageEnds:
        """These stages and those after them."""
        others = other._values()
        return StageEnds(**{name: torch.cat([value, others[name]], 1) for name, value in self._values().items()})


@dataclass(frozen=True)
class Hypotheses(Rows):
    """The state of a batch between two steps of a schedule: one row is one hypothesis about one person.

    Attributes:
        person: [R] the person of each row.
        targets: the observed quantities, by row.
        initial: the pose that ``x`` is relative to.
        x: [R, D] all parameters, see :class:`~smplifyx.fitting.parameters.ParameterLayout`.
        loss: [R] value of the last objective.
        contour_rows: [R] rows of the face contour's table that this objective took.
        colliding: [R] whether this objective has the collision term.
        ends: the stages so far.
        status: [R] how the last minimisation ended, see :class:`~smplifyx.optim.problem.Status`.
        n_evaluations: [R] evaluations of all objectives together.
        truncated: [R] whether a row had more pairs that collide than are kept.
        spread: [R] mean distance of the hypotheses that competed with this one to the end from it, weighted by their
            losses (metres).
        gap: [R] relative rise of the loss to the best of them in a different pose; at most 1.
    """

    person: Tensor
    targets: FitTargets
    initial: InitialPose
    x: Tensor
    loss: Tensor
    contour_rows: Tensor
    colliding: Tensor
    ends: StageEnds
    status: Tensor
    n_evaluations: Tensor
    truncated: Tensor
    spread: Tensor
    gap: Tensor

    @classmethod
    def start(cls, person: Tensor, targets: FitTargets, initial: InitialPose, x: Tensor) -> Hypotheses:
        """Hypotheses that were not fitted yet.

        Args:
            person: [R] the person of each row.
            targets: the observed quantities, by row.
            initial: the starting poses.
            x: [R, D] the parameters.
        """
        zeros = x.new_zeros(len(x))
        no = torch.zeros_like(person, dtype=torch.bool)
        return cls(
            person=person,
            targets=targets,
            initial=initial,
            x=x,
            loss=zeros.clone(),
            contour_rows=torch.zeros_like(person),
            colliding=no,
            ends=StageEnds(
                x=x.new_zeros(len(x), 0, x.shape[1]),
                loss=x.new_zeros(len(x), 0),
                contour_rows=person.new_zeros(len(x), 0),
                colliding=no.new_zeros(len(x), 0),
            ),
            status=torch.zeros_like(person),
            n_evaluations=torch.zeros_like(person),
            truncated=no.clone(),
            spread=zeros.clone(),
            gap=torch.ones_like(zeros),
        )

    def at_end(self, stage: int) -> Hypotheses:
        """The hypotheses at the end of one of the S stages so far, counted from 0."""
        return replace(self, **{name: value[:, stage] for name, value in self.ends._values().items()})

    @property
    def rows(self) -> Tensor:
        """[R] all row numbers."""
        return torch.arange(len(self.x), device=self.x.device)

    def failed(self) -> np.ndarray:
        """[R] rows without a finite result."""
        finite = torch.isfinite(self.loss) & torch.isfinite(self.x).all(1)
        return (~finite | (self.status == Status.NON_FINITE)).cpu().numpy()

    def best(self) -> Tensor:
        """[P] the row of lowest loss of each person; a failed row loses against one that did not fail."""
        loss = torch.where(torch.isfinite(self.loss), self.loss, torch.inf)
        n_people = int(self.person.max()) + 1
        lowest = loss.new_full((n_people,), torch.inf).scatter_reduce(0, self.person, loss, "amin")
        # Of equal losses the first row counts.
        rows = torch.where(loss == lowest[self.person], self.rows, len(loss))
        return rows.new_full((n_people,), len(loss)).scatter_reduce(0, self.person, rows, "amin")
