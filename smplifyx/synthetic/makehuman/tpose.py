"""Moves people from the source's rest pose (arms lowered, elbows bent) into SMPL-X's T-pose.

One fixed rotation per joint, found on the mean person and applied by linear blend skinning. The result is linear in
vertices and joints, so a linear shape space stays linear.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smplifyx.body.data import FloatArray
from smplifyx.skeleton import JOINT_NAMES, PARENTS

Vector = tuple[float, float, float]

#: Rest directions of the left limbs in the SMPL family, so that the same rotations give the same poses.
_UPPER_ARM: Vector = (0.260, -0.013, -0.027)
_FOREARM: Vector = (0.249, 0.009, -0.001)
_THIGH: Vector = (0.034, -0.375, -0.004)
_SHIN: Vector = (-0.014, -0.398, -0.044)
#: Rise of the shoulders in the T-pose, radians.
_COLLAR_RISE = 0.26
#: Outward turn of the feet, radians.
_TOE_OUT = 0.16
#: Spread of the fingers in the T-pose, as a share of the source's spread.
_FINGER_SPREAD = 0.6
_FINGERS = ("index", "middle", "ring", "pinky")


def _unit(vector: FloatArray | Vector) -> FloatArray:
    array = np.asarray(vector, dtype=float)
    return array / np.linalg.norm(array)


def rotation_between(start: FloatArray, end: FloatArray) -> FloatArray:
    """Smallest rotation [3, 3] from one direction to another."""
    a, b = _unit(start), _unit(end)
    axis = np.cross(a, b)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + cross + cross @ cross / (1 + a @ b)


def _frame(first: FloatArray, second: FloatArray) -> FloatArray:
    """Orthonormal columns: along the first vector, then the second made perpendicular to it."""
    x = _unit(first)
    y = _unit(second - (second @ x) * x)
    return np.stack([x, y, np.cross(x, y)], axis=1)


def _about(axis: int, angle: float) -> FloatArray:
    cosine, sine = np.cos(angle), np.sin(angle)
    rotation = np.eye(3)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    rotation[[i, j], [i, j]] = cosine
    rotation[i, j], rotation[j, i] = -sine, sine
    return rotation


def _arm_rotations(joints: dict[str, FloatArray]) -> dict[str, FloatArray]:
    upper = joints["elbow"] - joints["shoulder"]
    lower = joints["wrist"] - joints["elbow"]
    # The elbow's hinge axis becomes vertical: flexion is then a rotation about y, as pose priors expect.
    hinge = np.cross(upper, lower)
    down = np.array([0.0, -1.0, 0.0])
    return {
        "collar": _about(2, _COLLAR_RISE),
        "shoulder": _frame(np.array(_UPPER_ARM), down) @ _frame(upper, hinge).T,
        "elbow": _frame(np.array(_FOREARM), down) @ _frame(lower, hinge).T,
    }


def _hand_rotations(joints: dict[str, FloatArray]) -> dict[str, FloatArray]:
    along = joints["middle1"] - joints["wrist"]
    across = joints["pinky1"] - joints["index1"]
    palm = _frame(np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, -1.0])) @ _frame(along, across).T
    rotations = {"wrist": palm}
    for finger in _FINGERS:
        first = palm @ (joints[f"{finger}2"] - joints[f"{finger}1"])
        straight = np.array([first[0], 0.0, _FINGER_SPREAD * first[2]])
        for k in (1, 2, 3):
            start = min(k, 2)
            bone = palm @ (joints[f"{finger}{start + 1}"] - joints[f"{finger}{start}"])
            rotations[f"{finger}{k}"] = rotation_between(bone, straight) @ palm
    return rotations


def _leg_rotations(joints: dict[str, FloatArray]) -> dict[str, FloatArray]:
    thigh = rotation_between(joints["knee"] - joints["hip"], np.array(_THIGH))
    shin = rotation_between(thigh @ (joints["ankle"] - joints["knee"]), np.array(_SHIN)) @ thigh
    return {"hip": thigh, "knee": shin, "ankle": _about(1, _TOE_OUT), "foot": _about(1, _TOE_OUT)}


def _mirror(rotation: FloatArray) -> FloatArray:
    flip = np.diag([-1.0, 1.0, 1.0])
    return flip @ rotation @ flip


def tpose_rotations(joints: FloatArray) -> FloatArray:
    """[55, 3, 3] world rotation of each joint that takes the source's rest pose to the T-pose.

    Args:
        joints: [55, 3] joints of a symmetric mean person in the source's rest pose.
    """
    left = {
        name.removeprefix("left_"): joints[index]
        for index, name in enumerate(JOINT_NAMES)
        if name.startswith("left_")
    }
    found = {**_arm_rotations(left), **_hand_rotations(left), **_leg_rotations(left)}
    rotations = np.tile(np.eye(3), (len(JOINT_NAMES), 1, 1))
    for index, name in enumerate(JOINT_NAMES):
        side, _, part = name.partition("_")
        if not part:
            continue
        if part in found:
            rotations[index] = found[part] if side == "left" else _mirror(found[part])
        else:
            rotations[index] = rotations[PARENTS[index]]
    return rotations


@dataclass(frozen=True)
class TPose:
    """Transformation to T-pose, for any number of people.

    Attributes:
        rotations: [55, 3, 3] world rotation of each joint.
        skinning_weights: [V, 55].
    """

    rotations: FloatArray
    skinning_weights: FloatArray

    def apply(self, vertices: FloatArray, joints: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Vertices [N, V, 3] and joints [N, 55, 3] in T-pose with the pelvis at the origin."""
        rotations = self.rotations.astype(vertices.dtype)
        weights = self.skinning_weights.astype(vertices.dtype)
        posed = np.zeros_like(joints)
        for joint, parent in enumerate(PARENTS[1:], start=1):
            posed[:, joint] = posed[:, parent] + (joints[:, joint] - joints[:, parent]) @ rotations[parent].T
        moves = posed - np.einsum("jab,njb->nja", rotations, joints)
        blended = np.einsum("vj,jab->vab", weights, rotations)
        return np.einsum("vab,nvb->nva", blended, vertices) + np.einsum("vj,nja->nva", weights, moves), posed

    def apply_to_directions(self, displacements: FloatArray) -> FloatArray:
        """[N, V, 3] displacements of the vertices that move no joint, in T-pose."""
        blended = np.einsum("vj,jab->vab", self.skinning_weights, self.rotations)
        return np.einsum("vab,nvb->nva", blended, displacements)
