"""Second attempts at stretches of a solved track that suit their keypoints badly.

One view shows little depth. Where the start of a track goes from a right to a wrong mode of the pose, the frames
around the change have a large loss, and the minimisation cannot leave the wrong mode. So these frames, and some
before or after them, start anew between their neighbours, and are kept if they end with a lower loss.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import median_filter
from torch import Tensor

from smplifyx.fitting.solver import Solver
from smplifyx.sequence.known import Known
from smplifyx.sequence.problem import JointObjective, TrackData
from smplifyx.sequence.separation import MARGIN, held_ends
from smplifyx.sequence.smoothness import Smoothness
from smplifyx.sequence.solve import Solution, solve
from smplifyx.sequence.start import interpolated
from smplifyx.sequence.world import WorldPoses

#: A stretch is bad where the median loss of three frames is this many times that of the track.
_BAD = 1.75
#: Times (seconds) on both sides of a bad stretch that start anew with it, and further on one of them.
_BESIDE, _FURTHER = 0.15, 0.4
#: Frames that count in a median, and the share of a track that does not start anew, at least.
_SPAN, _LEAST_KEPT = 3, 0.25
#: Share by which the loss must fall.
_GAIN = 0.01
#: Iterations and tolerance of an attempt.
_ITERATIONS, _TOLERANCE = 60, 1e-4


def bad_stretches(loss: NDArray[np.float64], used: NDArray[np.bool_]) -> list[range]:
    """Stretches of frames whose loss is large for the track.

    Args:
        loss: [F] of the frames.
        used: [F] frames with an observation that counts.
    """
    frames = np.flatnonzero(used)
    if len(frames) < _SPAN:
        return []
    typical = median_filter(loss[frames], _SPAN, mode="nearest")
    bad = frames[typical > _BAD * np.median(loss[frames])]
    found: list[range] = []
    for frame in bad.tolist():
        if found and frame - found[-1].stop <= 2 * MARGIN:
            found[-1] = range(found[-1].start, frame + 1)
        else:
            found.append(range(frame, frame + 1))
    return found


class Restarts:
    """Second attempts at the bad stretches of a track.

    Args:
        solver: body model and settings.
        smoothness: the energy in time.
        known: stature and floor.
        fps: frames per second.
        data_of: the observations of some frames, for their bodies: frames without any are held near them, or with
            None free.
    """

    def __init__(
        self,
        solver: Solver,
        smoothness: Smoothness,
        known: Known,
        fps: float,
        data_of: Callable[[Tensor, WorldPoses | None], TrackData],
    ) -> None:
        self._solver, self._smoothness, self._known, self._fps = solver, smoothness, known, fps
        self._data_of = data_of

    def __call__(self, solution: Solution, used: NDArray[np.bool_]) -> WorldPoses | None:
        """The bodies with stretches that found a lower loss; None: there is none.

        Args:
            solution: the bodies.
            used: [F] frames with an observation that counts.
        """
        n_frames = len(used)
        loss = solution.rows.loss.double().unflatten(0, (n_frames, -1)).sum(1).cpu().numpy()
        poses, is_better = solution.poses, False
        for stretch in bad_stretches(loss, used):
            for attempt in self._attempts(stretch, n_frames):
                better = self._attempt(poses, attempt, used)
                if better is not None:
                    poses, is_better = better, True
        return poses if is_better else None

    def _attempts(self, stretch: range, n_frames: int) -> list[range]:
        """Frames that start anew: the stretch, and more before or after it."""
        beside, further = (round(seconds * self._fps) for seconds in (_BESIDE, _FURTHER))
        if not beside:
            return []
        first, last = stretch.start - beside, stretch.stop + beside
        wanted = [
            range(max(first - further, 0), min(last, n_frames)),
            range(max(first, 0), min(last + further, n_frames)),
        ]
        longest = min((1.0 - _LEAST_KEPT) * n_frames, self._solver.config.sequence.window)
        return [one for one in wanted if len(one) <= longest]

    def _attempt(self, poses: WorldPoses, anew: range, used: NDArray[np.bool_]) -> WorldPoses | None:
        """The bodies with some frames started anew between their neighbours; None: the loss is not lower."""
        around = range(max(anew.start - MARGIN, 0), min(anew.stop + MARGIN, len(used)))
        kept = np.array([place for place, frame in enumerate(around) if frame not in anew and used[frame]])
        if not len(kept):
            return None
        frames = torch.arange(around.start, around.stop, device=poses.x.device)
        held = held_ends(around, len(used), poses.x.device)
        old = poses.index(frames)
        start = interpolated(self._solver, old.index(torch.as_tensor(kept)), kept, len(around))
        start = start.overwrite(held.nonzero()[:, 0], old.index(held))
        objective = self._objective(self._data_of(frames, start), start, held)
        new = solve(self._solver, objective, _TOLERANCE, _ITERATIONS).poses
        free = self._data_of(frames, None)
        before, after = (self._objective(free, one, held) for one in (old, new))
        if not self._loss(after) < (1.0 - _GAIN) * self._loss(before):
            return None
        return poses.overwrite(frames, new)

    def _objective(self, data: TrackData, poses: WorldPoses, held: Tensor) -> JointObjective:
        known = self._known
        return JointObjective(self._solver, data, poses, self._smoothness, fixed_shape=True, known=known, frozen=held)

    @staticmethod
    def _loss(objective: JointObjective) -> float:
        return float(objective.evaluate(objective.start)[0])
