"""Finds joints as weighted means of surface points, so that joints follow the shape in any SMPL-X code."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.sparse.csgraph import shortest_path

from smplifyx.body.data import FloatArray, IntArray
from smplifyx.skeleton import PARENTS

#: Bones between a joint and the segments whose vertices may take part.
_REACH = 3
_N_NEAREST = 200
_N_RANDOM = 800
_SEED = 30
#: Weight of "rows sum to one" and of keeping each vertex's share small, against errors in metres.
_SUM_WEIGHT = 10.0
_DISTANCE_RIDGE = 2e-3
#: A vertex belongs to the segments of all joints that carry more than this share of it.
_SEGMENT_WEIGHT = 0.3


@dataclass(frozen=True)
class RegressionTargets:
    """People in T-pose to learn from: vertices [N, V, 3] and joints [N, 55, 3]."""

    vertices: FloatArray
    joints: FloatArray


def _candidates(
    distances: FloatArray, segment: NDArray[np.bool_], random: np.random.Generator
) -> NDArray[np.integer]:
    """Vertices of the segments about a joint: the nearest, and some from anywhere on them.

    The nearest alone cannot follow joints that depend on the length of a limb.
    """
    inside = np.flatnonzero(segment)
    nearest = inside[np.argsort(distances[inside])[:_N_NEAREST]]
    others = np.setdiff1d(inside, nearest)
    return np.concatenate([nearest, random.permutation(others)[:_N_RANDOM]])


def fit_row(vertices: FloatArray, joint: FloatArray, distances: FloatArray) -> FloatArray:
    """Non-negative shares [C] that sum to one, from vertices [N, C, 3] and the joint [N, 3]."""
    system = np.concatenate(
        [
            vertices.transpose(0, 2, 1).reshape(-1, vertices.shape[1]),
            np.full((1, vertices.shape[1]), _SUM_WEIGHT),
            np.diag(_DISTANCE_RIDGE * distances / distances.mean()),
        ]
    )
    target = np.concatenate([joint.reshape(-1), [_SUM_WEIGHT], np.zeros(vertices.shape[1])])
    shares, _ = nnls(system, target, maxiter=30 * vertices.shape[1])
    return shares / shares.sum()


def _steps_between_joints() -> IntArray:
    """[55, 55] number of bones on the way from one joint to another."""
    links = [(joint, parent) for joint, parent in enumerate(PARENTS) if parent >= 0]
    graph = np.zeros((len(PARENTS), len(PARENTS)))
    graph[tuple(np.transpose(links))] = 1
    return shortest_path(graph, directed=False, unweighted=True).astype(int)


def fit_joint_regressor(targets: RegressionTargets, skinning_weights: FloatArray) -> FloatArray:
    """[55, V] non-negative rows that sum to one."""
    random = np.random.default_rng(_SEED)
    steps = _steps_between_joints()
    moving = skinning_weights > _SEGMENT_WEIGHT
    mean_vertices, mean_joints = targets.vertices.mean(axis=0), targets.joints.mean(axis=0)
    regressor = np.zeros(skinning_weights.T.shape)
    for joint in range(len(PARENTS)):
        relatives = np.flatnonzero(steps[joint] <= _REACH)
        segment = np.asarray(moving[:, relatives].any(axis=1))
        distances = np.linalg.norm(mean_vertices - mean_joints[joint], axis=1)
        chosen = _candidates(distances, segment, random)
        regressor[joint, chosen] = fit_row(
            targets.vertices[:, chosen].astype(np.float64), targets.joints[:, joint], distances[chosen]
        )
    return regressor
