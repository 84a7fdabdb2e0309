"""Trains the pose network: draws poses fairly, validates each epoch, stops early, goes on where it was stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from smplifyx.body.data import BodyModelData
from smplifyx.rotations import axis_angle_to_matrix
from smplifyx.training.everyday_poses import everyday_poses
from smplifyx.training.motion_capture import MotionCapture, is_upright, mirror_body_pose, standing_pose
from smplifyx.training.run_state import RunState
from smplifyx.training.surface import PoseSurface
from smplifyx.training.vposer_config import VPoserConfig, VPoserData
from smplifyx.training.vposer_losses import PoseBatch, loss_terms
from smplifyx.training.vposer_network import VPoserNetwork

#: Called after each step.
Progress = Callable[[], object]


class PoseSampler:
    """Draws poses: motion capture by its weights, extra standing people, some made to sit; half of them mirrored."""

    def __init__(self, data: MotionCapture, options: VPoserData, seed: int) -> None:
        self._poses = data.body_pose
        self._options = options
        self.rng = np.random.default_rng(seed)
        self._cumulative = np.cumsum(data.weights)
        self._upright = np.nonzero(is_upright(data.body_pose))[0]

    def draw(self, count: int) -> PoseBatch:
        """A batch of that many poses."""
        rows = np.searchsorted(self._cumulative[:-1], self.rng.random(count))
        kind = self.rng.random(count)
        upright = kind < self._options.upright_share
        if len(self._upright):
            rows[upright] = self.rng.choice(self._upright, upright.sum())
        poses = self._poses[rows]
        seated = kind > 1.0 - self._options.seated_share
        poses[seated] = everyday_poses(poses[seated], self.rng)
        mirrored = self.rng.random(count) < 0.5
        poses[mirrored] = mirror_body_pose(poses[mirrored])
        return pose_batch(poses)


def pose_batch(body_pose: np.ndarray) -> PoseBatch:
    """Poses [N, 63] as tensors."""
    axis_angle = torch.as_tensor(body_pose, dtype=torch.float32)
    return PoseBatch(axis_angle, axis_angle_to_matrix(axis_angle.unflatten(1, (-1, 3))))


@dataclass
class History:
    """One value an epoch: ``training`` and ``validation`` loss, and the validation's terms and learning rates."""

    training: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    divergence: list[float] = field(default_factory=list)
    surface_mm: list[float] = field(default_factory=list)
    rotation_deg: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)

    @property
    def best_epoch(self) -> int:
        """The epoch, counted from 0, of the lowest validation loss."""
        return int(np.argmin(self.validation))


class VPoserTrainer:
    """One training run.

    Args:
        body: the body model of the surface term.
        training: what is learned.
        validation: what decides about learning rate and end.
        config: all settings.
    """

    def __init__(
        self, body: BodyModelData, training: MotionCapture, validation: MotionCapture, config: VPoserConfig
    ) -> None:
        run = config.run
        torch.manual_seed(run.seed)
        self.config = config
        self.network = VPoserNetwork(run.n_latent, run.n_hidden)
        self.history = History()
        self.best: dict[str, Tensor] = {}
        self._surface = PoseSurface(body, run.n_surface_points)
        self._sampler = PoseSampler(training, config.data, run.seed)
        self._validation = PoseSampler(validation, config.data, run.seed).draw(run.n_validation)
        self._standing = pose_batch(standing_pose(training)[None]).rotations[0]
        self._optimizer = torch.optim.AdamW(
            self.network.parameters(), run.learning_rate, weight_decay=config.loss.weight_decay
        )
        self._schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self._optimizer, factor=0.5, patience=run.patience - 1
        )

    @property
    def finished(self) -> bool:
        """Whether the run is over: enough epochs, or no gain for long."""
        done = len(self.history.validation)
        if done == 0:
            return False
        waited = done - 1 - self.history.best_epoch
        return done >= self.config.run.max_epochs or waited >= self.config.run.stop_after

    def epochs(self, progress: Progress | None = None) -> Iterator[History]:
        """Trains on until the run is over; yields the history after every epoch."""
        while not self.finished:
            training = self._train_epoch(progress)
            self._validate(training)
            yield self.history

    def _train_epoch(self, progress: Progress | None) -> float:
        run = self.config.run
        self.network.train()
        losses = []
        for _ in range(run.steps_per_epoch):
            batch = self._sampler.draw(run.batch_size)
            loss = loss_terms(self.network, self._surface, batch, self._standing).total(self.config.loss)
            self._optimizer.zero_grad()
            loss.backward()
            self._optimizer.step()
            losses.append(loss.item())
            if progress is not None:
                progress()
        return float(np.mean(losses))

    @torch.no_grad()
    def _validate(self, training: float) -> None:
        self.network.eval()
        # Codes are drawn, so that the figure is the objective itself; always the same draw.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.run.seed)
            terms = loss_terms(self.network, self._surface, self._validation, self._standing)
        history = self.history
        history.training.append(training)
        history.validation.append(terms.total(self.config.loss).item())
        history.divergence.append(terms.divergence.item())
        history.surface_mm.append(1000.0 * terms.surface.item())
        history.rotation_deg.append(float(np.degrees(terms.rotation.item())))
        history.learning_rate.append(self._optimizer.param_groups[0]["lr"])
        self._schedule.step(history.validation[-1])
        if history.best_epoch == len(history.validation) - 1:
            self.best = {name: value.clone() for name, value in self.network.state_dict().items()}

    def best_network(self) -> VPoserNetwork:
        """The network of the best epoch, ready to use."""
        network = VPoserNetwork(self.config.run.n_latent, self.config.run.n_hidden)
        network.load_state_dict(self.best)
        return network.eval()

    @property
    def _state(self) -> RunState:
        return RunState(self.network, self._optimizer, self._schedule, self._sampler.rng)

    def save(self, path: Path) -> None:
        """Writes everything that is needed to go on, as plain tensors and numbers."""
        self._state.save(path, self.config, self.history, self.best)

    def resume(self, path: Path) -> None:
        """Goes on from a file that :meth:`save` wrote with the same settings.

        Raises:
            InputError: the file is damaged or belongs to other settings.
        """
        history, self.best = self._state.load(path, self.config, tuple(asdict(self.config)))
        self.history = History(**history)
