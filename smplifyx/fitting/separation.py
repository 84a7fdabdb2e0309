"""Collisions of a stage: minimisations with the collision term in the bodies that collide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from smplifyx.collision.contact_term import ContactTerm
from smplifyx.collision.contacts import Contacts
from smplifyx.collision.penetration import Penetration
from smplifyx.fitting.batch import Hypotheses
from smplifyx.fitting.overlaps import MIN_PAIRS, Overlap, Pull, with_pulls
from smplifyx.fitting.solver import Solver, no_weight
from smplifyx.optim.problem import Status

#: Iterations of all minimisations with contacts but the last, and tolerance. Where one does not arrive, the contacts
#: of the next one are due to chance; deep contacts take a hundred.
_ROUND_ITERATIONS, _ROUND_TOLERANCE = 150, 1e-8
#: Iterations of minimisations in tries; the best of them goes on.
_TRY_ITERATIONS = 40
#: Depths from which on parts are pulled apart, and from which on they count as worse than any that are less deep,
#: metres.
_OVERLAPPING, _DEEP = 0.005, 0.015
#: Contacts of a crumpled body, as keypoints at random give it: nothing can pull it apart, and measuring it takes
#: long. People in motion-capture poses have up to 800.
_CRUMPLED = 2500


class Separation:
    """Minimise a stage with the collision term, after it was minimised without.

    Args:
        solver: the body model, with collisions.
        number: the stage in the settings, counted from 1.
    """

    def __init__(self, solver: Solver, number: int) -> None:
        assert solver.self_collision is not None
        self._solver, self._collision = solver, solver.self_collision
        self._stage = solver.stage_terms(number)
        self._options = solver.optimizer_options(None)
        self._measured: dict[bytes, Penetration] = {}
        self._can_pull = not no_weight(solver.weights[number - 1], "lifting")

    def resolve(self, before: Hypotheses) -> Hypotheses:
        """The hypotheses, with those apart that collide.

        Bodies that separate only by leaving their keypoints or priors keep their previous parameters.
        """
        if not self._collision.stiffnesses:
            return self._acceptable(before, self._separate_pairs(before))
        after, crumpled = self._separate(before, self._collision.stiffnesses)
        after = self._acceptable(before, after)
        return self._pulled_apart(before, after, ~crumpled) if self._can_pull else after

    def _acceptable(self, before: Hypotheses, after: Hypotheses) -> Hypotheses:
        """The hypotheses, those as before whose other terms have risen too much."""
        limit = self._solver.config.collision.max_loss_increase
        if limit is None:
            return after
        objective = self._solver.objective(self._stage, after)
        with torch.no_grad():
            rest = objective.values(after.x[:, objective.free])
        rejected = torch.nonzero(~(rest <= (1.0 + limit) * before.loss))[:, 0]
        kept = replace(before, n_evaluations=after.n_evaluations).index(rejected)
        return after.overwrite(rejected, kept)

    def _separate(
        self, hypotheses: Hypotheses, stiffnesses: Sequence[float], is_try: bool = False
    ) -> tuple[Hypotheses, Tensor]:
        """Rounds of minimisations, each with the contacts from its start, which become stiffer.

        The first ones separate deep parts gently, before they are pushed onto a side that they cannot leave. As
        contacts begin without a force, a small change of the start changes the end little.

        Args:
            hypotheses: R rows.
            stiffnesses: of the rounds.
            is_try: whether limbs were pulled out. Parts keep their distance then in the first round, and no round has
                to arrive.

        Returns:
            The hypotheses, and which [R] were crumpled at the start.
        """
        solver, touching = self._solver, hypotheses.rows
        crumpled = torch.zeros_like(hypotheses.colliding)
        tolerance = min(self._options.relative_loss_tolerance, _ROUND_TOLERANCE)
        options = replace(self._options, relative_loss_tolerance=tolerance)
        limit = _TRY_ITERATIONS if is_try else _ROUND_ITERATIONS
        brief = replace(options, max_iterations=min(options.max_iterations, limit))
        for number, stiffness in enumerate(stiffnesses, 1):
            contacts, still = solver.contacts(hypotheses.index(touching), is_try and number == 1)
            left, touching = touching[~still & hypotheses.colliding[touching]], touching[still]
            if number == 1:
                crumpled[touching] = _are_crumpled(contacts)
            moving = left[hypotheses.status[left] != Status.CONVERGED]
            if len(left):
                hypotheses = hypotheses.overwrite(left, self._without_contacts(hypotheses.index(left)))
            if len(moving):
                rows = hypotheses.index(moving)
                rows = solver.minimize(solver.objective(self._stage, rows), rows, options)
                hypotheses = hypotheses.overwrite(moving, rows)
            if len(touching):
                rows = hypotheses.index(touching)
                objective = solver.objective(self._stage, rows, self._collision.contact_term(contacts, stiffness))
                arrives = number == len(stiffnesses) and not is_try
                rows = solver.minimize(objective, rows, options if arrives else brief)
                hypotheses = hypotheses.overwrite(touching, rows)
            touching = torch.cat([touching, moving])  # which may touch again
        return hypotheses, crumpled

    def _without_contacts(self, rows: Hypotheses) -> Hypotheses:
        """Rows that have come apart, with the loss of the other terms alone."""
        objective = self._solver.objective(self._stage, rows, contour_rows=rows.contour_rows)
        loss = objective.values(rows.x[:, objective.free])
        return replace(rows, loss=loss, colliding=torch.zeros_like(rows.colliding))

    def _separate_pairs(self, hypotheses: Hypotheses) -> Hypotheses:
        """One minimisation with the pairs that intersect at each step, as in the paper."""
        found = self._solver.intersecting(hypotheses)
        colliding = torch.bincount(found.rows, minlength=len(hypotheses.x)).nonzero()[:, 0]
        if not len(colliding):
            return hypotheses
        rows, term = hypotheses.index(colliding), self._collision.pair_term(len(colliding))
        objective = self._solver.objective(self._stage, rows, term)
        # Contacts that come and go leave nothing to be gained from a tight tolerance.
        rows = self._solver.minimize(objective, rows, self._options)
        return hypotheses.overwrite(colliding, replace(rows, truncated=rows.truncated | term.truncated))

    def _pulled_apart(self, before: Hypotheses, after: Hypotheses, allowed: Tensor) -> Hypotheses:
        """Pull limbs out of the parts that they still overlap, and separate the bodies anew.

        Limbs that stick through each other are pushed to no side by their contacts, or to both. They are pulled from
        where they ended, and, if that does not help, from where they began, to the two cheapest sides.

        Args:
            before, after: R rows before and after the separation.
            allowed: [R] those that may be pulled.
        """
        moved = after.n_evaluations > before.n_evaluations
        rows = torch.nonzero(allowed & moved & ~torch.as_tensor(after.failed(), device=moved.device))[:, 0]
        overlaps = self._overlaps(after, rows)
        if overlaps:
            after = self._try(overlaps, after, before, after, n_sides=1)
            overlaps = self._overlaps(after, torch.tensor(list(overlaps), device=rows.device))
        if overlaps:
            after = self._try(overlaps, before, before, after, n_sides=2)
        return after

    def _measure(self, hypotheses: Hypotheses) -> list[Penetration]:
        """Penetrations of bodies; each is measured once, as a deep one takes longer than a step of the optimiser."""
        keys = [row.tobytes() for row in hypotheses.x.cpu().numpy()]
        new = list({key: number for number, key in enumerate(keys) if key not in self._measured}.values())
        if new:
            rows = hypotheses.index(torch.tensor(new, device=hypotheses.x.device))
            found = self._collision.measure(*self._solver.shape_and_pose(rows))
            self._measured.update(zip((keys[number] for number in new), found, strict=True))
        return [self._measured[key] for key in keys]

    def _overlaps(self, hypotheses: Hypotheses, rows: Tensor) -> dict[int, list[Overlap]]:
        """Limbs to pull, and parts to pull them out of, in those of some rows that still overlap."""
        pairs = self._solver.intersecting(hypotheses.index(rows))
        crossing = torch.bincount(pairs.rows, minlength=len(rows)) >= MIN_PAIRS
        candidates = torch.nonzero(crossing)[:, 0]
        found = self._measure(hypotheses.index(rows[candidates]))
        deep = [k for k, one in enumerate(found) if one.depth > _OVERLAPPING]
        numbers = candidates.cpu().numpy()[deep]
        owners, triangles = pairs.rows.cpu().numpy(), pairs.triangles.cpu().numpy()
        limbs = self._solver.limbs
        overlaps = [limbs.overlaps(found[k], triangles[owners == n]) for n, k in zip(numbers, deep, strict=True)]
        return {row: some for row, some in zip(rows.cpu().numpy()[numbers].tolist(), overlaps, strict=True) if some}

    def _try(
        self,
        overlaps: dict[int, list[Overlap]],
        start: Hypotheses,
        before: Hypotheses,
        after: Hypotheses,
        n_sides: int,
    ) -> Hypotheses:
        """Pull limbs of some rows to several sides; of all ends and the present one the best of each row."""
        numbers, pulls = self._pulls(start, overlaps, n_sides)
        origin = torch.tensor(numbers, device=after.x.device)
        pulled = self._pull(start.index(origin), pulls, keep_contacts=start is after)
        tries, _ = self._separate(pulled, self._collision.stiffnesses, is_try=True)
        tries = self._acceptable(before.index(origin), tries)
        spent = tries.n_evaluations - start.n_evaluations[origin]
        n_evaluations = after.n_evaluations.index_add(0, origin, spent)
        rows = torch.tensor(list(overlaps), device=after.x.device)
        ends, owners = after.index(rows).concatenate(tries), [*overlaps, *numbers]
        depths = [one.depth for one in self._measure(ends)]
        ranks = [(_depth_class(depth), loss) for depth, loss in zip(depths, ends.loss.cpu().tolist(), strict=True)]
        best = [min((k for k, owner in enumerate(owners) if owner == row), key=ranks.__getitem__) for row in overlaps]
        after = replace(after, n_evaluations=n_evaluations)
        chosen = torch.tensor([k for k in best if k >= len(rows)], device=rows.device, dtype=torch.int64)
        if not len(chosen):
            return after
        rows = origin[chosen - len(rows)]
        ends = replace(ends.index(chosen), n_evaluations=n_evaluations[rows])
        ends = self._acceptable(before.index(rows), self._separate(ends, self._collision.stiffnesses[-1:])[0])
        return after.overwrite(rows, ends)

    def _pulls(
        self, start: Hypotheses, overlaps: dict[int, list[Overlap]], n_sides: int
    ) -> tuple[list[int], list[list[Pull]]]:
        """Rows to start from, each as often as there are sides, and how they are pulled."""
        rows = start.index(torch.tensor(list(overlaps), device=start.x.device))
        posed = self._solver.padded_pose(rows).joints[: len(overlaps)].double().cpu().numpy()
        bodies = self._collision.vertices(*self._solver.shape_and_pose(rows))
        numbers, pulls = [], []
        for (row, some), joints, vertices in zip(overlaps.items(), posed, bodies, strict=True):
            ways = [self._solver.limbs.pulls(one, vertices, joints, n_sides) for one in some]
            for side in range(n_sides):
                numbers.append(row)
                pulls.append([pull for way in ways for pull in way[min(side, len(way) - 1)]])
        return numbers, pulls

    def _pull(self, rows: Hypotheses, pulls: list[list[Pull]], keep_contacts: bool) -> Hypotheses:
        """Rows after a minimisation in which limbs are pulled.

        Args:
            rows: R rows.
            pulls: of each.
            keep_contacts: whether other parts stay out of each other.
        """
        solver = self._solver
        pulled = with_pulls(rows, solver.padded_pose(rows).joints[: len(rows.x)], pulls)
        held = torch.zeros_like(pulled.colliding)
        if keep_contacts:
            contacts, held = solver.contacts(pulled)
            pulled = self._minimized(pulled, held, self._collision.contact_term(contacts, 1.0))
        pulled = self._minimized(pulled, ~held, None)
        # Where nothing is near any more, the pull alone has to go.
        unfinished = torch.full_like(pulled.status, Status.MAX_ITERATIONS)
        return replace(pulled, targets=rows.targets, status=unfinished, colliding=torch.ones_like(held))

    def _minimized(self, hypotheses: Hypotheses, chosen: Tensor, term: ContactTerm | None) -> Hypotheses:
        """The hypotheses, those that are chosen [R] at a minimum of the stage and the term."""
        numbers = torch.nonzero(chosen)[:, 0]
        if not len(numbers):
            return hypotheses
        rows = hypotheses.index(numbers)
        rows = self._solver.minimize(self._solver.objective(self._stage, rows, term), rows, self._options)
        return hypotheses.overwrite(numbers, rows)


def is_crumpled(solver: Solver, hypotheses: Hypotheses) -> Tensor:
    """Whether [R] bodies have too many contacts for their parts to be pulled apart."""
    contacts, touching = solver.contacts(hypotheses)
    crumpled = torch.zeros_like(touching)
    crumpled[touching] = _are_crumpled(contacts)
    return crumpled


def _are_crumpled(contacts: Contacts) -> Tensor:
    return contacts.found.n_pairs > _CRUMPLED


def _depth_class(depth: float) -> int:
    """0 for a depth that does not matter, 1 for one that is not flagged, 2 for more."""
    return int(depth > _OVERLAPPING) + int(depth > _DEEP)
