"""The settings of a training run of the pose network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from smplifyx.config.fields import setting


@dataclass(frozen=True)
class VPoserData:
    """Which poses are learned."""

    fps: float = setting(10.0, "AMASS files are thinned to about this many frames a second", above=0)
    held_out: tuple[str, ...] = setting((), "subjects that are never trained on; the report is about them")
    split_by: Literal["subject", "clip"] = setting("clip", "what goes whole into training or validation")
    validation_share: float = setting(0.06, "of the frames; decides when to stop", above=0, maximum=0.5)
    upright_share: float = setting(
        0.15, "of the drawn poses: standing people with hanging arms", minimum=0, maximum=1
    )
    seated_share: float = setting(0.10, "of the drawn poses: made to sit, kneel or squat", minimum=0, maximum=1)


@dataclass(frozen=True)
class VPoserLoss:
    """The weights of the loss."""

    divergence: float = setting(0.002, "Kullback-Leibler divergence of the code from a standard normal", minimum=0)
    surface: float = setting(4.0, "mean distance of surface points, metres", minimum=0)
    rotation: float = setting(2.0, "mean angle between joint rotations, radians", minimum=0)
    centre: float = setting(1.0, "mean angle between the decoded zero and the standing pose, radians", minimum=0)
    weight_decay: float = setting(1e-5, "of all network weights", minimum=0)


@dataclass(frozen=True)
class VPoserRun:
    """How long and how fast."""

    seed: int = setting(0, "seed of everything random", minimum=0)
    n_latent: int = setting(32, "length of the code", minimum=1)
    n_hidden: int = setting(512, "width of the hidden layers", minimum=1)
    n_surface_points: int = setting(100, "vertices that the surface term looks at", minimum=1)
    batch_size: int = setting(256, "poses a step", minimum=2)
    steps_per_epoch: int = setting(250, "steps between validations", minimum=1)
    n_validation: int = setting(2048, "poses of a validation", minimum=1)
    max_epochs: int = setting(40, "at most so many", minimum=1)
    learning_rate: float = setting(1e-3, "at the start; halved when validation stalls", above=0)
    patience: int = setting(2, "epochs without gain before the learning rate is halved", minimum=1)
    stop_after: int = setting(6, "epochs without gain before the run ends", minimum=1)


@dataclass(frozen=True)
class VPoserConfig:
    """Everything about a training run."""

    data: VPoserData = field(default_factory=VPoserData)
    loss: VPoserLoss = field(default_factory=VPoserLoss)
    run: VPoserRun = field(default_factory=VPoserRun)
