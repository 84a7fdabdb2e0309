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
from smplifyx.skeleton import BODY_KEYPOINTS
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
    """The targets, with less confidence in single keypoints that the other views contradict.

    A detector guesses what it does not see: an arm behind the body, and the whole hand with it.
    """
    distance = _consensus_distances(targets, views).flatten(0, 1)
    factor = 1.0 / (1.0 + (distance / _DOUBTFUL) ** 4)
    factor = torch.where(torch.isnan(distance), 1.0, factor).to(targets.confidence)
    return replace(targets, confidence=targets.confidence * factor)


def _consensus_distances(targets: FitTargets, views: Sequence[View]) -> Tensor:
    """Distances [F, V, K] of keypoints from the points on which the views agree best, metres.

    NaN where fewer than three views see a keypoint, and for those that do not.
    """
    n_views = len(views)
    confidence = _by_view(targets.confidence, n_views)
    if n_views < _LEAST_VIEWS:
        return torch.full_like(confidence, torch.nan)
    focal, centre = _by_view(targets.focal_length, n_views), _by_view(targets.principal_point, n_views)
    pixels = _by_view(targets.keypoints, n_views)
    rays = (pixels - centre[:, :, None]) / focal[:, :, None]
    rotation = torch.as_tensor(np.stack([np.asarray(view.rotation) for view in views])).to(rays)
    shift = torch.as_tensor(np.stack([np.asarray(view.translation) for view in views])).to(rays)
    # ray z - (x, y) = 0: a point in the world solves two equations of each view.
    rows = rays[..., None] * rotation[:, None, None, 2] - rotation[:, None, :2]  # [F, V, K, 2, 3]
    right = shift[:, None, :2] - rays * shift[:, None, 2:]
    least = rays.new_full(confidence.transpose(1, 2).shape[:2], torch.inf)
    distance = rays.new_full(confidence.shape, torch.nan)
    seen = confidence > 0
    enough = seen.sum(1) >= _LEAST_VIEWS
    for pair in itertools.combinations(range(n_views), 2):
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
