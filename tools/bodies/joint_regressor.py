"""Joint regressors of whole bodies and of their parts: joints as weighted means of vertices."""

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
#: Vertices of a part, nearest first, that may contribute to one of its joints.
_N_NEAREST_OF_PART = 400
#: Strength of the expressions that the joints of a part must follow as well, standard deviations.
_EXPRESSION_STRENGTH = 10.0


@dataclass(frozen=True)
class RegressionTargets:
    """Training data in T-pose: vertices [N, V, 3] and joints [N, 55, 3]."""

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


@dataclass(frozen=True)
class BodyPart:
    """The part of the whole body that the regressor belongs to (E expressions).

    Attributes:
        template: [N, 3] its mean shape, metres.
        joints: [J, 3] the body's joints for the mean shape, which the regressor meets exactly.
        expressions: [E, N, 3] displacements of the vertices.
        joint_expressions: [E, J, 3] displacements of the body's joints.
    """

    template: FloatArray
    joints: FloatArray
    expressions: FloatArray
    joint_expressions: FloatArray

    def expressive_faces(self) -> RegressionTargets:
        """The mean shape with strong expressions, one at a time."""
        strengths = np.array([_EXPRESSION_STRENGTH, -_EXPRESSION_STRENGTH])[:, None, None, None]
        vertices = self.template + strengths * self.expressions
        joints = self.joints + strengths * self.joint_expressions
        return RegressionTargets(vertices.reshape(-1, *self.template.shape), joints.reshape(-1, *self.joints.shape))


def fit_part_regressor(people: RegressionTargets, part: BodyPart) -> FloatArray:
    """[J, N] rows that sum to one, follow the joints of people, and meet those of the mean shape exactly.

    Non-negative shares are fitted to people first; the least change that meets the mean shape's joints may then make
    some of them slightly negative.

    Args:
        people: parts of people, vertices [P, N, 3] and joints [P, J, 3].
        part: the body's own.
    """
    faces = part.expressive_faces()
    regressor = np.zeros((len(part.joints), len(part.template)))
    for joint, (row, location) in enumerate(zip(regressor, part.joints, strict=True)):
        distances = np.linalg.norm(part.template - location, axis=1)
        near = np.argsort(distances, kind="stable")[:_N_NEAREST_OF_PART]
        vertices = np.concatenate([people.vertices[:, near], faces.vertices[:, near]]).astype(np.float64)
        targets = np.concatenate([people.joints[:, joint], faces.joints[:, joint]])
        row[near] = fit_row(vertices, targets, distances[near])
        # Spread over all points near by, the change is small for each of them.
        system = np.concatenate([part.template[near].T, np.ones((1, len(near)))])
        row[near] += np.linalg.pinv(system) @ (np.append(location, 1.0) - system @ row[near])
    return regressor
