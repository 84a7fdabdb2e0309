"""Start of the fit of a track: fits of single observations, and a consistent choice among them.

Each observation is fitted by itself, up to the stage where poses with limbs flipped in depth compete. These poses of
all views are the candidates of a frame. They get one shape, and the place that suits all views best. The path through
them that has the lowest loss and the least motion (Viterbi) is the start; it may pass over observations that agree
with no neighbour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smplifyx.fitting.batch import FitTargets, Hypotheses, InitialPose
from smplifyx.fitting.fitter import Fitter
from smplifyx.fitting.solver import Solver
from smplifyx.keypoints import Observation
from smplifyx.optim import padded_rows
from smplifyx.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from smplifyx.sequence.known import Stature
from smplifyx.sequence.problem import TrackData, row_terms
from smplifyx.sequence.world import RestPelvis, ViewRows, WorldPoses, with_shape, world_poses
from smplifyx.skeleton import BODY_JOINTS
from smplifyx.tracking import View

#: Candidates of each view of a frame that is seen by several.
_PER_VIEW = 2
#: Energy of motion: squared weight of speeds (m/s), and the speed of a joint from which it grows linearly.
_MOTION_WEIGHT, _SPEED = 45.0, 1.5
#: The whole body counts as this many joints, and may move faster: who runs or falls moves all joints.
_PLACE_COUNT, _PLACE_SPEED = 3.0, 6.0
#: Price of passing over a frame at 30 frames per second or more, and the most frames that a path passes over at once.
_PASSING, _MOST_PASSED = 8000.0, 12
#: Depth (metres) that a candidate has at least where places are compared.
_LEAST_DEPTH = 0.1
#: Frames whose candidates are compared at once.
_FRAMES_AT_ONCE = 32


@dataclass(frozen=True)
class Candidates:
    """Poses of N candidates; several belong to a frame.

    Attributes:
        frame, view: [N] the frame, and the view whose observation was fitted.
        poses: the bodies.
        loss: [N] of the own observation.
    """

    frame: Tensor
    view: Tensor
    poses: WorldPoses
    loss: Tensor


def fit_observations(
    fitter: Fitter, observed: Sequence[tuple[int, int, Observation]], views: Sequence[View]
) -> tuple[Candidates, FitTargets]:
    """Fit observations one by one.

    Args:
        fitter: the fitter.
        observed: frame, view and observation with its camera.
        views: the cameras.

    Returns:
        The candidates, and the targets of the observations in their order.
    """
    solver = fitter.solver
    found: list[Hypotheses] = []
    targets: list[FitTargets] = []
    for first in range(0, len(observed), fitter.batch_size):
        batch = observed[first : first + fitter.batch_size]
        hypotheses = fitter.competing_hypotheses([one for _, _, one in batch])
        targets.append(hypotheses.targets.index(hypotheses.best()))
        hypotheses = _lowest(hypotheses, _PER_VIEW if len(views) > 1 else len(hypotheses.x))
        found.append(replace(hypotheses, person=hypotheses.person + first))
    every, of_all = found[0], targets[0]
    for hypotheses, some in zip(found[1:], targets[1:], strict=True):
        every, of_all = every.concatenate(hypotheses), of_all.concatenate(some)
    frame = torch.tensor([frame for frame, _, _ in observed], device=every.x.device)[every.person]
    view = torch.tensor([view for _, view, _ in observed], device=every.x.device)[every.person]
    layout = solver.parameters.layout
    rest = RestPelvis.of(solver.full_view.model, layout)
    poses = world_poses(every.x, every.initial, views, view, rest, layout)
    return Candidates(frame, view, poses, every.loss.double()), of_all


def _lowest(hypotheses: Hypotheses, number: int) -> Hypotheses:
    """The finite hypotheses of lowest loss of each person, at most a number of them; failed people have the first."""
    finite = torch.isfinite(hypotheses.loss) & torch.isfinite(hypotheses.x).all(1)
    person, loss = hypotheses.person.cpu().numpy(), hypotheses.loss.cpu().numpy()
    order = np.lexsort((np.where(finite.cpu().numpy(), loss, np.inf), person))
    rank = np.arange(len(order)) - np.searchsorted(person[order], person[order])
    kept = order[(rank < number) & finite.cpu().numpy()[order]]
    return hypotheses.index(torch.as_tensor(np.sort(kept), device=hypotheses.x.device))


def common_shape(candidates: Candidates, betas: slice) -> Tensor:
    """[S] the median shape of the best candidates of all observations."""
    key = candidates.frame * (int(candidates.view.max()) + 1) + candidates.view
    _, person = torch.unique(key, return_inverse=True)
    lowest = candidates.loss.new_full((int(person.max()) + 1,), torch.inf)
    lowest = lowest.scatter_reduce(0, person, candidates.loss, "amin")
    return candidates.poses.x[candidates.loss == lowest[person]][:, betas].median(0).values


class Choice:
    """Compares the candidates of a track's frames in all views.

    Args:
        solver: body model and settings.
        data: the observations.
        candidates: the candidates, all of one shape.
        fps: frames per second.
    """

    def __init__(self, solver: Solver, data: TrackData, candidates: Candidates, fps: float) -> None:
        self._solver, self._data, self._fps = solver, data, fps
        layout = solver.parameters.layout
        self._rest = RestPelvis.of(solver.full_view.model, layout)
        losses, poses, joints = [], [], []
        order = torch.argsort(candidates.frame, stable=True)
        self.frame = candidates.frame[order]
        every = candidates.poses.index(order)
        numbers = self.frame.cpu().numpy()
        bounds = np.searchsorted(numbers, np.arange(0, numbers[-1] + 1, _FRAMES_AT_ONCE))
        for first, last in zip(bounds, [*bounds[1:], len(order)], strict=True):
            rows = torch.arange(int(first), int(last), device=self.frame.device)
            if not len(rows):
                continue
            placed, relative = self._placed(every.index(rows), self.frame[rows])
            losses.append(self._losses(placed, self.frame[rows]))
            poses.append(placed)
            joints.append(relative)
        self.poses = poses[0]
        for some in poses[1:]:
            self.poses = self.poses.concatenate(some)
        self.loss, self.joints = torch.cat(losses), torch.cat(joints)

    def _placed(self, poses: WorldPoses, frame: Tensor) -> tuple[WorldPoses, Tensor]:
        """The candidates at the place that all views of their frame agree on; their joints from the pelvis."""
        rows = padded_rows(len(poses.x), poses.x.device)
        origin = InitialPose(poses.orientation, -self._rest(poses.x)).index(rows)
        initial = origin.to(self._solver.dtype)
        state = self._solver.pose(poses.x[rows].to(self._solver.dtype), initial)
        points = state.keypoints[: len(poses.x)].double()
        joints = state.joints[: len(poses.x), BODY_JOINTS].double()
        targets = self._data.of_frames(frame).targets.of_keypoints(self._solver.first_view.keypoints)
        place = best_place(points, targets, self._data.views, poses.pelvis)
        return replace(poses, pelvis=place), joints

    def _losses(self, poses: WorldPoses, frame: Tensor) -> Tensor:
        """[N] losses in all views of the frames."""
        solver, data = self._solver, self._data.of_frames(frame)
        seen = ViewRows(poses, data.views, self._rest, solver.parameters.layout)
        x = seen.rows(poses.x).to(solver.dtype)
        initial = seen.initial.to(solver.dtype)
        hypotheses = Hypotheses.start(torch.arange(len(x), device=x.device), data.targets, initial, x)
        terms = row_terms(solver, max(len(solver.weights) - 1, 1), data.n_views)
        objective = solver.objective(terms, hypotheses)
        loss = objective.values(x[:, objective.free]).double()
        loss = torch.where(torch.isfinite(loss), loss, torch.inf)
        return loss.unflatten(0, (-1, data.n_views)).sum(1)

    def path(self) -> NDArray[np.int64]:
        """Numbers of the chosen candidates, at most one a frame, ascending by frame."""
        joints, places = self.joints.cpu().numpy(), self._places().cpu().numpy()
        return lowest_path(self.frame.cpu().numpy(), self.loss.cpu().numpy(), joints, places, self._fps)

    def _places(self) -> Tensor:
        """[N, 3] places of the bodies, metres; those of a single view all at one depth, as it hardly shows it."""
        place = self.poses.pelvis
        if self._data.n_views > 1:
            return place
        (view,) = self._data.views
        rotation = torch.as_tensor(np.asarray(view.rotation)).to(place)
        seen = place @ rotation.T + torch.as_tensor(np.asarray(view.translation)).to(place)
        depth = seen[:, 2:].clamp_min(_LEAST_DEPTH)
        return (seen / depth * depth.median()) @ rotation


def lowest_path(
    frame: NDArray[np.int64],
    loss: NDArray[np.float64],
    joints: NDArray[np.float64],
    places: NDArray[np.float64],
    fps: float,
) -> NDArray[np.int64]:
    """The path of lowest loss and motion through candidates, by dynamic programming.

    Args:
        frame: [N] frames of the candidates, ascending.
        loss: [N] their losses.
        joints: [N, J, 3] of the body from its root, metres.
        places: [N, 3] of the root, metres.
        fps: frames per second.

    Returns:
        The numbers of the chosen candidates; frames that agree with no neighbour are passed over.
    """
    numbers = np.unique(frame)
    groups = [np.flatnonzero(frame == number) for number in numbers]
    # The pose of least loss is free, so that hard and easy frames count alike.
    own = np.concatenate([loss[group] - loss[group].min() for group in groups])
    own = np.where(np.isfinite(own), own, 1e12)
    passing = _PASSING * max(1.0, 30.0 / fps)  # as the energy of a motion at the same speed
    total, before = own.copy(), np.full(len(frame), -1)
    for place, group in enumerate(groups):
        total[group] += passing * place
        for earlier in range(max(0, place - 1 - _MOST_PASSED), place):
            others = groups[earlier]
            price = passing * (place - earlier - 1)
            motion = _motion(
                joints[group][:, None] - joints[others],
                places[group][:, None] - places[others],
                numbers[place] - numbers[earlier],
                fps,
            )
            costs = total[others] + motion + price + own[group][:, None]
            best = costs.argmin(1)
            lower = costs[np.arange(len(group)), best] < total[group]
            total[group] = np.where(lower, costs[np.arange(len(group)), best], total[group])
            before[group] = np.where(lower, others[best], before[group])
    left = passing * np.concatenate([np.full(len(group), len(groups) - 1 - k) for k, group in enumerate(groups)])
    chosen = int(np.argmin(total + left))
    path = [chosen]
    while before[path[-1]] >= 0:
        path.append(int(before[path[-1]]))
    return np.array(path[::-1])


def _motion(joints: NDArray[np.float64], places: NDArray[np.float64], frames: int, fps: float) -> NDArray[np.float64]:
    """Energy of a motion: displacements of joints [..., J, 3] and of the whole body [..., 3] within some frames."""
    energy = _speed_energy(joints, _SPEED, frames, fps).sum(-1)
    energy += _PLACE_COUNT * _speed_energy(places, _PLACE_SPEED, frames, fps)
    return np.asarray(_MOTION_WEIGHT * frames * (30.0 / fps) * energy)


def _speed_energy(change: NDArray[np.float64], limit: float, frames: int, fps: float) -> NDArray[np.float64]:
    """Squared speeds of displacements [..., 3] within some frames, linear from a limit (m/s) on."""
    square = (change**2).sum(-1) * (fps / frames) ** 2
    return np.asarray(2.0 * limit**2 * (np.sqrt(1.0 + square / limit**2) - 1.0))


def best_place(points: Tensor, targets: FitTargets, views: Sequence[View], otherwise: Tensor) -> Tensor:
    """Places [N, 3] of points [N, K, 3] in the world that suit their pixels in all views, by linear least squares.

    Args:
        points: relative to the place, world axes, metres.
        targets: of the rows [N V].
        views: the cameras.
        otherwise: [N, 3] the place where nothing is observed.
    """
    n_views = len(views)
    keypoints = targets.keypoints.double().unflatten(0, (-1, n_views))
    weight = targets.confidence.double().unflatten(0, (-1, n_views))
    focal = targets.focal_length.double().unflatten(0, (-1, n_views))[:, :, None]
    centre = targets.principal_point.double().unflatten(0, (-1, n_views))[:, :, None]
    ray = (keypoints - centre) / focal  # [N, V, K, 2]
    rotation = torch.as_tensor(np.stack([np.asarray(view.rotation) for view in views])).to(points)
    shift = torch.as_tensor(np.stack([np.asarray(view.translation) for view in views])).to(points)
    seen = torch.einsum("vij,nkj->nvki", rotation, points) + shift[:, None]
    # ray z - (x, y) = 0 for the point in the camera's frame.
    rows = ray[..., None] * rotation[:, None, None, 2] - rotation[:, None, :2]  # [N, V, K, 2, 3]
    right = seen[..., :2] - ray * seen[..., 2:]
    scaled = (weight[..., None, None] * rows).flatten(1, 3)
    matrix = scaled.transpose(1, 2) @ scaled
    vector = scaled.transpose(1, 2) @ (weight[..., None] * right).flatten(1, 3)[..., None]
    enough = (weight > 0).flatten(1).sum(1) >= 3
    identity = torch.eye(3, dtype=points.dtype, device=points.device)
    matrix = torch.where(enough[:, None, None], matrix + 1e-9 * identity, identity)
    place = torch.linalg.solve(matrix, vector)[..., 0]
    good = enough & torch.isfinite(place).all(1)
    return torch.where(good[:, None], place, otherwise)


def interpolated(solver: Solver, poses: WorldPoses, frames: NDArray[np.int64], n_frames: int) -> WorldPoses:
    """Bodies of all frames from those of some [N], ascending: rotations and places between the nearest two.

    Args:
        solver: the body model.
        poses: the bodies of some frames.
        frames: [N] their numbers.
        n_frames: number of frames.
    """
    wanted = np.arange(n_frames)
    later = np.clip(np.searchsorted(frames, wanted), 0, len(frames) - 1)
    earlier = np.where(frames[later] == wanted, later, np.maximum(later - 1, 0))
    later = np.where(wanted > frames[-1], len(frames) - 1, later)
    earlier = np.where(wanted < frames[0], 0, earlier)
    span = np.maximum(frames[later] - frames[earlier], 1)
    share = torch.as_tensor(np.clip((wanted - frames[earlier]) / span, 0.0, 1.0)).to(poses.x)[:, None]
    return between(solver, poses.index(torch.as_tensor(earlier)), poses.index(torch.as_tensor(later)), share)


def between(solver: Solver, first: WorldPoses, second: WorldPoses, share: Tensor) -> WorldPoses:
    """Bodies by a share [F, 1] of the way from some to others; rotations take the shortest way."""
    x = first.x + share * (second.x - first.x)
    inside = ((share > 0.0) & (share < 1.0))[:, 0].nonzero()[:, 0]
    if len(inside):
        columns = solver.parameters.layout.slices["body_pose"]
        prior = solver.parameters.prior
        ends = [prior.decode(one.x[inside][:, columns].to(solver.dtype)).rotations.to(x) for one in (first, second)]
        angles = matrix_to_axis_angle(_slerp(ends[0], ends[1], share[inside, :, None]))
        x[inside, columns] = prior.encode(angles.flatten(1).to(solver.dtype)).to(x)
    return WorldPoses(
        _slerp(first.orientation, second.orientation, share),
        first.pelvis + share * (second.pelvis - first.pelvis),
        x,
    )


def _slerp(start: Tensor, end: Tensor, share: Tensor) -> Tensor:
    """Rotations [..., 3, 3] between two, by a share [..., 1] of the way."""
    return start @ axis_angle_to_matrix(share * matrix_to_axis_angle(start.transpose(-1, -2) @ end))


def start_poses(
    fitter: Fitter, data: TrackData, candidates: Candidates, fps: float, n_frames: int, stature: Stature | None = None
) -> tuple[WorldPoses, NDArray[np.bool_]]:
    """The bodies that the fit starts from, and the frames [F] whose observations the path used."""
    layout = fitter.solver.parameters.layout
    betas = common_shape(candidates, layout.slices["betas"])
    betas = betas if stature is None else stature.matched(betas)
    candidates = replace(candidates, poses=with_shape(candidates.poses, betas, layout))
    choice = Choice(fitter.solver, data, candidates, fps)
    path = choice.path()
    frames = choice.frame[path].cpu().numpy()
    used = np.zeros(n_frames, bool)
    used[frames] = True
    return interpolated(fitter.solver, choice.poses.index(torch.as_tensor(path)), frames, n_frames), used
