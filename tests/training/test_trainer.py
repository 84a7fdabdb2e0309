"""The course of a run, on a task of one parameter whose losses are known."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from torch import nn

from smplifyx.config.fields import setting
from smplifyx.errors import InputError
from smplifyx.training.trainer import Course, Monitor, Panel, Task, Trainer, best_epoch, plot_history, run_to_end


@dataclass(frozen=True)
class _Run:
    """Length of the run."""

    rate: float = setting(0.1, "learning rate", above=0)


@dataclass(frozen=True)
class _Verdict:
    """Changeable settings."""

    limit: float = setting(0.5, "a limit", above=0)


@dataclass(frozen=True)
class _Config:
    """All settings."""

    run: _Run = field(default_factory=_Run)
    verdict: _Verdict = field(default_factory=_Verdict)


class _Parabola(Task):
    """Moves one weight to a noisy target; validation losses are given, or the distance to 1."""

    panels = (Panel("loss", {"training": "training", "validation": "validation"}, log=True),)

    def __init__(self, config: _Config, validation: list[float] | None = None, plateau: bool = False) -> None:
        self.network = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.network.weight)
        self.rng = np.random.default_rng(0)
        self.optimizer = torch.optim.SGD(self.network.parameters(), config.run.rate)
        self.schedule = (
            torch.optim.lr_scheduler.ReduceLROnPlateau(self.optimizer, factor=0.5, patience=0)
            if plateau
            else torch.optim.lr_scheduler.StepLR(self.optimizer, 1, 0.9)
        )
        self._validation = validation or []

    def losses(self):
        for _ in range(4):
            yield (self.network.weight - 1.0 - 0.1 * float(self.rng.normal())).square().sum()

    def validate(self, network):
        assert not network.training
        value = network.weight.item()
        return {"validation": self._validation.pop(0) if self._validation else abs(value - 1.0), "weight": value}

    def describe(self, metrics):
        return f"weight {metrics['weight']:.2f}"


def trainer(course=None, config=None, data_id=(1, 2), **task) -> Trainer:
    config = config or _Config()
    return Trainer(_Parabola(config, **task), course or Course(5, 4), config, ("verdict",), data_id)


def test_all_epochs_are_trained_and_the_best_one_is_kept():
    run = trainer(validation=[3.0, 1.0, 2.0, 2.0, 2.0])
    steps = []
    weights = [history["weight"][-1] for history in run.epochs(steps.append)]
    assert run.finished and len(weights) == 5 and sum(steps) == 20
    assert run.best_epoch == 1
    assert run.best_network().weight.item() == pytest.approx(weights[1])
    assert run.history["training"][-1] < run.history["training"][0]


def test_a_run_without_improvement_stops_early():
    run = trainer(Course(50, 4, stop_after=2), validation=[3.0, 1.0, 2.0, 1.5, 0.1])
    list(run.epochs())
    assert run.n_epochs == 4


def test_the_learning_rate_falls_when_validation_stalls():
    run = trainer(plateau=True, validation=[1.0, 2.0, 3.0, 0.5, 0.4])
    list(run.epochs())
    np.testing.assert_allclose(run.history["learning_rate"], [0.1, 0.1, 0.05, 0.025, 0.025])


def test_the_averaged_network_is_a_running_mean():
    run = trainer(Course(1, 4, averaging=0.5))
    expected, weight, rng = 0.0, 0.0, np.random.default_rng(0)
    for step in range(4):
        weight -= 0.1 * 0.9**step * 2.0 * (weight - 1.0 - 0.1 * rng.normal())
        expected = 0.5 * expected + 0.5 * weight
    list(run.epochs())
    assert run.best_network().weight.item() == pytest.approx(expected, rel=1e-5)
    assert run.task.network.weight.item() == pytest.approx(weight, rel=1e-5)


def test_large_gradients_are_scaled_down():
    run = trainer(Course(1, 4, max_gradient=0.01))
    list(run.epochs())
    assert 0 < run.task.network.weight.item() <= 0.1 * 0.01 * 4


@pytest.mark.parametrize("averaging", [None, 0.5])
def test_a_resumed_run_ends_like_one_without_a_stop(tmp_path, averaging):
    course = Course(5, 4, averaging=averaging)
    whole, first, second = (trainer(course) for _ in range(3))
    list(whole.epochs())
    epochs = first.epochs()
    next(epochs), next(epochs)
    first.save(tmp_path / "state.pt")
    second.resume(tmp_path / "state.pt")
    list(second.epochs())
    for name, values in whole.history.items():
        assert second.history[name] == pytest.approx(values)
    assert second.best_network().weight.item() == pytest.approx(whole.best_network().weight.item())


def test_other_settings_other_data_and_damaged_files_are_refused(tmp_path):
    path, run = tmp_path / "state.pt", trainer()
    next(run.epochs())
    run.save(path)
    with pytest.raises(InputError, match=r"state.pt: config: was written with other settings: run"):
        trainer(config=replace(_Config(), run=_Run(0.2))).resume(path)
    trainer(config=replace(_Config(), verdict=_Verdict(0.9))).resume(path)
    with pytest.raises(InputError, match="other data"):
        trainer(data_id=(1, 3)).resume(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InputError, match="cannot be resumed"):
        trainer().resume(path)


class _Recorder(Monitor):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)


def test_a_run_writes_settings_and_state_and_reports_each_epoch(tmp_path):
    recorder, calls = _Recorder(), []
    run_to_end(trainer(Course(2, 4)), tmp_path, False, recorder, lambda: calls.append(1))
    assert len(calls) == 2 and (tmp_path / "state.pt").is_file()
    assert "rate: 0.1" in (tmp_path / "config.yaml").read_text()
    assert [line.split(":")[0] for line in recorder.lines if line.startswith("epoch")] == ["epoch 1", "epoch 2"]
    assert "(weight 0." in recorder.lines[-1]
    again = _Recorder()
    run_to_end(trainer(Course(2, 4)), tmp_path, True, again)
    assert not any(line.startswith("epoch") for line in again.lines)


def test_learning_curves_are_drawn(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib, of the extra `train`, is not installed")
    run = trainer()
    list(run.epochs())
    plot_history(run.history, run.task.panels, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_validation_loss_of_nan_is_never_the_best():
    assert best_epoch({"validation": [np.nan, 0.5, np.nan, 0.4, 0.6]}) == 3
    assert best_epoch({"validation": [np.nan]}) == 0
