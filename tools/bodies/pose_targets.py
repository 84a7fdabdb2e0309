"""Target of the pose blend shapes: a skinning that preserves volume, and random poses to evaluate it on.

Linear blend skinning averages matrices, and the average of two rotations shrinks. Here every vertex turns by the
average quaternion of its joints about a centre of rotation inside the limb (Le and Hodgins, "Real-time skeletal
skinning with optimized centers of rotation", SIGGRAPH 2016), then the skin relaxes where it creases (Mancewicz
et al., "Delta Mush", DigiPro 2014). It is too slow for a body model; the pose blend shapes are fitted to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array, diags_array
from scipy.spatial.transform import Rotation

from smplifyx.body.data import FloatArray, IntArray
from smplifyx.skeleton import JOINT_NAMES, LEFT_HAND_JOINTS, MIRRORED_JOINTS, N_JOINTS, RIGHT_HAND_JOINTS, joint_index
from smplifyx.synthetic.makehuman.hand_poses import (
    LOWER_LIMITS,
    UPPER_LIMITS,
    hand_pose_from_angles,
    mirror_hand_pose,
)

#: Least and most of the three angles of a joint, degrees: about x, y and z for the left side and the midline.
_LIMITS: dict[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    "hip": ((-125, 35), (-40, 40), (-20, 60)),
    "knee": ((0, 145), (-15, 15), (-5, 5)),
    "ankle": ((-30, 50), (-25, 25), (-25, 25)),
    "foot": ((-50, 30), (0, 0), (0, 0)),
    "spine1": ((-15, 35), (-20, 20), (-20, 20)),
    "spine2": ((-15, 35), (-20, 20), (-20, 20)),
    "spine3": ((-15, 35), (-20, 20), (-20, 20)),
    "neck": ((-35, 40), (-45, 45), (-30, 30)),
    "head": ((-35, 35), (-40, 40), (-25, 25)),
    "collar": ((-10, 10), (-30, 20), (-15, 35)),
    "shoulder": ((-70, 70), (-115, 40), (-85, 80)),
    "elbow": ((-60, 60), (-145, 5), (-5, 5)),
    "wrist": ((-60, 60), (-30, 30), (-75, 75)),
}
#: Share of the joints that stay at rest in a pose, and of the angles that do in the others: people mostly bend
#: some joints, and each about one axis.
_SHARE_AT_REST = 0.3
_SHARE_OF_ANGLES_AT_REST = 0.4

#: Similarity of two vertices' weights from which the one helps to place the other's centre of rotation.
_WEIGHT_SIMILARITY = 0.1
#: Steps of smoothing of open skin, of skin in creases, and of the measure that separates the two.
_OPEN_SMOOTHINGS, _CREASE_SMOOTHINGS, _MEASURE_SMOOTHINGS = 1, 16, 3
#: Loss of area at which skin counts as fully creased.
_FULL_CREASE = 0.4
#: Distance below the shoulder, metres, in which the armpit keeps linear blending, and the share of it.
_ARMPIT_DEPTH = (0.0, 0.08)
_ARMPIT_LINEAR_SHARE = 0.8


@dataclass(frozen=True)
class SkinnedMesh:
    """A mesh bound to joints (V vertices, F triangles, J joints).

    Attributes:
        template: [V, 3] rest vertices, metres.
        faces: [F, 3].
        joints: [J, 3] rest joints.
        weights: [V, J] skinning weights.
        parents: [J] parent joint, -1 for the root; parents come first.
    """

    template: FloatArray
    faces: IntArray
    joints: FloatArray
    weights: FloatArray
    parents: IntArray

    @cached_property
    def corners_of_vertices(self) -> csr_array:
        """[V, F] a third for each triangle about a vertex."""
        n_faces = len(self.faces)
        entries = (self.faces.ravel(), np.repeat(np.arange(n_faces), 3))
        return csr_array((np.full(3 * n_faces, 1 / 3), entries), shape=(len(self.template), n_faces))

    def areas_about_vertices(self, vertices: FloatArray) -> FloatArray:
        """[N, V] a third of the area of the triangles about each vertex of [N, V, 3], square metres."""
        a, b, c = (vertices[:, self.faces[:, corner]] for corner in range(3))
        areas = np.linalg.norm(np.cross(b - a, c - a), axis=2) / 2
        return (self.corners_of_vertices @ areas.T).T

    @cached_property
    def neighbor_average(self) -> csr_array:
        """[V, V] rows that average the neighbours of a vertex along the edges."""
        start, end = self.faces[:, [0, 1, 2]].ravel(), self.faces[:, [1, 2, 0]].ravel()
        rows, columns = np.concatenate([start, end]), np.concatenate([end, start])
        n_vertices = len(self.template)
        adjacency = csr_array((np.ones(len(rows), np.float32), (rows, columns)), shape=(n_vertices, n_vertices))
        adjacency.data[:] = 1
        return csr_array(diags_array(1 / np.maximum(adjacency.sum(axis=1), 1)) @ adjacency).astype(np.float32)

    def joint_transforms(self, rotations: FloatArray) -> tuple[FloatArray, FloatArray]:
        """World rotations [N, J, 3, 3] and translations [N, J, 3] of rest points for local rotations [N, J, 3, 3]."""
        world, positions = rotations.copy(), np.zeros((*rotations.shape[:2], 3))
        positions[:, 0] = self.joints[0]
        for joint, parent in enumerate(self.parents[1:], start=1):
            world[:, joint] = world[:, parent] @ rotations[:, joint]
            offset = self.joints[joint] - self.joints[parent]
            positions[:, joint] = positions[:, parent] + world[:, parent] @ offset
        return world, positions - np.einsum("njab,jb->nja", world, self.joints)

    def blended_transforms(self, rotations: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Linear blend skinning's matrices [N, V, 3, 3] and translations [N, V, 3] of the vertices."""
        world, moves = self.joint_transforms(rotations)
        affine = np.concatenate([world, moves[..., None]], axis=-1).reshape(*world.shape[:2], 12)
        blended = (self.weights @ affine).reshape(len(rotations), -1, 3, 4)
        return blended[..., :3], blended[..., 3]


