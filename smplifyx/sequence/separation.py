"""Resolves self-collisions of a solved track, in stretches around the frames that have them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smplifyx.collision.contacts import Contacts
from smplifyx.fitting.batch import Hypotheses
from smplifyx.fitting.solver import Solver, no_weight
from smplifyx.fitting.terms import squared_weight
from smplifyx.sequence.known import Known
from smplifyx.sequence.problem import FrameCollisions, JointObjective, TrackData
from smplifyx.sequence.smoothness import Smoothness
from smplifyx.sequence.solve import Solution, solve, track_rows
from smplifyx.sequence.world import WorldPoses

#: Frames on both sides of a stretch that move along, and those at its ends that are held.
MARGIN, _HELD = 8, 2
#: Iterations and tolerance of a minimisation with fixed contacts.
_ITERATIONS, _TOLERANCE = 25, 1e-5


def stretches(frames: NDArray[np.int64], n_frames: int, size: int) -> list[range]:
    """Stretches of frames around some [N], ascending; those that meet are one, up to ``size`` marked frames."""
    found: list[range] = []
    for frame in frames.tolist():
        start, stop = max(frame - MARGIN, 0), min(frame + MARGIN + 1, n_frames)
        if found and start <= found[-1].stop and stop - found[-1].start <= size + 2 * MARGIN:
            found[-1] = range(found[-1].start, stop)
        else:
            found.append(range(start, stop))
    return found


def held_ends(stretch: range, n_frames: int, device: torch.device) -> Tensor:
    """Whether each frame [N] of a stretch is held, as its neighbours outside stay as they are."""
    held = torch.zeros(len(stretch), dtype=torch.bool, device=device)
    if stretch.start > 0:
        held[:_HELD] = True
    if stretch.stop < n_frames:
        held[-_HELD:] = True
    return held


class Separation:
    """The separation of one track's bodies.

    Args:
        solver: body model and settings.
        data: the observations.
        smoothness: the energy in time.
        known: stature and floor.
    """

    def __init__(self, solver: Solver, data: TrackData, smoothness: Smoothness, known: Known) -> None:
        self._solver, self._data, self._smoothness, self._known = solver, data, smoothness, known

    def __call__(self, solution: Solution) -> Solution:
        """The solution without self-collisions, as far as frames do not lose much by it.

        Each round has the contacts from its start, as in the fit of single observations. A track has them in any
        case, as the paper's penalty has steps.
        """
        solver = self._solver
        if solver.self_collision is None or no_weight(solver.weights[-1], "collision"):
            return solution
        start, n_views = solution, self._data.n_views
        for stiffness in solver.self_collision.stiffnesses or [1.0]:
            contacts, touching = solver.contacts(solution.rows.index(self._first(solution)))
            if not touching.any():
                break
            solution = self._round(solution, contacts, touching, stiffness)
        rejected = self._rejected(start.rows, solution.rows, n_views)
        if len(rejected):
            kept = solution.poses.overwrite(rejected, start.poses.index(rejected))
            solution = self._at(solution, kept)
        return solution

    def _first(self, solution: Solution) -> Tensor:
        return torch.arange(len(solution.poses.x), device=solution.poses.x.device) * self._data.n_views

    def _round(self, solution: Solution, contacts: Contacts, touching: Tensor, stiffness: float) -> Solution:
        frames = touching.nonzero()[:, 0].cpu().numpy()
        poses, n_frames = solution.poses, len(solution.poses.x)
        size = self._solver.config.sequence.window
        for stretch in stretches(frames, n_frames, size):
            poses = self._stretch(poses, stretch, contacts, touching, stiffness)
        return self._at(solution, poses)

    def _stretch(
        self, poses: WorldPoses, stretch: range, contacts: Contacts, touching: Tensor, stiffness: float
    ) -> WorldPoses:
        solver, n_frames = self._solver, len(poses.x)
        assert solver.self_collision is not None
        inside = torch.zeros_like(touching)
        inside[stretch.start : stretch.stop] = True
        chosen, marked = inside.nonzero()[:, 0], inside & touching
        term = solver.self_collision.contact_term(contacts.of(inside[touching]), stiffness)
        weight = float(torch.as_tensor(squared_weight(solver.weights[-1]["collision"], poses.x)).sum())
        objective = JointObjective(
            solver,
            self._data.of_frames(chosen),
            poses.index(chosen),
            self._smoothness,
            fixed_shape=True,
            known=self._known,
            collisions=FrameCollisions(marked[chosen].nonzero()[:, 0], term, weight),
            frozen=held_ends(stretch, n_frames, poses.x.device),
        )
        solved = solve(solver, objective, _TOLERANCE, _ITERATIONS)
        return poses.overwrite(chosen, solved.poses)

    def _at(self, solution: Solution, poses: WorldPoses) -> Solution:
        size = self._solver.config.sequence.window
        rows = track_rows(self._solver, self._data, poses, self._smoothness, size)
        return replace(solution, poses=poses, rows=replace(rows, status=solution.rows.status))

    def _rejected(self, before: Hypotheses, after: Hypotheses, n_views: int) -> Tensor:
        """Frames [N] whose other terms rose too much."""
        limit = self._solver.config.collision.max_loss_increase
        if limit is None:
            return torch.zeros(0, dtype=torch.int64, device=before.loss.device)
        old, new = (rows.loss.unflatten(0, (-1, n_views)).sum(1) for rows in (before, after))
        return torch.nonzero(~(new <= (1.0 + limit) * old))[:, 0]
