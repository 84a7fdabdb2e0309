"""Convergence of fits: the same people from other starts, with keypoints hardly moved, and in other batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from smplifyx.body.data import BodyModelData
from smplifyx.config import Config
from smplifyx.evaluation.tables import Row
from smplifyx.fitting.batch import Hypotheses
from smplifyx.fitting.fitter import Fitter
from smplifyx.keypoints import Observation
from smplifyx.result import FitResult

FloatArray = NDArray[np.float64]

#: Rows of a batch, restarts included: each is one more person there.
_BATCH_SIZE = 64
#: Other batch sizes that must not change a fit.
_OTHER_BATCHES = (1, 7)
#: Largest shift of a coordinate, pixels.
_SHIFT_PX = 1e-4
#: A fit whose parts overlap this much deeper has another loss: its contacts were given up (millimetres).
_DEEPER_MM = 1.0
#: Shares of the lowest loss, and movements of the worst joint (millimetres), that are counted.
_SHARES, _MOVEMENTS_MM = (0.01, 0.05), (1.0, 10.0)


class _RestartingFitter(Fitter):
    """Starts each person from perturbed parameters, but for those who are marked."""

    def __init__(self, data: BodyModelData, config: Config, size: float, seed: int) -> None:
        super().__init__(data, config=config, batch_size=_BATCH_SIZE)
        self._size, self._random = size, np.random.default_rng(seed)
        self._keeps: list[bool] = []

    def fit_from(self, observations: Sequence[Observation], keeps: Sequence[bool]) -> list[FitResult]:
        """Fit people; ``keeps`` marks those who start as always."""
        self._keeps = list(keeps)
        return self.fit(observations)

    def initial_hypotheses(self, observations: Sequence[Observation]) -> Hypotheses:
        """The usual ones, their parameters moved by normal random numbers in units of each one's typical change."""
        hypotheses = super().initial_hypotheses(observations)
        keeps, self._keeps = self._keeps[: len(observations)], self._keeps[len(observations) :]
        scales = self._solver.parameters.layout.natural_scales().to(hypotheses.x)
        noise = torch.as_tensor(self._random.normal(size=tuple(hypotheses.x.shape))).to(hypotheses.x)
        moves = (~torch.tensor(keeps))[hypotheses.person].to(hypotheses.x)
        return replace(hypotheses, x=hypotheses.x + self._size * moves[:, None] * scales * noise)


@dataclass(frozen=True)
class RestartFigures:
    """Losses of P people, the usual fit's and those from R perturbed starts.

    Attributes:
        loss: [P].
        restarted: [P, R]; infinite where parts of the body overlap deeper than in the usual fit.
        converged: [P] whether the usual fit's last minimisation arrived.
    """

    loss: FloatArray
    restarted: FloatArray
    converged: NDArray[np.bool_]

    @property
    def lowest(self) -> FloatArray:
        """[P] the lowest loss of all; infinite where no fit is finite."""
        lowest: FloatArray = np.minimum(self.loss, self.restarted.min(1, initial=np.inf))
        return lowest

    @property
    def excess(self) -> FloatArray:
        """[P] share by which the usual fit's loss is above the lowest of all; infinite where it is not finite."""
        usual = np.isfinite(self.loss)
        return np.divide(self.loss, self.lowest, out=np.full(len(usual), np.inf), where=usual) - 1.0


def restart(
    data: BodyModelData,
    config: Config,
    people: Sequence[Observation],
    n_restarts: int,
    size: float = 1.0,
    seed: int = 0,
) -> RestartFigures:
    """Fit people from their usual start and from perturbed ones.

    Args:
        data: the body model.
        config: the fitter's settings.
        people: the people.
        n_restarts: perturbed starts of each one.
        size: standard deviation of a parameter of the starts, in units of its typical change.
        seed: of the random numbers.
    """
    fitter = _RestartingFitter(data, config, size, seed)
    observations = [one for one in people for _ in range(1 + n_restarts)]
    results = fitter.fit_from(observations, ([True] + [False] * n_restarts) * len(people))
    losses = np.array([result.loss for result in results]).reshape(len(people), -1)
    depths = np.array([result.penetration_mm for result in results]).reshape(losses.shape)
    losses = np.where(np.isfinite(losses) & ~(depths > depths[:, :1] + _DEEPER_MM), losses, np.inf)
    converged = np.array([result.converged for result in results[:: 1 + n_restarts]])
    return RestartFigures(losses[:, 0], losses[:, 1:], converged)


def movements_mm(
    data: BodyModelData, config: Config, people: Sequence[Observation], seed: int = 0
) -> tuple[FloatArray, list[FitResult]]:
    """Move keypoints by up to about a ten-thousandth of a pixel: moves [P] of the worst joint, and the usual fits.

    From 1024 pixels on single precision has steps of 0.00012 pixels: coordinates move by one step or not at all.
    """
    random = np.random.default_rng(seed)
    moved = []
    for one in people:
        keypoints = one.keypoints.astype(np.float64)
        keypoints[:, :2] += random.uniform(-_SHIFT_PX, _SHIFT_PX, keypoints[:, :2].shape)
        moved.append(replace(one, keypoints=keypoints.astype(np.float32)))
    results = Fitter(data, config=config, batch_size=_BATCH_SIZE).fit([*people, *moved])
    joints = np.stack([result.joints for result in results]).astype(np.float64)
    usual, other = joints[: len(people)], joints[len(people) :]
    distances: FloatArray = 1e3 * np.linalg.norm(other - usual, axis=2).max(1)
    return distances, results[: len(people)]


def same_in_other_batches(
    data: BodyModelData, config: Config, people: Sequence[Observation], usual: Sequence[FitResult]
) -> NDArray[np.bool_]:
    """Whether [P] the joints are the same, to the bit, alone, in batches of seven, and as copies side by side."""
    same = np.ones(len(people), bool)
    for size in _OTHER_BATCHES:
        results = Fitter(data, config=config, batch_size=size).fit(people)
        same &= [np.array_equal(one.joints, other.joints) for one, other in zip(results, usual, strict=True)]
    copies = Fitter(data, config=config, batch_size=_BATCH_SIZE).fit([one for one in people for _ in range(2)])
    for k, one in enumerate(usual):
        same[k] &= all(np.array_equal(one.joints, copy.joints) for copy in copies[2 * k : 2 * k + 2])
    return same


def without_collisions(config: Config) -> Config:
    """The same settings without the self-collision term."""
    return replace(config, collision=replace(config.collision, enabled=False))


def restart_row(figures: RestartFigures) -> Row:
    """A row of a table: shares of people whose usual fit is close to the lowest loss."""
    excess = figures.excess
    arrived = np.isfinite(figures.restarted) & (figures.restarted <= 1.01 * figures.lowest[:, None])
    return {
        "people": len(excess),
        "restarts": figures.restarted.shape[1],
        **{f"within {share:.0%}": _percent(excess <= share) for share in _SHARES},
        "worst": f"+{100 * excess.max():.1f} %",
        "restarts within 1%": _percent(arrived),
        "converged": _percent(figures.converged),
    }


def movement_row(title: str, moved: FloatArray) -> Row:
    """A row of a table: shares of people whose worst joint hardly moved."""
    return {
        "keypoints moved by 0.0001 px": title,
        "people": len(moved),
        **{f"joints below {limit:g} mm": _percent(moved < limit) for limit in _MOVEMENTS_MM},
        "median, mm": f"{np.median(moved):.3f}",
        "worst, mm": f"{moved.max():.1f}",
    }


def _percent(mask: NDArray[np.bool_]) -> str:
    return f"{100 * np.mean(mask):.1f} %"
