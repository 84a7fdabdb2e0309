"""The 55 joints of SMPL-X in the source mesh, as fixed linear combinations of its bones and vertices.

Linear, so that joints follow every blend shape exactly. Where the centre of a joint is clear from anatomy
(wrist, fingers, eyes) the bone of the source is taken. Elsewhere (trunk, collars, head) the combinations
agree with the published rest offsets of the SMPL family, because poses measured elsewhere are expressed about those.
The source's bones wander along the limb from one person to the next at knee, elbow, hip, shoulder and neck: there the
middle of the ring of skin that bends is taken, or has a share.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from smplifyx.body.data import FloatArray
from smplifyx.skeleton import JOINT_NAMES, MIRRORED_JOINTS, PARENTS, joint_index
from smplifyx.synthetic.makehuman.skinning import merged_weights
from smplifyx.synthetic.makehuman.source import SourceModel

#: Share of each anchor: a bone's head, or the ring of skin about a joint. A name without side is on the midline; in
#: the others ``*`` means the joint's own side and ``/`` the other one.
Combination = Mapping[str, float]

_HIPS: Combination = {"upperleg01*": 0.375, "upperleg01/": 0.375, "upperleg02*": 0.125, "upperleg02/": 0.125}


def _combine(*terms: tuple[float, Combination]) -> dict[str, float]:
    total: dict[str, float] = {}
    for factor, combination in terms:
        for bone, share in combination.items():
            total[bone] = total.get(bone, 0.0) + factor * share
    return total


def _trunk(height: float, forward: float) -> dict[str, float]:
    """A point at a share of the way from the hips to the neck, moved along the forward slope of the sacrum."""
    return _combine((1 - height, _HIPS), (height, {"neck ring": 1.0}), (forward, {"spine05": 1.0, "spine04": -1.0}))


_FINGER_BONES = {"thumb": "finger1", "index": "finger2", "middle": "finger3", "ring": "finger4", "pinky": "finger5"}

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
