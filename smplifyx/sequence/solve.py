"""Minimises the joint objective of a track."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import reduce

import torch

from smplifyx.fitting.batch import Hypotheses
from smplifyx.fitting.solver import Solver
from smplifyx.optim.lbfgs import minimize
from smplifyx.sequence.problem import JointObjective, TrackData
from smplifyx.sequence.smoothness import Smoothness
from smplifyx.sequence.world import WorldPoses

#: A track has converged when its loss would fall by less than this share.
_TOLERANCE = 1e-5
#: Steps after which the Gauss-Newton matrix is made anew; relative error of the loss.
_RENEW_EVERY, _LOSS_NOISE = 10, 1e-6


@dataclass(frozen=True)
class Solution:
    """The bodies of a track at a minimum.

    Attributes:
        poses: the bodies.
        rows: the rows of all frames and views, with their losses.
        status: how the minimisation ended.
        n_iterations, n_evaluations: of the joint objective.
        loss: at the end; NaN for several windows.
        disagreement_mm: mean distance of the joints of overlapping windows, millimetres; NaN for one window.
    """

    poses: WorldPoses
    rows: Hypotheses
    status: int
    n_iterations: int
    n_evaluations: int
    loss: float
    disagreement_mm: float = math.nan


def track_rows(solver: Solver, data: TrackData, poses: WorldPoses, smoothness: Smoothness, size: int) -> Hypotheses:
    """The rows [F V] of bodies in all frames and views, with their losses, by ``size`` frames to bound memory."""
    parts = []
    for frames in torch.arange(len(poses.x), device=poses.x.device).split(size):
        some = data.of_frames(frames)
        objective = JointObjective(solver, some, poses.index(frames), smoothness, fixed_shape=True)
        rows = objective.at(objective.start)
        parts.append(replace(rows, person=rows.person + frames[0]))
    return reduce(Hypotheses.concatenate, parts)


def solve(
    solver: Solver, objective: JointObjective, tolerance: float = _TOLERANCE, max_iterations: int | None = None
) -> Solution:
    """Minimise from the objective's start; ``max_iterations`` is that of the settings at most."""
    options = solver.optimizer_options(None)
    if max_iterations is not None:
        options = replace(options, max_iterations=min(max_iterations, options.max_iterations))
    operators = None
    if solver.config.optimizer.gauss_newton and objective.has_gauss_newton:
        operators = objective.preconditioner
        options = replace(
            options,
            predicted_tolerance=tolerance,
            relative_loss_tolerance=-1.0,
            renew_every=_RENEW_EVERY,
            loss_noise=_LOSS_NOISE,
        )
    else:
        options = replace(options, relative_loss_tolerance=tolerance)
    scales = objective.natural_scales().square()
    result = minimize(objective, objective.start[None], options, scales, operators=operators)
    z = result.x[0]
    rows = objective.at(z)
    status = int(result.status[0])
    rows = replace(rows, status=torch.full_like(rows.status, status))
    return Solution(
        objective.poses(z),
        rows,
        status,
        int(result.n_iterations[0]),
        int(result.n_evaluations[0]),
        float(result.loss[0]),
    )
