"""Training of the lifting network, and figures of a trained one on people in held-out poses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from smplifyx import skeleton
from smplifyx.body.data import BodyModelData
from smplifyx.errors import InputError
from smplifyx.lifting.network import (
    SWAPPABLE_LIMBS,
    LiftingNetwork,
    LiftingOutput,
    load_lifting,
    predict_with_flip,
    save_lifting,
    shipped_lifting,
)
from smplifyx.training.lifting_people import PeopleBatch, PoseSource, make_people, observe
from smplifyx.training.poses import MotionCapture, load_motion_capture, split_validation, training_body
from smplifyx.training.settings import LiftingConfig, LiftingRun
from smplifyx.training.trainer import Course, Monitor, Panel, Task, Trainer, one_cycle, run_to_end, write_report

_WARM_UP = 0.05
_MAX_GRADIENT = 1.0
#: Unit of the distances in the loss, and the distance at which their kink is rounded, metres.
_DISTANCE_UNIT, _SMALLEST_DISTANCE = 0.1, 0.001
#: Probability from which sides count as swapped: in validation, and in the report (as in fits).
_SWAPPED, _SURELY_SWAPPED = 0.5, 0.8
_REPORTED_JOINTS = ("knee", "ankle", "shoulder", "elbow", "wrist")


def validation_people(body: BodyModelData, poses: MotionCapture, config: LiftingConfig) -> PeopleBatch:
    """Create the people of a validation; the same settings give the same people."""
    run = config.run
    people = make_people(body, PoseSource.of(poses, config.data, run.seed), config.people, run.n_validation)
    return observe(people, config, np.random.default_rng(run.seed))


class LiftingTask(Task):
    """The lifting network with its people.

    Args:
        body: a body model with hands.
        training, validation: the poses.
        config: all settings.

    Raises:
        InputError: the initial weights are unusable.
    """

    panels = (
        Panel("loss", {"training": "training", "validation": "validation"}),
        Panel("validation: error of joints", {"joints_mm": "mm"}, (0, None)),
    )

    def __init__(
        self, body: BodyModelData, training: MotionCapture, validation: MotionCapture, config: LiftingConfig
    ) -> None:
        run = config.run
        torch.manual_seed(run.seed)
        self._config = config
        self.network = _initial_network(run)
        source = PoseSource.of(training, config.data, run.seed)
        self.rng = source.rng
        self._people = make_people(body, source, config.people, config.people.count)
        self.validation = validation_people(body, validation, config)
        self.optimizer, self.schedule = one_cycle(
            self.network, run.learning_rate, run.weight_decay, run.epochs * run.steps_per_epoch, _WARM_UP
        )

    def losses(self) -> Iterator[Tensor]:
        """Yield the losses of the steps of one epoch; the people are detected anew in each."""
        config = self._config
        for _ in range(config.run.steps_per_epoch):
            rows = torch.as_tensor(self.rng.integers(len(self._people.points), size=config.run.batch_size))
            batch = observe(self._people[rows], config, self.rng)
            yield self._loss(self.network(batch.features), batch)

    def _loss(self, output: LiftingOutput, batch: PeopleBatch) -> Tensor:
        """Distances of the joints, likelihood of their standard deviations, and cross-entropy of swapped sides.

        The joints are those of least mean distance, in units of :data:`_DISTANCE_UNIT`. Where a limb may point
        towards the camera or away from it, that is near the more probable side, and the mean would be between both.
        The standard deviations are those about these joints, of least Gaussian negative log-likelihood.
        """
        offsets = output.joints - batch.joints
        distance = (offsets.square().sum(2) + _SMALLEST_DISTANCE**2).sqrt().mean() / _DISTANCE_UNIT
        standard = offsets.detach() * torch.exp(-output.log_sd)
        likelihood = (0.5 * standard.square() + output.log_sd).mean()
        swapped = functional.binary_cross_entropy_with_logits(output.swapped_sides, batch.swapped_sides)
        return distance + likelihood + self._config.run.swap_weight * swapped

    @torch.no_grad()
    def validate(self, network: nn.Module) -> dict[str, float]:
        """Return the loss, the mean error of the joints, and the share of people with wrongly predicted sides."""
        batch = self.validation
        output = network(batch.features)
        wrong = (output.swapped_sides.sigmoid() > _SWAPPED) != (batch.swapped_sides > 0)
        return {
            "validation": self._loss(output, batch).item(),
            "joints_mm": 1000.0 * (output.joints - batch.joints).norm(dim=2).mean().item(),
            "swap_error": wrong.float().mean().item() * len(SWAPPABLE_LIMBS),
        }

    def describe(self, metrics: Mapping[str, float]) -> str:
        """Return the mean error of the joints."""
        return f"{metrics['joints_mm']:.1f} mm"


def _initial_network(run: LiftingRun) -> LiftingNetwork:
    """Create a random network, or load the initial weights."""
    network = LiftingNetwork(run.width, run.n_blocks)
    if run.initial_weights is None:
        return network
    loaded = load_lifting(run.initial_weights)
    if [value.shape for value in loaded.parameters()] != [value.shape for value in network.parameters()]:
        problem = f"expected a network of width {run.width} with {run.n_blocks} blocks"
        raise InputError(run.initial_weights, problem, "first.bias")
    return loaded


def lifting_trainer(
    body: BodyModelData, training: MotionCapture, validation: MotionCapture, config: LiftingConfig
) -> Trainer:
    """Create the trainer of a lifting network; the arguments are those of :class:`LiftingTask`."""
    run = config.run
    course = Course(run.epochs, run.steps_per_epoch, averaging=run.averaging, max_gradient=_MAX_GRADIENT)
    return Trainer(LiftingTask(body, training, validation, config), course, config)


def train_lifting(
    data: Path,
    output: Path,
    config: LiftingConfig,
    resume: bool = False,
    monitor: Monitor | None = None,
    models: Path | None = None,
) -> list[str]:
    """Train the lifting network; return the lines of its report on the validation people.

    Args:
        data: motion capture, see :func:`~smplifyx.training.poses.load_motion_capture`.
        output: folder for ``lifting.npz``, ``report.txt`` and the files of the course.
        config: all settings.
        resume: continue a stopped run.
        monitor: receives remarks and progress.
        models: the only folder to search for the body model.

    Raises:
        InputError: the data, the body model or the state to resume from are unusable.
    """
    monitor = monitor or Monitor()
    training, unseen = _split(data, config)
    monitor.note(f"{len(training)} training, {len(unseen)} validation")
    trainer = lifting_trainer(training_body(models), training, unseen, config)
    source = training.origin(data, config.data)
    path = output / "lifting.npz"
    run_to_end(trainer, output, resume, monitor, lambda: save_lifting(path, trainer.best_network(), source))
    assert isinstance(trainer.task, LiftingTask)
    lines = report(trainer.best_network(), trainer.task.validation)
    write_report(output, lines)
    return lines


def evaluate_lifting(
    data: Path,
    checkpoint: Path | None,
    config: LiftingConfig,
    models: Path | None = None,
) -> list[str]:
    """Return the lines of the report of a trained network.

    Args:
        data: motion capture.
        checkpoint: the network; None: the one that ships with the package.
        config: names the held-out people and the simulated detector.
        models: the only folder to search for the body model.

    Raises:
        InputError: a file is unusable.
    """
    network = load_lifting(checkpoint or shipped_lifting())
    _, unseen = _split(data, config)
    return report(network, validation_people(training_body(models), unseen, config))


def _split(path: Path, config: LiftingConfig) -> tuple[MotionCapture, MotionCapture]:
    """Split into training and the held-out subjects, or a share of the rest if there are none."""
    options = config.data
    training, unseen = load_motion_capture(path, options.fps).split_subjects(options.held_out)
    if not len(training):
        raise InputError(path, f"too few {options.split_by}s for training and validation")
    return (training, unseen) if len(unseen) else split_validation(training, path, options, config.run.seed)


@torch.no_grad()
def report(network: LiftingNetwork, people: PeopleBatch) -> list[str]:
    """Return lines with a network's errors on people, relative to the pelvis."""
    output = predict_with_flip(network, people.features)
    offsets = output.joints - people.joints
    standard = (offsets * torch.exp(-output.log_sd)).square().mean((0, 1)).sqrt()
    lines = [
        f"people           {len(offsets)}",
        f"joints           {1000 * offsets.norm(dim=2).mean():.1f} mm",
        f"depth            {1000 * offsets[..., 2].abs().mean():.1f} mm",
        *(f"depth, {name + 's':10}{_depth_mm(offsets, name):.1f} mm" for name in _REPORTED_JOINTS),
        "error / sd       " + ", ".join(f"{axis} {value:.2f}" for axis, value in zip("xyz", standard, strict=True)),
    ]
    predicted = output.swapped_sides.sigmoid() > _SURELY_SWAPPED
    for limb, name in enumerate(SWAPPABLE_LIMBS):
        swapped = people.swapped_sides[:, limb] > 0
        found, false = int((predicted[:, limb] & swapped).sum()), int((predicted[:, limb] & ~swapped).sum())
        lines.append(
            f"swapped {name:9}{found} of {int(swapped.sum())} found, {false} of {int((~swapped).sum())} false alarms"
        )
    return lines


def _depth_mm(offsets: Tensor, name: str) -> float:
    rows = [skeleton.body_pose_row(f"{side}_{name}") for side in skeleton.SIDES]
    return 1000 * float(offsets[:, rows, 2].abs().mean())
