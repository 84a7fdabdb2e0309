"""A plain search for colliding pairs, as a second witness and for tests that need some pairs."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import cKDTree

from tests.collision.plain_penalty import intersection_length


def intersecting_pairs(
    vertices: np.ndarray, faces: np.ndarray, labels: np.ndarray, related: np.ndarray
) -> np.ndarray:
    """Pairs [N, 2] of triangles that intersect and whose parts are not related; spheres around triangles first."""
    triangles = vertices[faces]
    centres = triangles.mean(1)
    radii = np.linalg.norm(triangles - centres[:, None], axis=-1).max(1)
    found = []
    order = np.argsort(radii)
    for size in np.array_split(order, 8):  # large triangles need a wider look than small ones
        reach = radii[size].max()
        smaller = np.flatnonzero(radii <= reach)
        near = cKDTree(centres[size]).query_ball_tree(cKDTree(centres[smaller]), 2 * reach)
        lengths = [len(some) for some in near]
        first = np.repeat(size, lengths)
        second = smaller[np.concatenate([np.asarray(some, int) for some in near])]
        distance = np.linalg.norm(centres[first] - centres[second], axis=1)
        keep = (distance < radii[first] + radii[second]) & ~related[labels[first], labels[second]]
        found.append(np.sort(np.stack([first[keep], second[keep]], 1), axis=1))
    pairs = np.unique(np.concatenate(found), axis=0)
    meet = intersection_length(torch.as_tensor(triangles[pairs[:, 0]]), torch.as_tensor(triangles[pairs[:, 1]])) > 0
    return pairs[meet.numpy()]
