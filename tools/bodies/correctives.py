"""Pose blend shapes of the open body, which prevent the collapse of linear blend skinning.

As in SMPL (Loper et al. 2015, section 3) the rest shape gets a displacement that is linear in the joints'
``rotation - identity``. It is fitted to a better skinning of the same mesh (:mod:`.pose_targets`) over random poses,
in the posed frame. A joint moves only vertices near its own bend, and only the dominant ones of its nine directions
are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from smplifyx.body.data import FloatArray, IntArray
from smplifyx.skeleton import JAW_JOINT, LEFT_EYE_JOINT, MIRRORED_JOINTS, RIGHT_EYE_JOINT
from tools.bodies.pose_targets import SkinnedMesh, TargetSkinning, random_poses

_N_POSES = 320
_SEED = 55
_POSES_AT_ONCE = 16
_VERTICES_AT_ONCE = 256
#: Joints without correctives; expressions shape the face.
_EXCLUDED = (0, JAW_JOINT, LEFT_EYE_JOINT, RIGHT_EYE_JOINT)
#: A joint affects a vertex if its skinning weight is between this value and one minus this value.
_LEAST_SHARE = 0.01
#: Steps by which the reach of a joint is widened, because the target's relaxation moves neighbours too.
_WIDENING = 4
#: Penalty on squared coefficients, relative to the number of poses.
_RIDGE = 3e-4
#: Directions that nowhere move the skin by this much (metres, root mean square over the poses) are dropped.
_LEAST_DIRECTION = 2.5e-4
#: Smaller entries of a direction are set to zero, which keeps the stored file small.
_LEAST_ENTRY = 2e-5

_MIRROR = np.array([-1.0, 1.0, 1.0])
#: Sign of each entry of a flattened rotation matrix under mirroring.
_MIRROR_FEATURE = np.outer(_MIRROR, _MIRROR).ravel()


@dataclass(frozen=True)
class PoseCorrectives:
    """Pose blend shapes in low-rank form, as in :class:`~smplifyx.body.data.BodyModelData`.

    Attributes:
        posedirs: [V, 3, R] metres.
        pose_projection: [R, 9 (J - 1)] from the flattened ``rotation - identity`` of joints 1..J-1.
    """

    posedirs: FloatArray
    pose_projection: FloatArray


def fit_pose_correctives(
    template: FloatArray, faces: IntArray, joints: FloatArray, weights: FloatArray, parents: IntArray
) -> PoseCorrectives:
    """Fit the pose blend shapes of a body with the joints of SMPL-X; the same input gives the same result.

    Args:
        template: [V, 3] symmetric body in T-pose, metres.
        faces: [F, 3].
        joints: [55, 3] its joints.
        weights: [V, 55] symmetric skinning weights.
        parents: [55] parent of each joint, -1 for the root.
    """
    mesh = SkinnedMesh(
        np.asarray(template, float), faces, np.asarray(joints, float), np.asarray(weights, float), parents
    )
    rotations = random_poses(_N_POSES, _SEED)
    _, partners = cKDTree(mesh.template).query(mesh.template * _MIRROR)
    return _compress(_fit_effects(mesh, rotations), _features(rotations), partners)


def _features(rotations: FloatArray) -> FloatArray:
    """[N, J, 9] flattened ``rotation - identity``."""
    return (rotations - np.eye(3)).reshape(*rotations.shape[:2], 9)


def _reach(mesh: SkinnedMesh) -> FloatArray:
    """[V, J] whether a joint bends the skin about a vertex: some of it is carried along, and some is not."""
    carried = mesh.weights.copy()
    for joint in range(len(mesh.parents) - 1, 0, -1):
        carried[:, mesh.parents[joint]] += carried[:, joint]
    for _ in range(_WIDENING):
        carried = (carried + mesh.neighbor_average @ carried) / 2
    reach = (carried > _LEAST_SHARE) & (carried < 1 - _LEAST_SHARE)
    reach[:, _EXCLUDED] = False
    return reach


def _residuals(mesh: SkinnedMesh, rotations: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Skinning matrices [N, V, 3, 3] and the way [N, V, 3] from the skinned vertices to the target, float32."""
    target = TargetSkinning.of(mesh)
    matrices, residuals = [], []
    for start in range(0, len(rotations), _POSES_AT_ONCE):
        poses = rotations[start : start + _POSES_AT_ONCE]
        blended, moves = mesh.blended_transforms(poses)
        skinned = np.einsum("nvab,vb->nva", blended, mesh.template) + moves
        matrices.append(blended.astype(np.float32))
        residuals.append((target(poses) - skinned).astype(np.float32))
    return np.concatenate(matrices), np.concatenate(residuals)


