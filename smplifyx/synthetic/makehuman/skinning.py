"""Skinning weights and joints of the open body: the source's 163 bones merged to SMPL-X's 55 joints.

Joints are fixed linear combinations of the source's bones and vertices, so that they follow every blend shape
exactly. Where the centre of a joint is clear from anatomy (wrist, fingers, eyes) the bone of the source is taken.
Elsewhere (trunk, collars, head) the combinations agree with the published rest offsets of the SMPL family, because
poses measured elsewhere are expressed about those. The source's bones wander along the limb from one person to the
next at knee, elbow, hip, shoulder and neck: there the middle of the ring of skin that bends is taken, or has a
share.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.spatial import cKDTree

from smplifyx.body.data import FloatArray, IntArray
from smplifyx.skeleton import (
    JAW_JOINT,
    JOINT_NAMES,
    LEFT_EYE_JOINT,
    MIRRORED_JOINTS,
    PARENTS,
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
#: Share of each anchor: a bone's head, or the ring of skin about a joint. A name without side is on the midline; in
#: the others ``*`` means the joint's own side and ``/`` the other one.
Combination = Mapping[str, float]
_HIPS: Combination = {"upperleg01*": 0.375, "upperleg01/": 0.375, "upperleg02*": 0.125, "upperleg02/": 0.125}
_FINGER_BONES = {"thumb": "finger1", "index": "finger2", "middle": "finger3", "ring": "finger4", "pinky": "finger5"}
#: Joints whose ring serves as an anchor.
_RINGS = {
    "neck ring": "neck",
    "hip ring.L": "left_hip",
    "hip ring.R": "right_hip",
    "knee ring.L": "left_knee",
    "knee ring.R": "right_knee",
    "shoulder ring.L": "left_shoulder",
    "shoulder ring.R": "right_shoulder",
    "elbow ring.L": "left_elbow",
    "elbow ring.R": "right_elbow",
}


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


def _combine(*terms: tuple[float, Combination]) -> dict[str, float]:
    total: dict[str, float] = {}
    for factor, combination in terms:
        for bone, share in combination.items():
            total[bone] = total.get(bone, 0.0) + factor * share
    return total


def _trunk(height: float, forward: float) -> dict[str, float]:
    """A point at a share of the way from the hips to the neck, moved along the forward slope of the sacrum."""
    return _combine((1 - height, _HIPS), (height, {"neck ring": 1.0}), (forward, {"spine05": 1.0, "spine04": -1.0}))


#: Joints on the left are given without their side and mirrored.
JOINT_COMBINATIONS: dict[str, Combination] = {
    "pelvis": _trunk(0.195, 0.32),
    "spine1": _trunk(0.304, -0.2),
    "spine2": _trunk(0.556, 0.0),
    "spine3": _trunk(0.749, 0.75),
    "neck": {"neck ring": 1.0},
    "head": {"neck02": 0.35, "jaw": 0.65},
    "jaw": {"jaw": 1.0},
    "eye_smplhf": {"eye*": 1.0},
    "collar": _combine((0.415, {"upperarm01*": 1.0}), (0.585, _trunk(0.862, 0.0))),
    "shoulder": {"upperarm01*": 0.8, "shoulder ring*": 0.2},
    "elbow": {"lowerarm01*": 0.75, "elbow ring*": 0.25},
    "wrist": {"wrist*": 1.0},
    "hip": {
        "upperleg01*": 0.4725,
        "upperleg01/": 0.0525,
        "upperleg02*": 0.1575,
        "upperleg02/": 0.0175,
        "hip ring*": 0.3,
    },
    "knee": {"knee ring*": 1.0},
    "ankle": {"foot*": 0.965, "lowerleg01*": 0.035},
    "foot": {"toe1-1*": 0.45, "toe5-1*": 0.4, "foot*": 0.15},
    **{f"{name}{k}": {f"{bone}-{k}*": 1.0} for name, bone in _FINGER_BONES.items() for k in (1, 2, 3)},
}


def _with_side(anchor: str, side: str) -> str:
    own, other = (".L", ".R") if side == "left" else (".R", ".L")
    return anchor.replace("*", own).replace("/", other)


def ring_shares(weights: FloatArray) -> FloatArray:
    """[R, V] shares of the vertices that bend at each joint of the rings, from merged weights [V, 55]."""
    joints = [joint_index(name) for name in _RINGS.values()]
    both = (weights[:, joints] * weights[:, [PARENTS[joint] for joint in joints]]).T
    return both / both.sum(axis=1, keepdims=True)


def joint_matrix(anchor_names: tuple[str, ...]) -> FloatArray:
    """[55, A] the combinations as a matrix whose rows sum to one."""
    matrix = np.zeros((len(JOINT_NAMES), len(anchor_names)))
    for row, joint in enumerate(JOINT_NAMES):
        side, _, name = joint.partition("_")
        for anchor, share in JOINT_COMBINATIONS[name or joint].items():
            matrix[row, anchor_names.index(_with_side(anchor, side))] += share
    return matrix


def mirror_joints(joints: FloatArray) -> FloatArray:
    """[..., 55, 3] the joints of the mirrored person."""
    return joints[..., MIRRORED_JOINTS, :] * np.array([-1.0, 1.0, 1.0], dtype=joints.dtype)


def joint_locations(model: SourceModel, vertices: FloatArray, bone_heads: FloatArray) -> FloatArray:
    """[..., 55, 3] joints of symmetric people in the source's rest pose; the two sides are averaged.

    Args:
        model: the source.
        vertices: [..., V, 3] metres.
        bone_heads: [..., B, 3].
    """
    rings = ring_shares(merged_weights(model)).astype(vertices.dtype) @ vertices
    anchors = np.concatenate([bone_heads.astype(vertices.dtype), rings], axis=-2)
    joints = joint_matrix((*model.bone_names, *_RINGS)).astype(vertices.dtype) @ anchors
    return (joints + mirror_joints(joints)) / 2
