"""Hypotheses of the last stage: hands that are turned, and rivals between which collisions decide."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from smplifyx.camera import Camera
from smplifyx.fitting import Fitter, schedule
from smplifyx.fitting.batch import FitTargets, Hypotheses, InitialPose
from smplifyx.fitting.hypotheses import turned_hands
from smplifyx.keypoints import Observation
from smplifyx.skeleton import HAND_KEYPOINTS
from smplifyx.synthetic.people import SyntheticOptions, synthetic_people


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


@pytest.mark.parametrize(
    "resolved,depth,expected",
    [
        (10.0, 0.0, []),
        (10.3, 0.0, []),
        (10.41, 0.0, [2]),
        (11.5, 0.0, [2, 4]),
        (10.0, 0.02, [2]),  # it stays inside itself: one within 5 % may be better
    ],
)
def test_rivals_may_be_better_after_collisions(
    monkeypatch: pytest.MonkeyPatch, resolved: float, depth: float, expected: list[int]
) -> None:
    monkeypatch.setattr(schedule, "is_crumpled", lambda solver, rows: torch.zeros(len(rows.x), dtype=torch.bool))
    monkeypatch.setattr(schedule, "_depths", lambda solver, rows: torch.full((len(rows.x),), depth))
    rows = _hypotheses([0, 0, 0, 1, 0], [10.0, 10.2, 10.4, 7.0, 11.0])
    joints = torch.randn(1, 55, 3, generator=torch.manual_seed(0)).repeat(5, 1, 1)
    joints[2:, 20] += 0.5  # the second one has the pose of the first
    joints[4, 20] += 0.5
    best = replace(rows.index(rows.best()), loss=torch.tensor([resolved, 9.0]))
    assert schedule._rivals(_PosedAs(joints), rows, best).tolist() == expected


def test_crumpled_rivals_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Collisions of such bodies take long and decide nothing."""
    monkeypatch.setattr(schedule, "is_crumpled", lambda solver, rows: torch.ones(len(rows.x), dtype=torch.bool))
    monkeypatch.setattr(schedule, "_depths", lambda solver, rows: torch.zeros(len(rows.x)))
    rows = _hypotheses([0, 0], [10.0, 10.2])
    joints = torch.randn(2, 55, 3, generator=torch.manual_seed(0))
    best = replace(rows.index(rows.best()), loss=torch.tensor([12.0]))
    assert not len(schedule._rivals(_PosedAs(joints), rows, best))


@pytest.mark.parametrize(
    "losses,depths,chosen",
    [
        ([12.0, 7.0, 11.0], [0.002, 0.004], 2.0),
        ([12.0, 7.0, 13.0], [0.002, 0.0], 0.0),
        ([12.0, 7.0, 11.0], [0.002, 0.03], 0.0),  # the contacts of the rival were given up
        ([12.0, 7.0, 13.0], [0.03, 0.002], 2.0),  # those of the best
        ([12.0, 7.0, float("nan")], [0.03], 0.0),  # the rival failed, and is not measured
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
    assert measured == [[0] * len(depths)]  # of people without rivals nothing is measured


def test_without_rivals_all_stay() -> None:
    rows = _hypotheses([0, 1], [2.0, 1.0])
    assert schedule._best_after_collisions(_PosedAs(torch.zeros(0)), rows) is rows


@pytest.fixture(scope="module")
def start() -> tuple[Fitter, Hypotheses]:
    """A person of whom the right hand is hardly seen, and who has no left one."""
    fitter = Fitter(overrides={"collision.enabled": False})
    (person,) = synthetic_people(fitter.data, 1, SyntheticOptions(seed=3))
    keypoints = person.keypoints_2d.astype(np.float32)
    keypoints[:, 2] = 0.6
    keypoints[HAND_KEYPOINTS["left"], 2] = 0.0
    keypoints[HAND_KEYPOINTS["right"], 2] = np.linspace(0.0, 0.4, 21)
    camera = Camera(person.focal_length, tuple(person.principal_point))
    observation = Observation(keypoints, image_size=person.image_size, camera=camera)
    return fitter, fitter.initial_hypotheses([observation])


def test_hand_errors_are_robust_mean_squares(start: tuple[Fitter, Hypotheses]) -> None:
    fitter, rows = start
    found = schedule._hand_errors(fitter.solver, 5, rows)
    targets, view = rows.targets, fitter.solver.full_view
    points = view.pose(rows.x, rows.initial).keypoints[:, [view.keypoints.index(k) for k in range(46, 67)]].numpy()
    focal, centre = targets.focal_length.numpy()[:, None], targets.principal_point.numpy()[:, None]
    pixels = points[..., :2] / points[..., 2:] * focal + centre
    squares = (targets.pixel_scale.numpy()[:, None, None] * (pixels - targets.keypoints[:, 46:67].numpy())) ** 2
    rho = fitter.config.objective.rho
    robust = (rho**2 * squares / (rho**2 + squares)).sum(2)
    weight = targets.confidence[:, 46:67].numpy() ** 2
    assert weight.sum() > 1.0
    np.testing.assert_allclose(found[1], (weight * robust).sum(1) / weight.sum(1), rtol=1e-3)
    assert not found[0].any()


def test_only_misplaced_hands_are_turned(start: tuple[Fitter, Hypotheses], monkeypatch: pytest.MonkeyPatch) -> None:
    fitter, rows = start
    tried: list[Hypotheses] = []

    def advanced(_: object, __: object, hypotheses: Hypotheses) -> Hypotheses:
        tried.append(hypotheses)
        loss = torch.ones_like(hypotheses.loss)
        loss[0] = 100.0  # far from its minimum
        return replace(hypotheses, loss=loss)

    monkeypatch.setattr(schedule.Trial, "advanced", advanced)
    for errors in ([[1.0], [1.0]], [[1.0], [500.0]]):
        monkeypatch.setattr(schedule, "_hand_errors", lambda *_, errors=errors: torch.tensor(errors))
        kept = schedule.TurnHands(5).run(fitter.solver, rows)
        assert torch.equal(kept.x[0], rows.x[0])  # whatever its loss
    alone, turned = tried
    assert torch.equal(alone.x, rows.x)
    expected = turned_hands(fitter.solver.first_view, rows.x, rows.initial)
    torch.testing.assert_close(turned.x, torch.cat([rows.x, expected[0, 1], expected[1, 1]]))
    assert turned.person.tolist() == [0, 0, 0]