def centers_of_rotation(mesh: SkinnedMesh) -> FloatArray:
    """[V, 3] mean of the surface that is bound like a vertex; the vertex itself where one joint alone moves it."""
    areas = mesh.areas_about_vertices(mesh.template[None])[0]
    weighted_sum, total = np.zeros_like(mesh.template), np.zeros(len(mesh.template))
    for first in range(mesh.weights.shape[1]):
        for second in range(first):
            shared = np.flatnonzero((mesh.weights[:, first] > 0) & (mesh.weights[:, second] > 0))
            if not len(shared):
                continue
            a, b = mesh.weights[shared, first], mesh.weights[shared, second]
            difference = np.outer(a, b) - np.outer(b, a)
            similarity = np.outer(a * b, a * b) * np.exp(-((difference / _WEIGHT_SIMILARITY) ** 2))
            similarity *= areas[shared]
            weighted_sum[shared] += similarity @ mesh.template[shared]
            total[shared] += similarity.sum(axis=1)
    return np.where(total[:, None] > 0, weighted_sum / np.maximum(total, 1e-300)[:, None], mesh.template)


def _average_rotations(mesh: SkinnedMesh, rotations: FloatArray) -> FloatArray:
    """[N, V, 3, 3] rotation of the weighted mean quaternion of each vertex's joints."""
    local = Rotation.from_matrix(rotations.reshape(-1, 3, 3)).as_quat(canonical=True).reshape(len(rotations), -1, 4)
    world = local.copy()
    # Products of local quaternions with positive real part: neighbours on the tree are then on the same side.
    for joint, parent in enumerate(mesh.parents[1:], start=1):
        world[:, joint] = _quaternion_product(world[:, parent], local[:, joint])
    blended = mesh.weights @ world
    return Rotation.from_quat(blended.reshape(-1, 4)).as_matrix().reshape(*blended.shape[:2], 3, 3)


def _quaternion_product(first: FloatArray, second: FloatArray) -> FloatArray:
    """Products [N, 4], scalar last."""
    v, w, other_v, other_w = first[:, :3], first[:, 3:], second[:, :3], second[:, 3:]
    vector = w * other_v + other_w * v + np.cross(v, other_v)
    return np.concatenate([vector, w * other_w - (v * other_v).sum(axis=1, keepdims=True)], axis=1)


