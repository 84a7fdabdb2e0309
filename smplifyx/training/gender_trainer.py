"""Trains the gender classifier: balanced classes, changed pictures, validation each epoch, going on after a stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from smplifyx.gender import GenderCheckpoint, GenderNetwork, GenderSettings, KnownFeatures, load_backbone
from smplifyx.gender.network import normalized
from smplifyx.training.gender_augmentation import Augmenter
from smplifyx.training.gender_calibration import (
    choose_foreign_limit,
    choose_threshold,
    class_weights,
    fit_temperature,
    tempered,
)
from smplifyx.training.gender_config import GenderTraining
from smplifyx.training.gender_foreign import ForeignPictures, foreign_loss
from smplifyx.training.gender_people import CutOut, CutOuts
from smplifyx.training.run_state import RunState

#: Called after each step.
Progress = Callable[[], object]
_EVALUATION_BATCH = 64
_WARM_UP = 0.15
#: Sections of the settings that a run cannot change on the way.
_FIXED = ("data", "architecture", "augmentation", "foreign", "run")


@dataclass
class History:
    """One value an epoch; the validation's loss is that at its best temperature, its accuracy for equal classes."""

    training: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)

    @property
    def best_epoch(self) -> int:
        """The epoch, counted from 0, of the lowest validation loss."""
        return int(np.argmin(self.validation))


@dataclass(frozen=True)
class Evaluation:
    """``logits`` `[N, 2]`, ``features`` `[N, F]`."""

    logits: NDArray[np.float64]
    features: Tensor


def evaluate(network: GenderNetwork, pictures: Sequence[NDArray[np.uint8]]) -> Evaluation:
    """What a network says to pictures."""
    network.eval()
    features = []
    with torch.inference_mode():
        for first in range(0, len(pictures), _EVALUATION_BATCH):
            crops = np.stack(pictures[first : first + _EVALUATION_BATCH])
            features.append(network.features(normalized(torch.as_tensor(crops))))
        together = torch.cat(features)
        return Evaluation(network.logits(together).double().numpy(), together)


