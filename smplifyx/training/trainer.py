"""The course of every training run: epochs, validation, early stopping, saved states, learning curves."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from smplifyx.config import to_yaml
from smplifyx.errors import InputError, reason
from smplifyx.files import atomic_path, write_text

#: One list per metric, one value per epoch: ``training`` and ``validation`` losses, ``learning_rate``, and others.
History = dict[str, list[float]]
#: Called with the number of steps just done.
Progress = Callable[[int], object]

_STATE, _CURVES = "state.pt", "curves.png"


def best_epoch(history: History) -> int:
    """Epoch with the lowest validation loss, counted from 0; losses of NaN do not count."""
    losses = np.array(history["validation"])
    return int(np.argmin(np.where(np.isnan(losses), np.inf, losses)))


@dataclass(frozen=True)
class Panel:
    """One plot of the learning curves.

    Attributes:
        title: of the plot.
        curves: metric -> label.
        limits: of the vertical axis; None: automatic.
        log: logarithmic vertical axis.
    """

    title: str
    curves: Mapping[str, str]
    limits: tuple[float | None, float | None] = (None, None)
    log: bool = False


class Task(ABC):
    """A network with its data and optimiser.

    Attributes:
        network: the network to train.
        optimizer: updates it.
        schedule: of the learning rate, stepped after each step; ``ReduceLROnPlateau`` after each validation.
        rng: draws the data; torch's generator may be used as well.
        panels: the learning curves.
    """

    panels: ClassVar[Sequence[Panel]]
    network: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    rng: np.random.Generator

    @abstractmethod
    def losses(self) -> Iterator[Tensor]:
        """Yield the losses of the steps of one epoch; the network is updated between them."""

    @abstractmethod
    def validate(self, network: nn.Module) -> dict[str, float]:
        """Return metrics of a network; the lowest ``validation`` decides which epoch is kept."""

    @abstractmethod
    def describe(self, metrics: Mapping[str, float]) -> str:
        """Return the metrics of an epoch in a few words."""


@dataclass(frozen=True)
class Course:
    """Length and bookkeeping of a run.

    Attributes:
        epochs: largest number of epochs.
        steps_per_epoch: number of losses per epoch.
        stop_after: stop after this many epochs without a lower validation loss; None: never.
        averaging: validate and keep a running mean of the network, of which each step keeps this share; None: the
            network itself.
        max_gradient: gradients are scaled down to this norm; None: never.
    """

    epochs: int
    steps_per_epoch: int
    stop_after: int | None = None
    averaging: float | None = None
    max_gradient: float | None = None


def one_cycle(
    network: nn.Module, learning_rate: float, weight_decay: float, n_steps: int, warm_up: float
) -> tuple[torch.optim.AdamW, torch.optim.lr_scheduler.OneCycleLR]:
    """Create AdamW and its one-cycle schedule: the learning rate rises for a share of the steps, then falls to 0."""
    optimizer = torch.optim.AdamW(network.parameters(), learning_rate, weight_decay=weight_decay)
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, n_steps, pct_start=warm_up)


class Trainer:
    """One training run.

    Args:
        task: the network with its data.
        course: length of the run.
        config: all settings, a dataclass of sections.
        changeable: sections that may differ from those of a resumed run.
        data_id: numbers that identify the data; a resumed run must have the same.
    """

    def __init__(
        self, task: Task, course: Course, config: Any, changeable: Sequence[str] = (), data_id: Sequence[int] = ()
    ) -> None:
        self.task, self.course, self.config = task, course, config
        self.history: History = {}
        self._changeable, self._data_id = changeable, list(data_id)
        self._candidate = task.network if course.averaging is None else copy.deepcopy(task.network)
        self._best: dict[str, Tensor] = {}

    @property
    def n_epochs(self) -> int:
        """Number of finished epochs."""
        return len(self.history.get("validation", ()))

    @property
    def best_epoch(self) -> int:
        """Epoch with the lowest validation loss, counted from 0."""
        return best_epoch(self.history)

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or validation has not improved for too long."""
        if not self.n_epochs:
            return False
        stop_after = self.course.stop_after
        stalled = stop_after is not None and self.n_epochs - 1 - self.best_epoch >= stop_after
        return stalled or self.n_epochs >= self.course.epochs

    def epochs(self, progress: Progress = lambda n: None) -> Iterator[History]:
        """Train until the run is finished; yield the history after each epoch."""
        while not self.finished:
            metrics = {"training": self._train_epoch(progress)}
            metrics["learning_rate"] = self.task.optimizer.param_groups[0]["lr"]
            self._candidate.eval()
            metrics |= self.task.validate(self._candidate)
            for name, value in metrics.items():
                self.history.setdefault(name, []).append(value)
            if isinstance(self.task.schedule, torch.optim.lr_scheduler.ReduceLROnPlateau):
                self.task.schedule.step(metrics["validation"])
            if self.best_epoch == self.n_epochs - 1:
                self._best = {name: value.clone() for name, value in self._candidate.state_dict().items()}
            yield self.history

    def _train_epoch(self, progress: Progress) -> float:
        task, values = self.task, []
        per_epoch = isinstance(task.schedule, torch.optim.lr_scheduler.ReduceLROnPlateau)
        task.network.train()
        for loss in task.losses():
            task.optimizer.zero_grad()
            loss.backward()
            if self.course.max_gradient is not None:
                torch.nn.utils.clip_grad_norm_(task.network.parameters(), self.course.max_gradient)
            task.optimizer.step()
            if not per_epoch:
                task.schedule.step()
            self._average()
            values.append(loss.item())
            progress(1)
        return float(np.mean(values))

    @torch.no_grad()
    def _average(self) -> None:
        if self.course.averaging is None:
            return
        for mean, value in zip(self._candidate.parameters(), self.task.network.parameters(), strict=True):
            mean.lerp_(value, 1.0 - self.course.averaging)

    def best_network(self) -> Any:
        """Return a copy of the network as it was after the best epoch, in evaluation mode."""
        network = copy.deepcopy(self._candidate)
        network.load_state_dict(self._best)
        return network.eval()

    def _settings(self) -> dict[str, str]:
        """Sections that a resumed run must share, as text."""
        sections = asdict(self.config)
        return {name: repr(section) for name, section in sections.items() if name not in self._changeable}

    def save(self, path: Path) -> None:
        """Write everything a resumed run needs, as plain tensors and numbers, atomically."""
        state = {
            "network": self.task.network.state_dict(),
            "candidate": self._candidate.state_dict(),
            "best": self._best,
            "optimizer": self.task.optimizer.state_dict(),
            "schedule": self.task.schedule.state_dict(),
            "history": self.history,
            "torch_rng": torch.get_rng_state(),
            "numpy_rng": self.task.rng.bit_generator.state,
            "config": self._settings(),
            "data_id": self._data_id,
        }
        with atomic_path(path) as temporary:
            torch.save(state, temporary)

    def resume(self, path: Path) -> None:
        """Continue a run from a file written by :meth:`save` with the same settings and data.

        Raises:
            InputError: the file is damaged or belongs to another run.
        """
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            settings = self._settings()
            other = [name for name, text in settings.items() if state["config"][name] != text]
            if other:
                raise InputError(path, f"was written with other settings: {', '.join(other)}", "config")
            if state["data_id"] != self._data_id:
                raise InputError(path, "was written with other data", "data_id")
            self.task.network.load_state_dict(state["network"])
            self._candidate.load_state_dict(state["candidate"])
            self.task.optimizer.load_state_dict(state["optimizer"])
            self.task.schedule.load_state_dict(state["schedule"])
            self.task.rng.bit_generator.state = state["numpy_rng"]
            torch.set_rng_state(state["torch_rng"])
            self.history, self._best = state["history"], state["best"]
        except InputError:
            raise
        except Exception as error:  # a damaged file can fail in any way
            raise InputError(path, f"cannot be resumed: {reason(error)}") from error


