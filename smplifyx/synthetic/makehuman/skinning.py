"""Skinning weights of the open body: those of the source's 163 bones, merged to 55 joints."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from smplifyx.body.data import FloatArray, IntArray
from smplifyx.skeleton import (
    JAW_JOINT,
    JOINT_NAMES,
    LEFT_EYE_JOINT,
    MIRRORED_JOINTS,
    RIGHT_EYE_JOINT,
    joint_index,
)
from smplifyx.synthetic.makehuman.source import (
    LEFT_EYE_VERTICES,
    RIGHT_EYE_VERTICES,
    TONGUE_VERTICES,
    SourceMesh,
    SourceModel,
)

#: A bone's weight goes to the joint named here for it or for its nearest ancestor that has one.
_MIDLINE_BONES = {
    "root": "pelvis", "spine04": "spine1", "spine03": "spine2", "spine02": "spine3",
    "neck01": "neck", "head": "head", "jaw": "jaw",
}  # fmt: skip
_SIDE_BONES = {
    "upperleg01": "hip", "lowerleg01": "knee", "foot": "ankle", "clavicle": "collar", "upperarm01": "shoulder",
    "lowerarm01": "elbow", "wrist": "wrist", "breast": "spine3",
    **{f"toe{k}-1": "foot" for k in range(1, 6)},
    **{
        f"finger{n}-{k}": f"{finger}{k}"
        for n, finger in enumerate(("thumb", "index", "middle", "ring", "pinky"), start=1)
        for k in (1, 2, 3)
    },
}  # fmt: skip

_TRUNK = tuple(joint_index(name) for name in ("pelvis", "spine1", "spine2", "spine3"))
#: Half the height, in metres, over which the trunk's weights change from one joint to the next.
_TRUNK_BLEND = 0.1
#: Distance from the midline, in metres, over which the collar takes over from the spine.
_COLLAR_BLEND = (0.0, 0.11)


def mirror_vertices(mesh: SourceMesh) -> IntArray:
    """[V] the vertex on the other side of the body; the source mesh is exactly symmetric."""
    _, mirrored = cKDTree(mesh.vertices).query(mesh.vertices * np.array([-1.0, 1.0, 1.0]))
    return mirrored


def _joint_of_bone(name: str) -> int | None:
    stem, _, side = name.partition(".")
    if name in _MIDLINE_BONES:
        return joint_index(_MIDLINE_BONES[name])
    if stem not in _SIDE_BONES:
        return None
    joint = _SIDE_BONES[stem]
    return joint_index(joint if joint == "spine3" else {"L": "left_", "R": "right_"}[side] + joint)


def merged_weights(model: SourceModel) -> FloatArray:
    """[V, 55] each bone's weight given to the joint that carries it."""
    weights = np.zeros((len(model.bone_weights), len(JOINT_NAMES)))
    joints: list[int] = []
    for bone, name in enumerate(model.bone_names):
        joint = _joint_of_bone(name)
        joints.append(joints[model.bone_parents[bone]] if joint is None else joint)
        weights[:, joints[bone]] += model.bone_weights[:, bone]
    return weights


def _smooth_step(values: FloatArray, start: float, end: float) -> FloatArray:
    t = np.clip((values - start) / (end - start), 0.0, 1.0)
    return t * t * (3 - 2 * t)


def _share_trunk(weights: FloatArray, vertices: FloatArray, joints: FloatArray) -> None:
    """Give the trunk's weight to pelvis and spine by height, changing over at the height of each joint."""
    total = weights[:, _TRUNK].sum(axis=1)
    above: list[FloatArray] = [np.ones(len(weights))]
    for joint in _TRUNK[1:]:
        height = joints[joint, 1]
        above.append(_smooth_step(vertices[:, 1], height - _TRUNK_BLEND, height + _TRUNK_BLEND))
    above.append(np.zeros(len(weights)))
    for k, joint in enumerate(_TRUNK):
        weights[:, joint] = total * (above[k] - above[k + 1])


def _share_collars(weights: FloatArray, vertices: FloatArray) -> None:
    """Give skin between the collar joints to the spine: these joints do not start at the breastbone."""
    spine = joint_index("spine3")
    for side in ("left", "right"):
        collar = joint_index(f"{side}_collar")
        outwards = vertices[:, 0] if side == "left" else -vertices[:, 0]
        kept = weights[:, collar] * _smooth_step(outwards, *_COLLAR_BLEND)
        weights[:, spine] += weights[:, collar] - kept
        weights[:, collar] = kept


def _separate_face_parts(weights: FloatArray, mesh: SourceMesh) -> None:
    """Give the eyes to the eye joints, the lids to the head and the tongue to the jaw."""
    head = joint_index("head")
    for joint, part in (
        (LEFT_EYE_JOINT, LEFT_EYE_VERTICES),
        (RIGHT_EYE_JOINT, RIGHT_EYE_VERTICES),
        (JAW_JOINT, TONGUE_VERTICES),
    ):
        if joint != JAW_JOINT:
            weights[:, head] += weights[:, joint]
            weights[:, joint] = 0
        inside = mesh.in_part(part)
        weights[inside] = 0
        weights[inside, joint] = 1


def _keep_largest(weights: FloatArray, count: int) -> FloatArray:
    smallest_kept = np.sort(weights, axis=1)[:, -count][:, None]
    kept = np.where(weights >= np.maximum(smallest_kept, 1e-4), weights, 0.0)
    return kept / kept.sum(axis=1, keepdims=True)


def skinning_weights(model: SourceModel, vertices: FloatArray, joints: FloatArray) -> FloatArray:
    """Symmetric weights [V, 55], at most six a vertex, rows sum to one.

    Args:
        model: the source.
        vertices: [V, 3] the mean person in the source's rest pose, metres.
        joints: [55, 3] that person's joints.
    """
    weights = merged_weights(model)
    _share_trunk(weights, vertices, joints)
    _share_collars(weights, vertices)
    _separate_face_parts(weights, model.mesh)
    weights = (weights + weights[mirror_vertices(model.mesh)][:, MIRRORED_JOINTS]) / 2
    return _keep_largest(weights, 6)
