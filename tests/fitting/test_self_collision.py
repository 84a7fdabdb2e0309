"""Fits with and without the self-collision term."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from smplifyx.body.data import BodyModelData
from smplifyx.collision.contacts import Contacts
from smplifyx.config import Config
from smplifyx.errors import UsageError
from smplifyx.fitting import Fitter, separation
from smplifyx.fitting.batch import Hypotheses
from smplifyx.fitting.schedule import Stage
from smplifyx.keypoints import Observation
from smplifyx.optim.problem import Status
from smplifyx.result import FitResult
from smplifyx.synthetic.documents import observation_of
from smplifyx.synthetic.people import SyntheticOptions, SyntheticPerson, synthetic_people


@pytest.fixture(scope="module")
def people(open_body) -> list[SyntheticPerson]:
    return list(synthetic_people(open_body, 6, SyntheticOptions(seed=0)))


def _config(enabled: bool = True, weight: float | None = None, max_iterations: int = 200) -> Config:
    config = Config()
    stages = config.stages
    if weight is not None:
        stages = tuple(replace(stage, collision=weight if stage.collision else 0.0) for stage in stages)
    return replace(
        config,
        stages=stages,
        optimizer=replace(config.optimizer, max_iterations=max_iterations),
        starts=replace(config.starts, depth_flips=0, headings=1),
        collision=replace(config.collision, enabled=enabled),
    )


def _fit(open_body: BodyModelData, config: Config, people: list[SyntheticPerson]) -> list[FitResult]:
    return Fitter(open_body, config=config).fit([observation_of(one, with_camera=True) for one in people])


@pytest.fixture(scope="module")
def measured_only(open_body, people) -> list[FitResult]:
    """Fits that look for collisions at the end, but do not pay for them."""
    return _fit(open_body, _config(weight=0.0), people)


def test_the_term_pulls_bodies_out_of_themselves(open_body, people, measured_only):
    with_term = _fit(open_body, _config(), people)
    before = np.array([[one.colliding_pairs, one.penetration_mm] for one in measured_only])
    after = np.array([[one.colliding_pairs, one.penetration_mm] for one in with_term])
    assert before[:, 0].sum() > 50 and before[:, 1].max() > 5.0
    assert (after.sum(0) < 0.2 * before.sum(0)).all()
    assert all(one.status == "ok" and np.isfinite(one.loss) for one in with_term)
    errors = [np.mean([one.reprojection_error_px for one in some]) for some in (measured_only, with_term)]
    assert errors[1] < 1.5 * errors[0]
    for one, other in zip(with_term, measured_only, strict=True):
        if other.colliding_pairs == 0:  # nothing to pay for, so the last stage ended where it would have anyway
            assert one.colliding_pairs == 0


def test_a_body_that_only_gets_out_by_leaving_the_rest_stays(open_body, people, measured_only):
    colliding_rows = [person for person, fit in zip(people, measured_only, strict=True) if fit.colliding_pairs]
    config = _config()
    strict = _fit(
        open_body, replace(config, collision=replace(config.collision, max_loss_increase=1e-9)), colliding_rows
    )
    free = _fit(
        open_body, replace(config, collision=replace(config.collision, max_loss_increase=None)), colliding_rows
    )
    kept = [pair for pair in zip(strict, free, strict=True) if pair[0].colliding_pairs > pair[1].colliding_pairs]
    assert kept and np.mean([one.loss < other.loss for one, other in kept]) > 0.5
    # Two stages decide one after the other, so that a body may end in another valley; but never in a much higher one.
    assert all(one.loss < 1.01 * other.loss for one, other in kept)
    assert sum(one.colliding_pairs for one in strict) > sum(one.colliding_pairs for one in free)
    for one in strict:
        assert ("self_penetration" in one.flags) == (one.penetration_mm > 15.0)


def test_a_body_that_has_come_apart_has_the_loss_without_contacts(open_body, people, monkeypatch):
    """Its contacts of the soft round are gone. One that was still moving then moves on."""
    fitter = Fitter(open_body, config=_config(max_iterations=8))
    solver, number = fitter.solver, len(fitter.config.stages)
    before = fitter.competing_hypotheses([observation_of(one, with_camera=True) for one in people[:3]])
    find, rounds, asked = solver.contacts, [], []

    def contacts(rows: Hypotheses, far: bool = False) -> tuple[Contacts, torch.Tensor]:
        found, touching = find(rows)
        rounds.append(touching)
        asked.append(rows)
        return found, touching & (len(rounds) == 1)

    monkeypatch.setattr(solver, "contacts", contacts)
    monkeypatch.setattr(separation, "_OVERLAPPING", np.inf)  # else what overlaps is pulled apart
    after = Stage(number).run(solver, before)
    assert rounds[0].any() and len(rounds) == 3 and not after.colliding.any()
    objective = solver.objective(solver.stage_terms(number), after, contour_rows=after.contour_rows)
    torch.testing.assert_close(after.loss, objective.values(after.x[:, objective.free]), rtol=1e-5, atol=0)
    moving = asked[1].person[asked[1].status != Status.CONVERGED]
    assert len(moving) and torch.equal(asked[2].person, moving)
    apart = after.x.index_copy(0, asked[1].person, asked[1].x)
    assert (after.loss[moving] < objective.values(apart[:, objective.free])[moving]).all()


def test_without_the_term_nothing_is_imported_or_measured(open_body, people, monkeypatch):
    monkeypatch.setitem(sys.modules, "warp", None)
    (one,) = _fit(open_body, _config(enabled=False, max_iterations=1), people[:1])
    assert np.isnan(one.penetration_mm) and one.colliding_pairs == -1


@pytest.mark.slow
def test_the_optimiser_without_warp_ends_at_similar_losses(open_body, people, measured_only, monkeypatch):
    monkeypatch.setitem(sys.modules, "warp", None)
    results = _fit(open_body, _config(enabled=False), people[:2])
    for one, other in zip(results, measured_only, strict=False):
        assert one.loss == pytest.approx(other.loss, rel=0.15)


def test_a_missing_library_is_named(open_body, people, monkeypatch):
    monkeypatch.setitem(sys.modules, "warp", None)
    with pytest.raises(UsageError, match="warp-lang"):
        _fit(open_body, _config(max_iterations=1), people[:1])


def test_a_person_of_nan_fails_alone(open_body, people):
    observations = [observation_of(one, with_camera=True) for one in people[:3]]
    observations[1].keypoints[:10, 0] = np.nan  # an observation made with NaN is refused
    results = Fitter(open_body, config=_config(max_iterations=10)).fit(observations)
    assert [one.status for one in results] == ["ok", "failed", "ok"]
    assert results[1].colliding_pairs == -1 and np.isnan(results[1].penetration_mm)
    assert all(results[k].colliding_pairs >= 0 for k in (0, 2))


def test_limbs_that_contacts_leave_inside_are_pulled_out(open_body, people, monkeypatch):
    fitter = Fitter(open_body, config=_config())
    solver, number = fitter.solver, len(fitter.config.stages)
    before = fitter.competing_hypotheses([observation_of(one, with_camera=True) for one in people])
    before = Stage(number, resolve_collisions=False).run(solver, before)
    separate, tries = separation.Separation._separate, []

    def only_tries(self, hypotheses: Hypotheses, stiffnesses: list[float], is_try: bool = False) -> object:
        if not is_try and len(stiffnesses) > 1:  # as if contacts had changed nothing
            unchanged = replace(hypotheses, n_evaluations=hypotheses.n_evaluations + 1)
            return unchanged, torch.zeros_like(hypotheses.colliding)
        tries.append(len(hypotheses.x))
        return separate(self, hypotheses, stiffnesses, is_try)

    monkeypatch.setattr(separation.Separation, "_separate", only_tries)
    after = separation.Separation(solver, number).resolve(before)
    depths = [
        np.array([one.depth for one in solver.self_collision.measure(*solver.shape_and_pose(rows))])
        for rows in (before, after)
    ]
    deep = depths[0] > 0.005
    assert deep.any() and tries[0] == deep.sum()
    assert (depths[1] <= depths[0] + 1e-6).all() and (depths[1][deep] < 0.5 * depths[0][deep]).mean() > 0.5
    assert torch.equal(after.x[~deep], before.x[~deep])
    assert torch.equal(after.targets.lifted, before.targets.lifted)  # the pull is gone
    objective = solver.objective(solver.stage_terms(number), after)
    rest = objective.values(after.x[:, objective.free])
    assert (rest <= (1 + fitter.config.collision.max_loss_increase) * before.loss * 1.001).all()


def test_crumpled_bodies_are_left_alone(open_body, monkeypatch):
    """All keypoints at one place: thousands of contacts, which no pull resolves and which take long to measure."""
    place = np.ones((135, 3), np.float32) * [500.0, 500.0, 1.0]
    observation = Observation(place.astype(np.float32), (1200, 800))
    calls = []
    monkeypatch.setattr(
        separation.Separation, "_overlaps", lambda self, rows, numbers: calls.append(len(numbers)) or {}
    )
    monkeypatch.setattr(separation, "_CRUMPLED", 50)
    (result,) = Fitter(open_body, config=_config(max_iterations=20)).fit([observation])
    assert result.penetration_mm > 5.0
    assert sum(calls) == 0
