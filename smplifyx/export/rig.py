"""A skinned character from a motion: four weights a vertex, pose correctives as morph targets, and their errors."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from smplifyx.export.motion import Motion
from smplifyx.rotations import axis_angle_to_matrix

#: Weights a vertex that every program reads.
N_WEIGHTS = 4
#: Most morph targets that the pose correctives of an animation get.
MAX_CORRECTIVE_TARGETS = 8
#: Joints of a vertex among which the four are chosen.
_CANDIDATES = 6
#: Frames on which the errors are measured, evenly spaced.
_MEASURED_FRAMES = 50
#: Metres by which a vertex must come nearer to change its weights by one.
_DAMPING = 0.01
#: Poses in which the four weights are chosen besides those of the motion, and their angles, radians.
_TRIALS, _TRIAL_ANGLE = 24, 0.3
#: Importance of the motion's own poses against these.
_OWN_IMPORTANCE = 1.2
#: Correctives are explained once the rest is below this share of them.
_NEGLIGIBLE = 1e-3


@dataclass(frozen=True)
class Distance:
    """Distances of two surfaces over all vertices and frames, millimetres."""

    mean: float
    largest: float

    @classmethod
    def between(cls, a: np.ndarray, b: np.ndarray) -> Distance:
        """Distance of two arrays of points in metres."""
        distances = 1000.0 * np.linalg.norm(a.astype(np.float64) - b, axis=-1)
        return cls(float(distances.mean()), float(distances.max()))

    def __str__(self) -> str:
        return f"mean {self.mean:.2f} mm, at most {self.largest:.1f} mm"


@dataclass(frozen=True)
class RigErrors:
    """Errors of a rig, measured on up to 50 frames.

    Attributes:
        skin: four weights against all of the body model, both without pose correctives.
        correctives: displacement by pose correctives, which is lost without them.
        correctives_left: the rest of it that the morph targets do not hold.
        total: the exported surface against the vertices of the fits. In an animation it contains the change to one
            shape for all frames.
    """

    skin: Distance
    correctives: Distance
    correctives_left: Distance
    total: Distance


class Rig:
    """The skin of a motion in the form that glTF and USD take.

    Attributes:
        motion: the person.
        joint_numbers, joint_weights: the four heaviest joints of each vertex [V, 4], and their weights, which sum to
            one; a weight of zero has joint 0.
    """

    def __init__(self, motion: Motion, with_correctives: bool = True) -> None:
        self.motion = motion
        self.with_correctives = with_correctives
        self.joint_numbers, self.joint_weights = heaviest_joints(motion.data.skinning_weights)
        self._refit_weights()

    @cached_property
    def shape_targets(self) -> np.ndarray:
        """Displacements [S, V, 3] of one standard deviation of each shape coefficient."""
        return np.moveaxis(self.motion.data.shapedirs, 2, 0).astype(np.float32)

    @cached_property
    def expression_targets(self) -> np.ndarray:
        """Displacements [E, V, 3] of one standard deviation of each expression coefficient."""
        return np.moveaxis(self.motion.data.expression_dirs, 2, 0).astype(np.float32)

    @cached_property
    def corrective_targets(self) -> np.ndarray:
        """Displacements [K, V, 3] that give the pose correctives with :attr:`corrective_values`.

        The first one is constant. Several frames also have the principal components of their correctives.
        """
        return self._correctives[0]

    @cached_property
    def corrective_values(self) -> np.ndarray:
        """Values of the corrective targets in each frame [T, K], between 0 and 1, since programs clamp others."""
        return self._correctives[1]

    @cached_property
    def _correctives(self) -> tuple[np.ndarray, np.ndarray]:
        shapes = self.motion.body.model.pose_shapes.numpy()
        features = self.motion.pose_features().numpy()
        if not self.with_correctives or not len(shapes):
            return np.zeros((0, self.motion.data.n_vertices, 3), np.float32), np.zeros((len(features), 0), np.float32)
        constant = features[:1]
        values, combinations = principal_components(features - constant, shapes, MAX_CORRECTIVE_TARGETS - 1)
        lowest = values.min(axis=0)
        span = values.max(axis=0) - lowest
        combinations = np.concatenate([constant + lowest @ combinations, combinations * span[:, None]])
        values = np.concatenate([np.ones((len(values), 1)), (values - lowest) / span], axis=1)
        targets = (combinations @ shapes).reshape(len(combinations), -1, 3)
        return targets.astype(np.float32), values.astype(np.float32)

    @cached_property
    def weights(self) -> Tensor:
        """The reduced skinning weights as a matrix [V, J]."""
        dense = np.zeros_like(self.motion.data.skinning_weights, dtype=np.float32)
        for joints, weights in zip(self.joint_numbers.T, self.joint_weights.T, strict=True):
            dense[np.arange(len(dense)), joints] += weights
        return torch.as_tensor(dense)

    def vertices(self, frames: Sequence[int]) -> np.ndarray:
        """The exported surface in the scene [N, V, 3]: reduced weights, the correctives of the targets."""
        return self.motion.posed(frames, self.weights, self._held(frames))[1]

    @cached_property
    def errors(self) -> RigErrors:
        """Distances of the rig from the body model."""
        motion = self.motion
        frames = self._measured()
        full = motion.pose_features()[frames] @ motion.body.model.pose_shapes
        plain = motion.posed(frames)[1]
        corrected = motion.posed(frames, offsets=full)[1]
        held = motion.posed(frames, offsets=self._held(frames))[1]
        fitted = np.stack([motion.fitted_vertices(frame) for frame in frames])
        return RigErrors(
            skin=Distance.between(motion.posed(frames, self.weights)[1], plain),
            correctives=Distance.between(corrected, plain),
            correctives_left=Distance.between(corrected, held),
            total=Distance.between(self.vertices(frames), fitted),
        )

    def _measured(self) -> list[int]:
        """Positions of up to 50 frames, evenly spaced."""
        n_frames = len(self.motion.frames)
        return np.unique(np.linspace(0, n_frames - 1, min(n_frames, _MEASURED_FRAMES)).round().astype(int)).tolist()

    def _refit_weights(self) -> None:
        """Choose joints and weights of vertices with more than four joints so that they stay where all put them.

        They are chosen in the poses of the motion and, with less weight, in moderate poses of all kinds.
        """
        motion, all_weights = self.motion, self.motion.data.skinning_weights
        candidates = np.argsort(-all_weights, axis=1, kind="stable")[:, :_CANDIDATES]
        dropped = 1.0 - np.take_along_axis(all_weights, candidates[:, :N_WEIGHTS], axis=1).sum(axis=1)
        rows = np.flatnonzero(dropped > _NEGLIGIBLE)
        if not len(rows):
            return
        poses, importance = self._trial_poses()
        rotations, translations = motion.joint_transforms(poses)
        points = np.einsum("njab,vb->nvja", rotations, motion.template[rows]) + translations[:, None]
        points = points * importance[:, None, None, None]
        wanted = np.einsum("vj,nvja->nva", all_weights[rows], points)
        for position, row in enumerate(rows):
            joints = candidates[row][all_weights[row, candidates[row]] > 0.0]
            place = wanted[:, position]
            trials = [np.array(chosen) for chosen in itertools.combinations(joints, N_WEIGHTS)]
            fitted = [nearest_weights(all_weights[row, one], points[:, position, one], place) for one in trials]
            errors = [
                np.linalg.norm(np.einsum("j,nja->na", weights, points[:, position, one]) - place, axis=1).max()
                for one, weights in zip(trials, fitted, strict=True)
            ]
            best = int(np.argmin(errors))
            self.joint_numbers[row], self.joint_weights[row] = trials[best], fitted[best]
        self.joint_numbers[self.joint_weights == 0.0] = 0

    def _trial_poses(self) -> tuple[np.ndarray, np.ndarray]:
        """Joint rotations [N, J, 3, 3] of the motion and of moderate poses, and the importance of each [N]."""
        turns = np.random.default_rng(0).normal(0.0, _TRIAL_ANGLE, (_TRIALS, self.motion.data.n_joints, 3))
        moderate = axis_angle_to_matrix(torch.as_tensor(turns)).numpy()
        own = self.motion.rotations[self._measured()]
        importance = np.repeat([_OWN_IMPORTANCE * np.sqrt(_TRIALS / len(own)), 1.0], [len(own), _TRIALS])
        return np.concatenate([own, moderate]), importance

    def _held(self, frames: Sequence[int]) -> Tensor:
        values = torch.as_tensor(self.corrective_values[list(frames)])
        return values @ torch.as_tensor(self.corrective_targets).flatten(1)


def heaviest_joints(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The four heaviest joints of each row of weights [V, J], heaviest first.

    Returns:
        Joint numbers [V, 4] uint8, 0 where the weight is zero, and weights [V, 4] float32 that sum to one.
    """
    order = np.argsort(-weights, axis=1, kind="stable")[:, :N_WEIGHTS]
    kept = np.take_along_axis(weights, order, axis=1).astype(np.float64)
    kept /= kept.sum(axis=1, keepdims=True)
    return np.where(kept > 0.0, order, 0).astype(np.uint8), kept.astype(np.float32)


