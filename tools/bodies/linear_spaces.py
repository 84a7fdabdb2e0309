"""Principal components of shapes, expressions and hand poses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smplifyx.body.data import FloatArray, IntArray
from smplifyx.synthetic.makehuman.hand_poses import hand_pose_from_angles, sample_hand_angles
from smplifyx.synthetic.makehuman.source import SourceModel
from tools.bodies.attachments import SurfaceAttachments

N_SHAPE_COMPONENTS = 10
N_EXPRESSION_COMPONENTS = 10
_N_ACTIVATIONS = 4000
_SEED = 20
#: Left to the eye and jaw joints, or omitted: ``mouthClose`` only makes sense with an open jaw.
_EXCLUDED_ACTIONS = ("eyeLook", "jaw", "tongueOut", "mouthClose")
#: Share of active actions, and the deviation between the two sides of the face.
_ACTIVITY = 0.3
_SIDE_DEVIATION = 0.25
#: Strongest activation where it is not one. A linear space has every movement in both directions, and the reverse of
#: these looks wrong soonest: lips cross, cheeks cave in, the mouth leaves the face.
_STRONGEST = {"mouthFunnel": 0.4, "cheekPuff": 0.5, "mouthLeft": 0.4, "mouthRight": 0.4, "mouthPucker": 0.8}
#: Weight of a landmark against a vertex, as the eye notices small movements of brows and lids.
_LANDMARK_WEIGHT = 8.0
_N_HAND_POSES = 6000
_HAND_SEED = 20


@dataclass(frozen=True)
class ShapeSpace:
    """A linear shape space in T-pose (S components of unit variance).

    Attributes:
        vertices: [V, 3] the mean.
        directions: [S, V, 3] metres per standard deviation.
    """

    vertices: FloatArray
    directions: FloatArray

    def residuals(self, people: FloatArray) -> FloatArray:
        """[N, V] distance of each vertex from the best approximation of people [N, V, 3] in this space, metres."""
        basis = self.directions.reshape(len(self.directions), -1)
        offsets = (people - self.vertices).reshape(len(people), -1)
        coordinates = np.linalg.solve(basis @ basis.T, basis @ offsets.T).T
        return np.linalg.norm((offsets - coordinates @ basis).reshape(people.shape), axis=-1)


def fit_shape_space(people: FloatArray, n_components: int = N_SHAPE_COMPONENTS) -> ShapeSpace:
    """Principal components of people [N, V, 3]; the first grows the body, the others have a fixed sign.

    Uses the [N, N] Gram matrix, which is small.
    """
    mean = people.mean(axis=0)
    offsets = (people - mean).reshape(len(people), -1)
    values, vectors = np.linalg.eigh((offsets @ offsets.T).astype(np.float64))
    order = np.argsort(values)[::-1][:n_components]
    # A unit eigenvector u gives the direction u @ offsets of length sqrt(value); one sd is sqrt(value / N) long.
    directions = (vectors[:, order].T @ offsets) / np.sqrt(len(people))
    directions = directions.reshape(n_components, *mean.shape)
    tallness = np.sum(directions[..., 1] * mean[:, 1], axis=1)
    directions *= np.where(tallness < 0, -1.0, 1.0)[:, None, None]
    return ShapeSpace(vertices=mean, directions=directions)


def _random_activations(names: list[str]) -> FloatArray:
    """[N, A] activations about their mean; the two sides of the face mostly act together."""
    random = np.random.default_rng(_SEED)
    activations = np.zeros((_N_ACTIVATIONS, len(names)))
    both_sides: dict[str, FloatArray] = {}
    for column, name in enumerate(names):
        stem = name if name in _STRONGEST else name.removesuffix("Left").removesuffix("Right")
        if stem not in both_sides:
            active = random.uniform(size=_N_ACTIVATIONS) < _ACTIVITY
            both_sides[stem] = active * random.uniform(0.0, _STRONGEST.get(stem, 1.0), _N_ACTIVATIONS)
        side = 1 + _SIDE_DEVIATION * random.standard_normal(_N_ACTIVATIONS)
        activations[:, column] = np.clip(both_sides[stem] * side, 0.0, 1.0)
    return activations - activations.mean(axis=0)


def _landmarks(displacements: FloatArray, faces: IntArray, attachments: SurfaceAttachments) -> FloatArray:
    corners = displacements[:, faces[attachments.landmark_faces]]
    return np.einsum("alkc,lk->alc", corners, attachments.landmark_barycentric)


def fit_expression_space(
    model: SourceModel, attachments: SurfaceAttachments, n_components: int = N_EXPRESSION_COMPONENTS
) -> FloatArray:
    """[E, V, 3] displacements for one standard deviation of each component, in the source's rest pose.

    Principal components of vertices and face landmarks. The relaxed face stays the template: activations count as
    deviations from their mean.
    """
    kept = [k for k, name in enumerate(model.action_names) if not name.startswith(_EXCLUDED_ACTIONS)]
    actions = model.action_shapes[kept].astype(np.float64)
    activations = _random_activations([model.action_names[k] for k in kept])
    # Principal components within the span of the action units: factor the covariance of the activations first.
    factor = np.linalg.cholesky(activations.T @ activations / _N_ACTIVATIONS)
    landmarks = _LANDMARK_WEIGHT * _landmarks(actions, model.mesh.faces, attachments)
    seen = np.concatenate([actions.reshape(len(kept), -1), landmarks.reshape(len(kept), -1)], axis=1)
    mixing, _, _ = np.linalg.svd(factor.T @ seen, full_matrices=False)
    components = np.tensordot(mixing[:, :n_components].T @ factor.T, actions, axes=1)
    # Signs are arbitrary: let each component lift the landmarks.
    lift = _landmarks(components, model.mesh.faces, attachments)[..., 1].sum(axis=1)
    return components * np.where(lift < 0, -1.0, 1.0)[:, None, None]


@dataclass(frozen=True)
class HandPoseSpace:
    """Linear space of hand poses: ``pose = coefficients @ components + mean``, axis-angle in radians.

    Attributes:
        mean: [45] a relaxed, slightly curled hand.
        components: [45, 45] orthonormal rows, the one with the largest variance first.
        standard_deviations: [45] of the coefficients over the poses the space was made from, radians.
    """

    mean: FloatArray
    components: FloatArray
    standard_deviations: FloatArray


def left_hand_pose_space() -> HandPoseSpace:
    """The left hand's pose space, always the same; the right hand's is its mirror image."""
    poses = hand_pose_from_angles(sample_hand_angles(_N_HAND_POSES, _HAND_SEED))
    mean = poses.mean(axis=0)
    _, singular_values, components = np.linalg.svd(poses - mean, full_matrices=False)
    # The sign of a component is free: its largest entry is made positive, whatever the SVD's implementation.
    largest = np.take_along_axis(components, np.abs(components).argmax(axis=1)[:, None], axis=1)
    return HandPoseSpace(mean, components * np.sign(largest), singular_values / np.sqrt(_N_HAND_POSES))