def _groups(reach: FloatArray) -> Iterator[tuple[IntArray, IntArray]]:
    """Joints, and vertices that exactly these joints reach, a limited number at a time."""
    patterns, group = np.unique(reach, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        joints, vertices = np.flatnonzero(pattern), np.flatnonzero(group.ravel() == number)
        if len(joints):
            for start in range(0, len(vertices), _VERTICES_AT_ONCE):
                yield joints, vertices[start : start + _VERTICES_AT_ONCE]


def _fit_effects(mesh: SkinnedMesh, rotations: FloatArray) -> FloatArray:
    """[J, V, 3, 9] ridge regression of the residuals, for each vertex on the joints that reach it."""
    matrices, residuals = _residuals(mesh, rotations)
    features = _features(rotations).astype(np.float32)
    n_poses, n_joints = features.shape[:2]
    effects = np.zeros((n_joints, len(mesh.template), 3, 9))
    for joints, vertices in _groups(_reach(mesh)):
        own = features[:, joints].reshape(n_poses, -1)
        size = own.shape[1]
        skinning = matrices[:, vertices]
        # Normal equations of |A (D f) - r|^2 in the entries of D [3, size], one system a vertex.
        squares = (own[:, :, None] * own[:, None, :]).reshape(n_poses, -1)
        metric = np.matmul(skinning.swapaxes(2, 3), skinning).reshape(n_poses, -1)
        normal = (squares.T @ metric).reshape(size, size, -1, 3, 3).transpose(2, 3, 0, 4, 1)
        normal = normal.reshape(len(vertices), 3 * size, 3 * size).astype(np.float64)
        normal[:, np.arange(3 * size), np.arange(3 * size)] += _RIDGE * n_poses
        pulled = np.einsum("nvab,nva->nvb", skinning, residuals[:, vertices]).reshape(n_poses, -1)
        right = (own.T @ pulled).reshape(size, -1, 3).transpose(1, 2, 0).reshape(len(vertices), -1, 1)
        solved = np.linalg.solve(normal, right).reshape(len(vertices), 3, len(joints), 9)
        effects[joints[:, None], vertices] = solved.transpose(2, 0, 1, 3)
    return effects


def _mirror_effect(effect: FloatArray, partners: IntArray) -> FloatArray:
    """Mirror the effect [V, 3, 9] of a joint to the joint on the other side."""
    return effect[partners] * _MIRROR[:, None] * _MIRROR_FEATURE


def _leading_directions(effect: FloatArray, features: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Directions [V, 3, R] and projection [R, 9] that move the skin most over the features [N, 9]."""
    variances, axes = np.linalg.eigh(features.T @ features / len(features))
    spread = np.sqrt(np.maximum(variances, 1e-6 * variances.max()))
    shapes, sizes, mixing = np.linalg.svd(effect.reshape(-1, 9) @ (axes * spread), full_matrices=False)
    shapes = (shapes * sizes).reshape(*effect.shape[:2], -1)
    kept = np.linalg.norm(shapes, axis=1).max(axis=0) > _LEAST_DIRECTION
    directions = np.where(np.abs(shapes) > _LEAST_ENTRY, shapes, 0)[..., kept]
    return directions, (mixing @ (axes / spread).T)[kept]


def _compress(effects: FloatArray, features: FloatArray, partners: IntArray) -> PoseCorrectives:
    """Make the effects [J, V, 3, 9] symmetric and keep their leading directions."""
    directions, projections = [], []

    def keep(joint: int, shapes: FloatArray, projection: FloatArray) -> None:
        spread_out = np.zeros((len(projection), len(effects) - 1, 9))
        spread_out[:, joint - 1] = projection
        directions.append(shapes)
        projections.append(spread_out.reshape(len(projection), -1))

    for joint in range(1, len(effects)):
        other = MIRRORED_JOINTS[joint]
        effect = (effects[joint] + _mirror_effect(effects[other], partners)) / 2
        if other < joint or not effect.any():
            continue
        # Over both sides' poses: a direction of the midline is then symmetric or antisymmetric, never a mixture.
        seen = np.concatenate([features[:, joint], features[:, other] * _MIRROR_FEATURE])
        shapes, projection = _leading_directions(effect, seen)
        keep(joint, shapes, projection)
        if other != joint:
            keep(other, shapes[partners] * _MIRROR[:, None], projection * _MIRROR_FEATURE)
    return PoseCorrectives(np.concatenate(directions, axis=2), np.concatenate(projections))
