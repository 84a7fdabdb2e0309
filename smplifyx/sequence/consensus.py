"""Agreement of each view's keypoints with those of the others, before any fit: points from the best pair of views."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from smplifyx.fitting.batch import FitTargets
from smplifyx.skeleton import BODY_KEYPOINTS, HAND_KEYPOINTS, keypoint_index
from smplifyx.tracking import View

#: Fewer views cannot tell which of them is wrong.
_LEAST_VIEWS = 3
#: Distance (metres) from which a view counts as not agreeing with a point at all.
_FAR = 0.15
#: Distance (metres) at which half of a keypoint's confidence is left.
_DOUBTFUL = 0.08
#: The objective's unit of length for a person of 1.7 m (metres).
_UNIT = 1.7e-3


def consensus_residuals(targets: FitTargets, views: Sequence[View]) -> NDArray[np.float64]:
    """Mean distance [F, V] of each view's body keypoints from points of the pair of views that suits all best.

    Args:
        targets: of the rows [F V].
        views: the cameras.

    Returns:
        In 1/1000 of a person's size; NaN where fewer than three views see the keypoints.
    """
    distance = _consensus_distances(targets, views)[..., BODY_KEYPOINTS]
    confidence = _by_view(targets.confidence, len(views))[..., BODY_KEYPOINTS]
    counts = (confidence > 0) & torch.isfinite(distance)
    weight = torch.where(counts, confidence, 0.0)
    mean = (weight * torch.where(counts, distance, 0.0).clamp_max(2.0 * _FAR)).sum(2) / weight.sum(2)
    return np.asarray((mean / _UNIT).cpu().numpy())


def with_consensus(targets: FitTargets, views: Sequence[View]) -> FitTargets:
    """The targets, with less confidence in single keypoints that the other views contradict, and in whole hands.

    A detector guesses unseen parts: an arm behind the body, and the whole hand with it. A hand counts little
    where it is not at the wrist on which the views agree.
    """
    distance = _consensus_distances(targets, views)
    factor = _belief(distance)
    for side, hand in HAND_KEYPOINTS.items():
        factor[..., hand] *= _belief(_hand_distances(targets, views, keypoint_index(f"{side}_wrist"), hand.start))
    return replace(targets, confidence=targets.confidence * factor.flatten(0, 1).to(targets.confidence))


def _belief(distance: Tensor) -> Tensor:
    """Share of the confidence that is left at some distances from the consensus; all of it where there is none."""
    return torch.where(torch.isnan(distance), 1.0, 1.0 / (1.0 + (distance / _DOUBTFUL) ** 4))


def _consensus_distances(targets: FitTargets, views: Sequence[View]) -> Tensor:
    """Distances [F, V, K] of keypoints from the points on which the views agree best, metres.

    NaN where fewer than three views see a keypoint, and for those that do not.
    """
    return _agreed_distances(*_rays(targets, views), views)


def _hand_distances(targets: FitTargets, views: Sequence[View], wrist: int, hand: int) -> Tensor:
    """Distances [F, V, 1] of the first point of a hand from the body's wrist on which the views agree best, metres.

    NaN where fewer than three views see the wrist, and for views without the hand.
    """
    rays, seen = _rays(targets, views)
    both = (
        torch.cat([rays[:, :, [wrist]], rays[:, :, [hand]]], 1),
        torch.cat([seen[..., [wrist]], seen[..., [hand]]], 1),
    )
    distance = _agreed_distances(*both, [*views, *views])[:, len(views) :]
    enough = seen[..., wrist].sum(1) >= _LEAST_VIEWS
    return torch.where(enough[:, None, None], distance, torch.nan)


def _rays(targets: FitTargets, views: Sequence[View]) -> tuple[Tensor, Tensor]:
    """Directions [F, V, K, 2] of the keypoints in their cameras, at depth 1, and whether they are seen [F, V, K]."""
    n_views = len(views)
    focal, centre = _by_view(targets.focal_length, n_views), _by_view(targets.principal_point, n_views)
    rays = (_by_view(targets.keypoints, n_views) - centre[:, :, None]) / focal[:, :, None]
    return rays, _by_view(targets.confidence, n_views) > 0


def _agreed_distances(rays: Tensor, seen: Tensor, views: Sequence[View]) -> Tensor:
    """Distances [F, V, K] from the points of the pair of views that suits all of them best, metres.

    NaN where fewer than three views see a keypoint, and for those that do not.
    """
    distance = rays.new_full(seen.shape, torch.nan)
    if len(views) < _LEAST_VIEWS:
        return distance
    rotation = torch.as_tensor(np.stack([np.asarray(view.rotation) for view in views])).to(rays)
    shift = torch.as_tensor(np.stack([np.asarray(view.translation) for view in views])).to(rays)
    # ray z - (x, y) = 0: a point in the world solves two equations of each view.
    rows = rays[..., None] * rotation[:, None, None, 2] - rotation[:, None, :2]  # [F, V, K, 2, 3]
    right = shift[:, None, :2] - rays * shift[:, None, 2:]
    least = rays.new_full(seen[:, 0].shape, torch.inf)
    enough = seen.sum(1) >= _LEAST_VIEWS
    for pair in itertools.combinations(range(len(views)), 2):
        both = seen[:, list(pair)].all(1) & enough
        found = _distances(_point(rows[:, list(pair)], right[:, list(pair)]), rays, rotation, shift)
        cost = torch.where(seen, found.clamp_max(_FAR), 0.0).sum(1)
        better = both & (cost < least)
        least = torch.where(better, cost, least)
        distance = torch.where(better[:, None], found, distance)
    return torch.where(seen, distance, torch.nan)


def _by_view(values: Tensor, n_views: int) -> Tensor:
    return values.double().unflatten(0, (-1, n_views))


def _point(rows: Tensor, right: Tensor) -> Tensor:
    """Points [F, K, 3] that solve the equations [F, 2, K, 2, 3] of two views."""
    matrix = torch.einsum("fvkic,fvkid->fkcd", rows, rows)
    vector = torch.einsum("fvkic,fvki->fkc", rows, right)
    matrix = matrix + 1e-9 * torch.eye(3).to(matrix)
    return torch.linalg.solve(matrix, vector[..., None])[..., 0]


def _distances(points: Tensor, rays: Tensor, rotation: Tensor, shift: Tensor) -> Tensor:
    """Distances [F, V, K] of points [F, K, 3] from the rays of all views, at their depth, metres."""
    seen = torch.einsum("vij,fkj->fvki", rotation, points) + shift[:, None]
    off = (seen[..., :2] - rays * seen[..., 2:]).norm(dim=3)
    return torch.where(seen[..., 2] > 0, off, torch.inf)
