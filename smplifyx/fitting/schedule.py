"""The schedule of a fit as a list of steps, each from hypotheses to hypotheses.

A whole body with the default settings goes through::

    [CameraStage(), Stage(1), Stage(2), Stage(3), SelectBest(), FlipDepths(8, stage=4), Trial(4),
     Stage(4, resolve_collisions=False), KeepDistinct(), TurnHands(5), Stage(5, select=True)]
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from smplifyx.config import Config
from smplifyx.fitting.batch import FitTargets, Hypotheses, StageEnds
from smplifyx.fitting.hypotheses import ambiguity, depth_flips, distinct, turned_hands
from smplifyx.fitting.objective import Objective
from smplifyx.fitting.separation import Separation, is_crumpled
from smplifyx.fitting.solver import Solver, no_weight
from smplifyx.fitting.terms import KeypointEnergy, Term
from smplifyx.skeleton import BODY_KEYPOINT_NAMES, BODY_KEYPOINTS, HAND_KEYPOINTS, N_KEYPOINTS

_TRUNK = [BODY_KEYPOINT_NAMES.index(f"{side}_{part}") for side in ("left", "right") for part in ("shoulder", "hip")]
_MIN_TRUNK_KEYPOINTS = 3
#: Iterations after which most hypotheses that are going to end in the same pose have come close to each other. The
#: matrices from the start serve for all of them.
_TRIAL_ITERATIONS = 15
#: The same for the last stage, whose matrices would be made anew then in any case.
_LAST_TRIAL_ITERATIONS = 20
#: Root mean square error of a hand's keypoints from which it is tried turned, before the last stage (thousandths of
#: the person's size): 36 mm for a person of 1.7 m.
_MISPLACED_HAND = 21.0
#: Share of the lowest loss by which that of a rival is higher at most whose collisions are resolved, too, where parts
#: of the best pose stay deep in others; and depth by which parts may overlap more than those of another (metres).
_CLOSE_RIVAL, _DEEPER = 0.05, 0.005


class Step(Protocol):
    """One step of a schedule."""

    def run(self, solver: Solver, hypotheses: Hypotheses) -> Hypotheses:
        """The hypotheses after the step."""
        ...


@dataclass(frozen=True)
class CameraStage:
    """Move translation and orientation by the squared error of the trunk's keypoints and a depth term.

    People whose trunk is hardly visible are placed by all body keypoints, hands and heads by all of theirs.
    """

    def run(self, solver: Solver, hypotheses: Hypotheses) -> Hypotheses:
        """Minimise the terms of the camera stage."""
        targets = hypotheses.targets
        if solver.parameters.has_body:
            targets = _camera_targets(targets)
        objective = Objective(solver.camera_terms(), hypotheses, targets)
        return solver.minimize(objective, hypotheses, solver.optimizer_options(None))


@dataclass(frozen=True)
class Stage:
    """Minimise the objective of a stage over all parameters that its keypoints constrain.

    The collision term comes second: the stage is minimised without it, then with it for the hypotheses that collide.
    Elsewhere the term is zero, so that those are at a minimum of the whole objective already.

    Attributes:
        number: the stage in the settings, counted from 1.
        resolve_collisions: False leaves the collision term out.
        select: keep the best hypothesis of each person, before collisions are resolved.
    """

    number: int
    resolve_collisions: bool = True
    select: bool = False

    def run(self, solver: Solver, hypotheses: Hypotheses) -> Hypotheses:
        """Minimise the terms of the stage."""
        objective = solver.objective(solver.stage_terms(self.number), hypotheses)
        hypotheses = solver.minimize(objective, hypotheses, solver.optimizer_options(self.number))
        resolves = self.resolve_collisions and solver.self_collision is not None and self._collides(solver)
        before = hypotheses
        if self.select:
            hypotheses = SelectBest().run(solver, hypotheses)
        if resolves:
            separation = Separation(solver, self.number)
            hypotheses = separation.resolve(hypotheses)
            if self.select and len(rivals := _rivals(solver, before, hypotheses)):
                found = hypotheses.index(before.person[rivals])
                others = replace(before.index(rivals), spread=found.spread, gap=found.gap)
                hypotheses = _best_after_collisions(solver, hypotheses.concatenate(separation.resolve(others)))
        return replace(hypotheses, ends=hypotheses.ends.followed_by(StageEnds.of(hypotheses)))

    def _collides(self, solver: Solver) -> bool:
        return not no_weight(solver.weights[self.number - 1], "collision")


@dataclass(frozen=True)
class SelectBest:
    """Keep the hypothesis of lowest loss of each person, and note how different the others are."""

    def run(self, solver: Solver, hypotheses: Hypotheses) -> Hypotheses:
        """One hypothesis per person, in the order of the people."""
        best = hypotheses.best()
        found = ambiguity(_joints(solver, hypotheses), hypotheses.loss, hypotheses.person, best)
        chosen = hypotheses.index(best)
        return replace(
            chosen, spread=torch.maximum(chosen.spread, found.spread), gap=torch.minimum(chosen.gap, found.gap)
        )


@dataclass(frozen=True)
class KeepDistinct:
    """Keep the hypotheses of each person that may still win, each pose once."""

    def run(self, solver: Solver, hypotheses: Hypotheses) -> Hypotheses:
        """At least one hypothesis per person, in their order."""
        return hypotheses.index(distinct(*_poses(solver, hypotheses)))


@dataclass(frozen=True)
class Trial:
    """A few iterations of a stage, after which only distinct hypotheses go on: most of them end in the same pose.

    Attributes:
        number: the stage in the settings, counted from 1.
        iterations: at most.
        renew_every: iterations that matrices serve for; 0 for the usual number.
    """

    number: int
    iterations: int = _TRIAL_ITERATIONS
    renew_every: int = _TRIAL_ITERATIONS

    def run(self, solver: Solver, hypotheses: Hypotheses) -> Hypotheses:
        """At least one hypothesis per person, nearer to its minimum."""
        return KeepDistinct().run(solver, self.advanced(solver, hypotheses))

    def advanced(self, solver: Solver, hypotheses: Hypotheses) -> Hypotheses:
        """All hypotheses, nearer to their minima."""
        objective = solver.objective(solver.stage_terms(self.number), hypotheses)
        options = solver.optimizer_options(self.number)
        limit = min(options.max_iterations, self.iterations)
        brief = replace(options, max_iterations=limit, renew_every=self.renew_every)
        return solver.minimize(objective, hypotheses, brief)


@dataclass(frozen=True)
class FlipDepths:
    """Add poses with limbs or trunk mirrored or levelled in depth as competing hypotheses.

    Attributes:
        number: hypotheses to add for each one: those of lowest loss.
        stage: the stage whose objective decides, counted from 1: the next one.
    """

    number: int
    stage: int

    @torch.no_grad()
    def run(self, solver: Solver, hypotheses: Hypotheses) -> Hypotheses:
        """The hypotheses, followed by their flips."""
        n_rows = len(hypotheses.x)
        x, origin, matters = depth_flips(solver.first_view, hypotheses.x, hypotheses.initial)
        flipped = replace(hypotheses.index(origin), x=x)
        objective = solver.objective(solver.stage_terms(self.stage), flipped)
        loss = objective.values(x[:, objective.free])
        loss = torch.where(matters & torch.isfinite(loss), loss, torch.inf).unflatten(0, (-1, n_rows))
        lowest, number = loss.topk(self.number, dim=0, largest=False)
        chosen = (number * n_rows + hypotheses.rows)[torch.isfinite(lowest)]
        return hypotheses.concatenate(flipped.index(chosen))


@dataclass(frozen=True)
class TurnHands:
    """Add each person's best pose with misplaced hands turned, and try all hypotheses.

    A hand that is seen from the wrong side finds no way out, and its fingers and the arm bend to make up for it.

    Attributes:
        number: the stage in the settings, counted from 1, that follows and decides.
    """

    number: int

    def run(self, solver: Solver, hypotheses: Hypotheses) -> Hypotheses:
        """At least one hypothesis per person, nearer to its minimum."""
        unturned = hypotheses.best()
        best = hypotheses.index(unturned)
        misplaced = _hand_errors(solver, self.number, best) > _MISPLACED_HAND**2
        people = torch.nonzero(misplaced.any(0))[:, 0]
        if len(people):
            best, misplaced = best.index(people), misplaced[:, people]
            x = turned_hands(solver.first_view, best.x, best.initial)[:, misplaced]
            row = torch.nonzero(misplaced)[:, 1].repeat(len(x))
            hypotheses = hypotheses.concatenate(replace(best.index(row), x=x.flatten(0, 1)))
        hypotheses = Trial(self.number, _LAST_TRIAL_ITERATIONS, renew_every=0).advanced(solver, hypotheses)
        joints, loss, person = _poses(solver, hypotheses)
        # The pose that was the best may still be far from its minimum: it goes on whatever its loss.
        rows = torch.cat([distinct(joints, loss, person), unturned]).unique()
        return hypotheses.index(rows[distinct(joints[rows], loss[rows], person[rows], max_rise=torch.inf)])


def _hand_errors(solver: Solver, number: int, hypotheses: Hypotheses) -> Tensor:
    """Mean squared errors [2, R] of the keypoints of left and right hands, weighted by confidence; 0 without them.

    In the objective's units, with the terms of a stage, counted from 1; an error beyond their scale counts as that.
    """
    stage = solver.stage_terms(number)
    sides = [Term(side, 1.0, KeypointEnergy(tuple(range(N_KEYPOINTS))[own])) for side, own in HAND_KEYPOINTS.items()]
    terms = replace(stage, terms=[(term, 1.0) for term in sides])
    objective = solver.objective(terms, hypotheses, contour_rows=hypotheses.contour_rows)
    energies = objective.energies(hypotheses.x[:, objective.free])
    confidence = hypotheses.targets.confidence.square()
    # A hand that is hardly seen is not worth a try.
    weights = [confidence[:, own].sum(1).clamp_min(1.0) for own in HAND_KEYPOINTS.values()]
    return torch.stack([energies[term.name] / weight for term, weight in zip(sides, weights, strict=True)])


def _poses(solver: Solver, hypotheses: Hypotheses) -> tuple[Tensor, Tensor, Tensor]:
    """Joints [R, J, 3] in the camera frame, loss [R] and person [R]."""
    return _joints(solver, hypotheses), hypotheses.loss, hypotheses.person


def _joints(solver: Solver, hypotheses: Hypotheses) -> Tensor:
    """[R, J, 3] joints in the camera frame."""
    return solver.padded_pose(hypotheses).joints[: len(hypotheses.x)]


def _rivals(solver: Solver, before: Hypotheses, best: Hypotheses) -> Tensor:
    """Rows of hypotheses whose collisions may leave them better than the best ones [P], whose own are resolved.

    Collisions only raise a loss, so that a rival's is below that of the best already; or the best is still inside
    itself, and the rival's is nearly as low as it was.

    Args:
        solver: the body model, with collisions.
        before: all hypotheses, before collisions.
        best: those of lowest loss of each person, in their order, after that.
    """
    rows, lowest = distinct(*_poses(solver, before)), before.best()
    rows = rows[~torch.isin(rows, lowest)]
    person, loss = before.person[rows], before.loss[rows]
    close = loss <= (1.0 + _CLOSE_RIVAL) * before.loss[lowest][person]
    people = person[close].unique()
    deep = torch.zeros_like(best.colliding)
    if len(people):
        deep[people] = _depths(solver, best.index(people)) > _DEEPER
    rows = rows[(loss < best.loss[person]) | (close & deep[person])]
    return rows[~is_crumpled(solver, before.index(rows))] if len(rows) else rows


def _best_after_collisions(solver: Solver, hypotheses: Hypotheses) -> Hypotheses:
    """The best hypothesis of each person; the first P rows are those that were the best before.

    One whose parts overlap much deeper than another's does not count: its contacts were given up, and its loss is
    without them.
    """
    n_people = int(hypotheses.person.max()) + 1
    if len(hypotheses.x) == n_people:
        return hypotheses
    failed = torch.as_tensor(hypotheses.failed(), device=hypotheses.x.device)
    contested = torch.isin(hypotheses.person, hypotheses.person[n_people:]) & ~failed
    depth = torch.zeros_like(hypotheses.loss).masked_fill(failed, torch.inf)
    depth[contested] = _depths(solver, hypotheses.index(torch.nonzero(contested)[:, 0]))
    least = depth[:n_people].scatter_reduce(0, hypotheses.person, depth, "amin")
    counts = depth <= least[hypotheses.person] + _DEEPER
    return hypotheses.index(replace(hypotheses, loss=torch.where(counts, hypotheses.loss, torch.inf)).best())


def _depths(solver: Solver, hypotheses: Hypotheses) -> Tensor:
    """Depths [R] to which parts of the bodies overlap, metres."""
    assert solver.self_collision is not None
    measured = solver.self_collision.measure(*solver.shape_and_pose(hypotheses))
    return hypotheses.loss.new_tensor([one.depth for one in measured])


def make_schedule(config: Config, has_body: bool) -> list[Step]:
    """The steps of a configuration.

    Args:
        config: the settings.
        has_body: False for hands and heads, which have no limbs to flip.
    """
    starts, flips, last = config.starts, config.starts.depth_flips if has_body else 0, len(config.stages)
    flipping = starts.select_after_stage + 1 if flips else None
    # The best hypothesis is known after one more stage, and only its collisions are resolved.
    deciding = None if flipping is None else min(flipping + 1, last)
    steps: list[Step] = [CameraStage()]
    for number in range(1, last + 1):
        undecided = number == flipping and number != deciding
        if number == flipping:
            steps += [FlipDepths(flips, number), Trial(number)]
        steps.append(Stage(number, resolve_collisions=not undecided, select=number == deciding))
        if undecided:
            steps += [KeepDistinct(), TurnHands(number + 1)]
        elif number == starts.select_after_stage:
            steps.append(SelectBest())
    return steps


def _camera_targets(targets: FitTargets) -> FitTargets:
    """The trunk's keypoints alone; all body keypoints for people whose trunk is hardly visible."""
    trunk = torch.zeros_like(targets.confidence)
    trunk[:, _TRUNK] = 1.0
    visible = (targets.confidence[:, _TRUNK] > 0).sum(1) >= _MIN_TRUNK_KEYPOINTS
    body = torch.zeros_like(trunk)
    body[:, BODY_KEYPOINTS] = 1.0
    return replace(targets, confidence=targets.confidence * torch.where(visible[:, None], trunk, body))