def nearest_weights(weights: np.ndarray, by_joint: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Change the weights [4] of a vertex so that it comes nearest to where it should be, by damped least squares.

    Args:
        weights: at first, of any sum; the result sums to one and has no negative weight.
        by_joint: place of the vertex in N frames if it moved with one joint alone [N, 4, 3], metres.
        wanted: its place [N, 3].
    """
    weights = weights / weights.sum()
    others = (by_joint[:, 1:] - by_joint[:, :1]).transpose(0, 2, 1).reshape(-1, len(weights) - 1)
    gap = (wanted - np.einsum("j,nja->na", weights, by_joint)).ravel()
    damping = _DAMPING**2 * len(wanted) * np.eye(len(weights) - 1)
    change = np.linalg.solve(others.T @ others + damping, others.T @ gap)
    changed = np.maximum(weights + np.concatenate([[-change.sum()], change]), 0.0)
    return changed / changed.sum()


def principal_components(features: np.ndarray, shapes: np.ndarray, at_most: int) -> tuple[np.ndarray, np.ndarray]:
    """Leading components of ``features @ shapes`` [T, N], without forming it.

    Args:
        features: [T, R].
        shapes: [R, N].
        at_most: largest number of components K.

    Returns:
        Values [T, K], and the combinations [K, R] of the shapes, so that
        ``values @ combinations @ shapes`` is the best approximation of rank K.
    """
    gram = shapes.astype(np.float64) @ shapes.T.astype(np.float64)
    lengths, axes = np.linalg.eigh(gram)
    root = axes * np.sqrt(np.maximum(lengths, 0.0))
    left, strengths, _ = np.linalg.svd(features @ root, full_matrices=False)
    kept = strengths[:at_most] > _NEGLIGIBLE * max(float(strengths[0]), 1e-12)
    left = left[:, : len(kept)][:, kept]
    return left, left.T @ features