@dataclass(frozen=True)
class TargetSkinning:
    """The better skinning of a mesh.

    Attributes:
        mesh: the skinned mesh.
        centers: [V, 3] centres of rotation.
        linear_share: [V] how much of linear blend skinning each vertex keeps.
    """

    mesh: SkinnedMesh
    centers: FloatArray
    linear_share: FloatArray

    @classmethod
    def of(cls, mesh: SkinnedMesh) -> TargetSkinning:
        """The target for a mesh with the joints of SMPL-X."""
        return cls(mesh, centers_of_rotation(mesh), _linear_share(mesh))

    def __call__(self, rotations: FloatArray) -> FloatArray:
        """Vertices [N, V, 3] for local joint rotations [N, J, 3, 3]."""
        turned = _average_rotations(self.mesh, rotations)
        blended, moves = self.mesh.blended_transforms(rotations)
        offsets = self.mesh.template - self.centers
        round_centers = np.einsum("nvab,vb->nva", blended, self.centers) + np.einsum("nvab,vb->nva", turned, offsets)
        linear = np.einsum("nvab,vb->nva", blended, self.mesh.template)
        share = self.linear_share[:, None]
        return self._relax((1 - share) * round_centers + share * linear + moves, turned)

    def _relax(self, vertices: FloatArray, turned: FloatArray) -> FloatArray:
        """Smooth, more so where the skin is pressed together, and put back the detail lost at rest, turned along."""
        compression = 1 - self._areas(vertices) / self._areas(self.mesh.template[None])
        creased = self._smooth(np.clip(compression / _FULL_CREASE, 0.0, 1.0)[..., None], _MEASURE_SMOOTHINGS)
        few, many = (
            self._smooth(vertices, steps)
            + np.einsum("nvab,vb->nva", turned, self.mesh.template - self._smooth(self.mesh.template[None], steps)[0])
            for steps in (_OPEN_SMOOTHINGS, _CREASE_SMOOTHINGS)
        )
        return few + creased * (many - few)

    def _areas(self, vertices: FloatArray) -> FloatArray:
        """[N, V] area about each vertex, averaged over some neighbours."""
        return self._smooth(self.mesh.areas_about_vertices(vertices)[..., None], _MEASURE_SMOOTHINGS)[..., 0]

    def _smooth(self, values: FloatArray, steps: int) -> FloatArray:
        """Move values [N, V, C] half way to the average of the neighbours, repeatedly."""
        columns = values.transpose(1, 0, 2).reshape(values.shape[1], -1)
        for _ in range(steps):
            columns = (columns + self.mesh.neighbor_average @ columns) / 2
        return columns.reshape(values.shape[1], len(values), -1).transpose(1, 0, 2)


def _linear_share(mesh: SkinnedMesh) -> FloatArray:
    """[V] large behind and below the armpits, where a raised arm stretches flat muscle that must not stand out."""
    share = np.zeros(len(mesh.template))
    for side in ("left", "right"):
        shoulder = joint_index(f"{side}_shoulder")
        trunk = [joint_index(name) for name in ("spine1", "spine2", "spine3", f"{side}_collar")]
        between = 4 * mesh.weights[:, shoulder] * mesh.weights[:, trunk].sum(axis=1)
        below = (mesh.joints[shoulder, 1] - mesh.template[:, 1] - _ARMPIT_DEPTH[0]) / (
            _ARMPIT_DEPTH[1] - _ARMPIT_DEPTH[0]
        )
        share += _ARMPIT_LINEAR_SHARE * np.clip(2 * between, 0, 1) * np.clip(below, 0, 1)
    for _ in range(_CREASE_SMOOTHINGS):
        share = (share + mesh.neighbor_average @ share) / 2
    return share


def random_poses(count: int, seed: int) -> FloatArray:
    """[count, 55, 3, 3] local rotations over each joint's natural range; root, jaw and eyes stay at rest."""
    random = np.random.default_rng(seed)
    vectors = np.zeros((count, N_JOINTS, 3))
    for name, limits in _LIMITS.items():
        low, high = np.radians(limits).T
        left = joint_index(name if name in JOINT_NAMES else f"left_{name}")
        vectors[:, left] = random.uniform(low, high, size=(count, 3))
        if (right := MIRRORED_JOINTS[left]) != left:
            vectors[:, right] = random.uniform(low, high, size=(count, 3)) * (1, -1, -1)
    vectors[random.uniform(size=vectors.shape) < _SHARE_OF_ANGLES_AT_REST] = 0
    for hand in (LEFT_HAND_JOINTS, RIGHT_HAND_JOINTS):
        poses = hand_pose_from_angles(random.uniform(LOWER_LIMITS, UPPER_LIMITS, size=(count, len(LOWER_LIMITS))))
        vectors[:, hand] = (poses if hand == LEFT_HAND_JOINTS else mirror_hand_pose(poses)).reshape(count, -1, 3)
    vectors[random.uniform(size=vectors.shape[:2]) < _SHARE_AT_REST] = 0
    return Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix().reshape(count, N_JOINTS, 3, 3)