def balanced_order(labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Everybody of the larger class once, in random order, in turn with people of the other, repeated if need be."""
    classes = [rng.permutation(np.nonzero(labels == label)[0]) for label in (0, 1)]
    longest = max(map(len, classes))
    return np.stack([np.resize(one, longest) for one in classes], 1).ravel()


class GenderTrainer:
    """One training run.

    Args:
        training: who is learned.
        validation: who decides which epoch is kept, and about temperature, threshold and foreignness.
        config: all settings.
        foreign: pictures from which it learns what is foreign; None: it does not.

    Raises:
        InputError: the initial weights are unusable.
    """

    def __init__(
        self,
        training: CutOuts,
        validation: CutOuts,
        config: GenderTraining,
        foreign: ForeignPictures | None = None,
    ) -> None:
        run, architecture = config.run, config.architecture
        torch.manual_seed(run.seed)
        self.config = config
        self.network = GenderNetwork(architecture.width, foreign is not None)
        if architecture.initial_weights is not None:
            load_backbone(Path(architecture.initial_weights), self.network)
        self.network = self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.history = History()
        self.best: dict[str, Tensor] = {}
        self._training, self._validation, self._foreign = training, validation, foreign
        self._rng = np.random.default_rng(run.seed)
        self._augmenter = Augmenter(config.augmentation, self._rng)
        self._optimizer = torch.optim.AdamW(self.network.parameters(), weight_decay=run.weight_decay)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer, run.learning_rate, run.epochs * self.steps_per_epoch, pct_start=_WARM_UP
        )

    @property
    def steps_per_epoch(self) -> int:
        """Steps until everybody of the larger class was shown; a rest too small for a step is left out."""
        n = 2 * int(np.bincount(self._training.labels, minlength=2).max())
        return max(1, n // self.config.run.batch_size)

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""
        return len(self.history.validation) >= self.config.run.epochs

    def epochs(self, progress: Progress | None = None) -> Iterator[History]:
        """Trains on until the run is over; yields the history after every epoch."""
        while not self.finished:
            training = self._train_epoch(progress)
            self._validate(training)
            yield self.history

    def _train_epoch(self, progress: Progress | None) -> float:
        self.network.train()
        order = balanced_order(self._training.labels, self._rng)
        losses = []
        for rows in np.array_split(order, self.steps_per_epoch):
            loss = self._loss(rows)
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
            self._schedule.step()
            losses.append(loss.item())
            if progress is not None:
                progress()
        return float(np.mean(losses))

    def _loss(self, rows: NDArray[np.int64]) -> Tensor:
        """What is lost on changed pictures of people, and on foreign ones where there are any."""
        pictures = [self._training.pictures[row] for row in rows]
        options = self.config.foreign
        n_foreign = 0 if self._foreign is None else max(1, round(options.share * len(rows)))
        if self._foreign is not None:
            pictures += self._any(self._foreign.familiar, n_foreign) + self._any(self._foreign.training, n_foreign)
        crops = np.stack([self._augmenter.draw(one) for one in pictures])
        features = self.network.features(normalized(torch.as_tensor(crops)))
        logits, labels = self.network.logits(features[: len(rows)]), torch.as_tensor(self._training.labels[rows])
        loss = functional.cross_entropy(logits, labels, label_smoothing=self.config.run.label_smoothing)
        if n_foreign:
            loss = loss + options.weight * foreign_loss(self.network.foreign_logits(features), n_foreign)
        return loss

    def _any(self, pictures: Sequence[CutOut], n: int) -> list[CutOut]:
        return [pictures[i] for i in self._rng.integers(len(pictures), size=n)]

    def _validate(self, training: float) -> None:
        labels = self._validation.labels
        logits = evaluate(self.network, self._validation.plain).logits
        probabilities = tempered(logits, fit_temperature(logits, labels))
        weights, history = class_weights(labels), self.history
        history.training.append(training)
        chosen = probabilities[np.arange(len(labels)), labels]
        history.validation.append(float(-weights @ np.log(np.maximum(chosen, 1e-12))))
        history.accuracy.append(float(weights @ (probabilities.argmax(1) == labels)))
        history.learning_rate.append(self._optimizer.param_groups[0]["lr"])
        if history.best_epoch == len(history.validation) - 1:
            self.best = {name: value.clone() for name, value in self.network.state_dict().items()}

    def checkpoint(self, source: str) -> GenderCheckpoint:
        """The best epoch's network, calibrated, with threshold and limits of what is foreign.

        Args:
            source: a line about the weights' origin.
        """
        architecture, verdict = self.config.architecture, self.config.verdict
        network = GenderNetwork(architecture.width, self._foreign is not None)
        network.load_state_dict(self.best)
        unseen = evaluate(network, self._validation.plain)
        known = self._known_features(network)
        temperature = fit_temperature(unseen.logits, self._validation.labels)
        probabilities = tempered(unseen.logits, temperature)
        threshold = verdict.threshold or choose_threshold(
            probabilities, self._validation.labels, verdict.target_error
        )
        foreignness = known.foreignness(unseen.features)
        limit = verdict.foreign_limit or float(foreignness.quantile(verdict.foreign_quantile))
        probability_limit = self._foreign_probability_limit(network)
        settings = GenderSettings(
            architecture.width, architecture.side, temperature, threshold, limit, source, probability_limit
        )
        return GenderCheckpoint(network.eval(), settings, known)

    @torch.inference_mode()
    def _foreign_probability_limit(self, network: GenderNetwork) -> float | None:
        verdict = self.config.verdict
        if self._foreign is None:
            return None
        features = evaluate(network, [one.plain for one in self._foreign.held_out]).features
        probabilities = torch.sigmoid(network.foreign_logits(features).double()).numpy()
        return verdict.foreign_probability_limit or choose_foreign_limit(probabilities, verdict.foreign_passed)

    def _known_features(self, network: GenderNetwork) -> KnownFeatures:
        """Features of the training pictures, and of changed ones: a photo's faults alone are not foreign."""
        augmenter = Augmenter(self.config.augmentation, np.random.default_rng(self.config.run.seed))
        pictures = [*self._training.plain, *(augmenter.draw(one) for one in self._training.pictures)]
        labels = torch.as_tensor(np.tile(self._training.labels, 2))
        return KnownFeatures.of(evaluate(network, pictures).features, labels)

    @property
    def _state(self) -> RunState:
        return RunState(self.network, self._optimizer, self._schedule, self._rng)

    def save(self, path: Path) -> None:
        """Writes everything that is needed to go on, as plain tensors and numbers."""
        self._state.save(path, self.config, self.history, self.best, self._training.labels.tolist())

    def resume(self, path: Path) -> None:
        """Goes on from a file that :meth:`save` wrote with the same settings and people.

        Raises:
            InputError: the file is damaged or belongs to another run.
        """
        history, self.best = self._state.load(path, self.config, _FIXED, self._training.labels.tolist())
        self.history = History(**history)
