"""Rivals whose losses are close: collisions decide between them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from smplifyx.fitting import schedule
from smplifyx.fitting.batch import FitTargets, Hypotheses, InitialPose


class _PosedAs:
    """A solver that poses every row as some joints."""

    def __init__(self, joints: torch.Tensor) -> None:
        self.joints = joints

    def padded_pose(self, hypotheses: Hypotheses) -> _PosedAs:
        return self


def _hypotheses(people: list[int], losses: list[float]) -> Hypotheses:
    zeros = torch.zeros(len(people))
    targets, initial = FitTargets(*(zeros for _ in range(9))), InitialPose(zeros, zeros)
    x = torch.arange(len(people), dtype=torch.float32)[:, None]
    return replace(Hypotheses.start(torch.tensor(people), targets, initial, x), loss=torch.tensor(losses))


def test_rivals_of_close_losses_in_other_poses_follow_the_best() -> None:
    rows = _hypotheses([0, 0, 0, 1, 0], [10.0, 10.2, 10.4, 7.0, 11.0])
    joints = torch.randn(1, 55, 3, generator=torch.manual_seed(0)).repeat(5, 1, 1)
    joints[2:, 20] += 0.5  # the second one has the pose of the first
    best = replace(rows.index(rows.best()), spread=torch.tensor([0.3, 0.4]), gap=torch.tensor([0.5, 0.6]))
    found = schedule._with_close_rivals(_PosedAs(joints), rows, best)
    assert found.x[:, 0].tolist() == [0.0, 3.0, 2.0]
    torch.testing.assert_close(found.spread, torch.tensor([0.3, 0.4, 0.3]))
    torch.testing.assert_close(found.gap, torch.tensor([0.5, 0.6, 0.5]))


@pytest.mark.parametrize(
    "losses,depths,chosen",
    [
        ([12.0, 7.0, 11.0], [0.002, 0.004], 2.0),
        ([12.0, 7.0, 13.0], [0.002, 0.0], 0.0),
        ([12.0, 7.0, 11.0], [0.002, 0.03], 0.0),  # the contacts of the rival were given up
        ([12.0, 7.0, 13.0], [0.03, 0.002], 2.0),  # those of the best
        ([12.0, 7.0, float("nan")], [0.0, 0.0], 0.0),
    ],
)
def test_collisions_decide_between_rivals(
    monkeypatch: pytest.MonkeyPatch, losses: list[float], depths: list[float], chosen: float
) -> None:
    measured: list[list[int]] = []

    def measure(_: object, rows: Hypotheses) -> torch.Tensor:
        measured.append(rows.person.tolist())
        return torch.tensor(depths)

    monkeypatch.setattr(schedule, "_depths", measure)
    found = schedule._best_after_collisions(_PosedAs(torch.zeros(0)), _hypotheses([0, 1, 0], losses))
    assert found.x[:, 0].tolist() == [chosen, 1.0]
    assert measured == [[0, 0]]  # of people without rivals nothing is measured


def test_without_rivals_all_stay() -> None:
    rows = _hypotheses([0, 1], [2.0, 1.0])
    assert schedule._best_after_collisions(_PosedAs(torch.zeros(0)), rows) is rows
