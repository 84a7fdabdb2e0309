"""Trains the lifting network: people seen anew in every step, an averaged network, going on after a stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from smplifyx.body.data import BodyModelData
from smplifyx.lifting.network import SWAPPABLE_LIMBS, LiftingNetwork, LiftingOutput
from smplifyx.training.lifting_config import LiftingConfig
from smplifyx.training.lifting_people import LiftingPeople, PoseSource, Sighting, make_people, observe
from smplifyx.training.motion_capture import MotionCapture
from smplifyx.training.run_state import RunState

#: Called after each step.
Progress = Callable[[], object]
_WARM_UP = 0.05
_LARGEST_GRADIENT = 1.0
#: Probability from which limbs count as exchanged in the report.
_SURE = 0.5


@dataclass
class LiftingHistory:
    """One value an epoch: losses, and the validation's errors: joints (mm), share of people with a wrong exchange."""

    training: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    joints_mm: list[float] = field(default_factory=list)
    exchange_error: list[float] = field(default_factory=list)


def unseen_people(body: BodyModelData, poses: MotionCapture, config: LiftingConfig) -> Sighting:
    """The people of a validation; always the same ones."""
    run = config.run
    people = make_people(body, PoseSource.of(poses, config.data, run.seed), config.people, run.n_validation)
    return observe(people, config.detector, config.people.focal_spread, np.random.default_rng(run.seed))


class LiftingTrainer:
    """One training run.

    Args:
        body: a body model with hands.
        training: whose poses are learned.
        validation: whose poses the figures are about.
        config: all settings.
    """

    def __init__(
        self, body: BodyModelData, training: MotionCapture, validation: MotionCapture, config: LiftingConfig
    ) -> None:
        run = config.run
        torch.manual_seed(run.seed)
        self.config = config
        self.history = LiftingHistory()
        self.network = LiftingNetwork(run.width, run.n_blocks)
        #: A running mean of the network, which is what is kept.
        self.averaged = LiftingNetwork(run.width, run.n_blocks)
        self.averaged.load_state_dict(self.network.state_dict())
        source = PoseSource.of(training, config.data, run.seed)
        self._rng = source.rng
        self._people = make_people(body, source, config.people, config.people.count)
        self.validation = unseen_people(body, validation, config)
        self._optimizer = torch.optim.AdamW(
            self.network.parameters(), run.learning_rate, weight_decay=run.weight_decay
        )
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer, run.learning_rate, run.epochs * run.steps_per_epoch, pct_start=_WARM_UP
        )

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""
        return len(self.history.validation) >= self.config.run.epochs

    def epochs(self, progress: Progress | None = None) -> Iterator[LiftingHistory]:
        """Trains on until the run is over; yields the history after every epoch."""
        while not self.finished:
            training = self._train_epoch(progress)
            self._validate(training)
            yield self.history

    def _train_epoch(self, progress: Progress | None) -> float:
        run = self.config.run
        losses = []
        for _ in range(run.steps_per_epoch):
            rows = torch.as_tensor(self._rng.integers(len(self._people.points), size=run.batch_size))
            people = LiftingPeople(self._people.points[rows], self._people.joints[rows])
            batch = observe(people, self.config.detector, self.config.people.focal_spread, self._rng)
            loss = self._loss(self.network(batch.features), batch)
            self._optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), _LARGEST_GRADIENT)
            self._optimizer.step()
            self._schedule.step()
            self._average()
            losses.append(loss.item())
            if progress is not None:
                progress()
        return float(np.mean(losses))

    def _loss(self, answer: LiftingOutput, batch: Sighting) -> Tensor:
        """Negative log-likelihood of the joints (but for a constant), and the cross-entropy of exchanged limbs.

        Coordinates are weighed by their standard deviations (Seitzer et al. 2022, "On the pitfalls of heteroscedastic
        uncertainty estimation", with beta 0.5): the likelihood alone hardly teaches those that are hard to tell.
        """
        standard = (answer.joints - batch.joints) * torch.exp(-answer.log_sd)
        weight = torch.exp(answer.log_sd.detach())
        likelihood = (weight / weight.mean() * (0.5 * standard.square() + answer.log_sd)).mean()
        exchange = functional.binary_cross_entropy_with_logits(answer.swapped_sides, batch.swapped_sides)
        return likelihood + self.config.run.exchange_weight * exchange

    @torch.no_grad()
    def _average(self) -> None:
        new = 1.0 - self.config.run.averaging
        for mean, value in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(value, new)

    @torch.no_grad()
    def _validate(self, training: float) -> None:
        batch, history = self.validation, self.history
        answer = self.averaged(batch.features)
        wrong = (answer.swapped_sides.sigmoid() > _SURE) != (batch.swapped_sides > 0)
        history.training.append(training)
        history.validation.append(self._loss(answer, batch).item())
        history.joints_mm.append(1000.0 * (answer.joints - batch.joints).norm(dim=2).mean().item())
        history.exchange_error.append(wrong.float().mean().item() * len(SWAPPABLE_LIMBS))

    @property
    def _state(self) -> RunState:
        return RunState(self.network, self._optimizer, self._schedule, self._rng)

    def save(self, path: Path) -> None:
        """Writes everything that is needed to go on, as plain tensors and numbers."""
        self._state.save(path, self.config, self.history, self.averaged.state_dict())

    def resume(self, path: Path) -> None:
        """Goes on from a file that :meth:`save` wrote with the same settings.

        Raises:
            InputError: the file is damaged or belongs to other settings.
        """
        history, averaged = self._state.load(path, self.config, tuple(asdict(self.config)))
        self.history = LiftingHistory(**history)
        self.averaged.load_state_dict(averaged)
