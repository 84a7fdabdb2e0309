"""Long tracks: overlapping windows of one shape, joined where they overlap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smplifyx.fitting.solver import Solver
from smplifyx.sequence.known import Known
from smplifyx.sequence.problem import JointObjective, TrackData
from smplifyx.sequence.smoothness import Smoothness
from smplifyx.sequence.solve import Solution, solve, track_rows
from smplifyx.sequence.start import between
from smplifyx.sequence.world import WorldPoses, with_shape, world_joints

#: Share of a window by which neighbours overlap at least.
_OVERLAP = 0.2


def window_frames(n_frames: int, size: int) -> list[range]:
    """Windows of at most ``size`` frames that cover all frames and overlap by a fifth of the size or more."""
    if n_frames <= size:
        return [range(n_frames)]
    count = math.ceil((n_frames - size) / (size - int(_OVERLAP * size))) + 1
    starts = np.linspace(0, n_frames - size, count).round().astype(int)
    return [range(int(start), int(start) + size) for start in starts]


def solve_track(
    solver: Solver,
    data: TrackData,
    start: WorldPoses,
    smoothness: Smoothness,
    used: NDArray[np.bool_],
    size: int,
    known: Known,
) -> Solution:
    """Solve a track of any length: a long one in windows, whose shape is that of frames from all of it.

    Args:
        solver: body model and settings.
        data: the observations.
        start: the bodies to start from, of one shape.
        smoothness: the energy in time.
        used: [F] frames with an observation that counts.
        size: longest sequence that is solved at once, frames.
        known: stature and floor.
    """
    if len(start.x) <= size:
        n_used = float(used.sum())
        return solve(solver, JointObjective(solver, data, start, smoothness, shape_count=n_used, known=known))
    start = _with_common_shape(solver, data, start, smoothness, used, size, known)
    windows, solutions = window_frames(len(start.x), size), []
    for frames in windows:
        chosen = torch.arange(frames.start, frames.stop, device=start.x.device)
        some = data.of_frames(chosen)
        objective = JointObjective(solver, some, start.index(chosen), smoothness, fixed_shape=True, known=known)
        solutions.append(solve(solver, objective))
    poses, disagreement = _joined(solver, windows, [one.poses for one in solutions])
    rows, status = track_rows(solver, data, poses, smoothness, size), max(one.status for one in solutions)
    return Solution(
        poses=poses,
        rows=replace(rows, status=torch.full_like(rows.status, status)),
        status=status,
        n_iterations=sum(one.n_iterations for one in solutions),
        n_evaluations=max(one.n_evaluations for one in solutions),
        loss=math.nan,
        disagreement_mm=disagreement,
    )


def _with_common_shape(
    solver: Solver,
    data: TrackData,
    start: WorldPoses,
    smoothness: Smoothness,
    used: NDArray[np.bool_],
    size: int,
    known: Known,
) -> WorldPoses:
    """The bodies with the shape that fits frames from all of the track, without smoothness in time."""
    frames = np.flatnonzero(used) if used.any() else np.arange(len(used))
    chosen = frames[np.linspace(0, len(frames) - 1, min(size, len(frames))).round().astype(int)]
    some = torch.as_tensor(chosen, device=start.x.device)
    objective = JointObjective(
        solver,
        data.of_frames(some),
        start.index(some),
        smoothness.without_weight(),
        shape_count=float(len(chosen)),
        known=known,
    )
    layout = solver.parameters.layout
    betas = solve(solver, objective).poses.x[0, layout.slices["betas"]]
    return with_shape(start, betas, layout)


def _joined(solver: Solver, windows: Sequence[range], parts: Sequence[WorldPoses]) -> tuple[WorldPoses, float]:
    """The bodies of all frames from those of overlapping windows, and how far these are apart, millimetres."""
    whole, end, distances = parts[0], windows[0].stop, []
    for frames, part in zip(windows[1:], parts[1:], strict=True):
        overlap = end - frames.start
        before = whole.index(_numbers(len(whole.x) - overlap, len(whole.x), part.x))
        after = part.index(_numbers(0, overlap, part.x))
        distances.append((world_joints(solver, before) - world_joints(solver, after)).norm(dim=2).mean())
        share = (_numbers(1, overlap + 1, part.x) / (overlap + 1)).to(part.x)[:, None]
        mixed = between(solver, before, after, share)
        whole = whole.index(_numbers(0, len(whole.x) - overlap, part.x)).concatenate(mixed)
        whole = whole.concatenate(part.index(_numbers(overlap, len(part.x), part.x)))
        end = frames.stop
    return whole, 1e3 * float(torch.stack(distances).mean())


def _numbers(start: int, stop: int, like: Tensor) -> Tensor:
    return torch.arange(start, stop, device=like.device)