class Monitor:
    """Receive the remarks and the progress of a run; this one ignores them."""

    def note(self, line: str) -> None:
        """Receive a remark."""

    def bar(self, label: str, unit: str, total: int | None, done: int = 0) -> AbstractContextManager[Progress]:
        """Open a progress bar; the function it returns takes the number of units just done."""
        return nullcontext(lambda n: None)


def run_to_end(
    trainer: Trainer,
    output: Path,
    resume: bool,
    monitor: Monitor,
    after_epoch: Callable[[], object] = lambda: None,
) -> None:
    """Train to the end; all files of the output folder are up to date after each epoch.

    Args:
        trainer: the run.
        output: folder for ``config.yaml``, ``state.pt`` and, with matplotlib, ``curves.png``.
        resume: continue from ``state.pt``.
        monitor: receives a line per epoch.
        after_epoch: called after each epoch, for example to write the network.

    Raises:
        InputError: ``state.pt`` is damaged or belongs to another run.
    """
    if resume:
        trainer.resume(output / _STATE)
    write_text(output / "config.yaml", to_yaml(trainer.config))
    plot, steps = can_plot(_CURVES, monitor), trainer.course.steps_per_epoch
    with monitor.bar("", "step", trainer.course.epochs * steps, trainer.n_epochs * steps) as progress:
        for history in trainer.epochs(progress):
            trainer.save(output / _STATE)
            after_epoch()
            if plot:
                plot_history(history, trainer.task.panels, output / _CURVES)
            last = {name: values[-1] for name, values in history.items()}
            monitor.note(
                f"epoch {trainer.n_epochs}: loss {last['training']:.4f}, validation {last['validation']:.4f} "
                f"({trainer.task.describe(last)})"
            )


def write_report(output: Path, lines: Sequence[str]) -> None:
    """Write ``report.txt``."""
    write_text(output / "report.txt", "\n".join(lines) + "\n")


def can_plot(pictures: str, monitor: Monitor) -> bool:
    """Whether matplotlib is installed; remarks which pictures are left out if it is not."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        monitor.note(f"no {pictures}: pip install smplifyx[train]")
        return False
    return True


def plot_history(history: History, panels: Sequence[Panel], path: Path) -> None:
    """Draw learning curves; needs matplotlib (the extra ``train``)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.6 * len(panels), 3.2), layout="constrained")
    best = 1 + best_epoch(history)
    for axes, panel in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True):
        for name, label in panel.curves.items():
            axes.plot(np.arange(1, len(history[name]) + 1), history[name], label=label)
        axes.axvline(best, color="0.7", linestyle=":", label="best")
        axes.set(title=panel.title, xlabel="epoch", ylim=panel.limits, yscale="log" if panel.log else "linear")
        axes.legend(frameon=False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)
