"""What a training run needs to go on where it was stopped, as a file of plain tensors and numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from smplifyx.errors import InputError, reason
from smplifyx.files import atomic_path


@dataclass(frozen=True)
class RunState:
    """The moving parts of a run.

    Attributes:
        network, optimizer, schedule: with a ``state_dict`` each.
        rng: what chooses the samples; torch's own generator is kept beside it.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    rng: np.random.Generator

    def save(
        self, path: Path, config: Any, history: Any, best: Mapping[str, Tensor], people: Sequence[int] = ()
    ) -> None:
        """Writes the parts, and the run's settings and history (dataclasses), all or nothing.

        Args:
            path: the file.
            config: all settings.
            history: one value an epoch.
            best: the network of the best epoch.
            people: numbers that tell the run's people from others.
        """
        state = {
            "network": self.network.state_dict(),
            "best": best,
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "history": asdict(history),
            "torch_rng": torch.get_rng_state(),
            "numpy_rng": self.rng.bit_generator.state,
            "config": asdict(config),
            "people": list(people),
        }
        with atomic_path(path) as temporary:
            torch.save(state, temporary)

    def load(
        self, path: Path, config: Any, fixed: Sequence[str], people: Sequence[int] = ()
    ) -> tuple[dict[str, list[float]], dict[str, Tensor]]:
        """Takes the parts from a file that :meth:`save` wrote; returns its history and best network.

        Args:
            path: the file.
            config: all settings; those of the sections ``fixed`` must be the file's.
            fixed: names of sections.
            people: as given to :meth:`save`.

        Raises:
            InputError: the file is damaged or belongs to another run.
        """
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            ours = asdict(config)
            other = [section for section in fixed if state["config"][section] != ours[section]]
            if other:
                raise InputError(path, f"was written with other settings: {', '.join(other)}", "config")
            if state["people"] != list(people):
                raise InputError(path, "was written with other people", "people")
            self.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.schedule.load_state_dict(state["schedule"])
            self.rng.bit_generator.state = state["numpy_rng"]
            torch.set_rng_state(state["torch_rng"])
            return state["history"], state["best"]
        except InputError:
            raise
        except Exception as error:  # a damaged file can fail in any way
            raise InputError(path, f"cannot go on from here: {reason(error)}") from error
