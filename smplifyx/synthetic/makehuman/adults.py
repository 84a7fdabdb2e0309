"""Random adults, in the source's rest pose (arms lowered, elbows bent) and in SMPL-X's T-pose.

One fixed rotation per joint, found on the mean person and applied by linear blend skinning, moves them. The result is
linear in vertices and joints, so a linear shape space stays linear.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from smplifyx.body.data import FloatArray
from smplifyx.skeleton import JOINT_NAMES, PARENTS
from smplifyx.synthetic.makehuman.skinning import joint_locations, skinning_weights
from smplifyx.synthetic.makehuman.source import SourceModel, load_source_model

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
#: The age parameter of a young adult and of an old one.
_ADULT_AGES = (0.62, 0.9)
#: Mean and standard deviation of phenotype parameters in [0, 1]; the height gives adults of 1.81 and 1.70 m.
_PHENOTYPES = {
    "muscle": (0.5, 0.15),
    "height": (0.42, 0.07),
    "proportions": (0.5, 0.2),
    "cupsize": (0.5, 0.2),
    "firmness": (0.5, 0.2),
}
#: The source's people are slim and alike. The weight parameter and the girths, which grow together with a person's
#: corpulence (a standard normal number and its mean), are set to give body-mass indices of 25 +- 4 and 24 +- 4.
_WEIGHT = {"male": 0.6, "female": 0.75}
_WEIGHT_DEVIATION = 0.15
_WEIGHT_WITH_CORPULENCE = 0.15
_CORPULENCE = {"male": 0.3, "female": 0.6}
_GIRTHS = {
    "measure-waist-circ-incr": 0.4, "measure-hips-circ-incr": 0.35, "measure-thigh-circ-incr": 0.3,
    "measure-bust-circ-incr": 0.3, "measure-upperarm-circ-incr": 0.3, "measure-calf-circ-incr": 0.2,
    "measure-neck-circ-incr": 0.2, "torso-scale-depth-incr": 0.2, "hip-scale-depth-incr": 0.2,
    "buttocks-volume-incr": 0.2, "head-fat-incr": 0.3,
}  # fmt: skip
_LOCAL_CHANGE_DEVIATION = 0.22
#: Changes of proportion; those of limbs are made to both sides alike.
_LOCAL_CHANGES = (
    "measure-upperarm-length-incr", "measure-lowerarm-length-incr", "measure-upperarm-circ-incr",
    "measure-wrist-circ-incr", "measure-upperleg-height-incr", "measure-lowerleg-height-incr",
    "measure-thigh-circ-incr", "measure-calf-circ-incr", "measure-knee-circ-incr", "measure-ankle-circ-incr",
    "measure-neck-circ-incr", "measure-neck-height-incr", "measure-shoulder-dist-incr", "measure-waist-circ-incr",
    "measure-hips-circ-incr", "measure-bust-circ-incr", "measure-napetowaist-dist-incr",
    "measure-waisttohip-dist-incr", "torso-scale-depth-incr", "torso-scale-horiz-incr", "torso-vshape-incr",
    "torso-scale-vert-incr", "hip-scale-depth-incr", "hip-scale-horiz-incr", "buttocks-volume-incr",
    "stomach-tone-incr", "bulge-incr", "head-scale-depth-incr", "head-scale-horiz-incr", "head-scale-vert-incr",
    "head-fat-incr", "head-age-incr",
)  # fmt: skip
_SIDE_CHANGES = ("hand-scale-incr", "foot-scale-incr", "hand-fingers-length-incr", "upperleg-fat-incr")


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


def sample_adults(model: SourceModel, gender: str, count: int, seed: int) -> FloatArray:
    """[count, K] blend-shape coefficients of random symmetric adults of 18 to 80 years.

    Args:
        model: the source.
        gender: ``male``, ``female``, or ``neutral`` for as many of each.
        count: how many people.
        seed: of the random numbers.
    """
    random = np.random.default_rng(seed)
    female = {"male": np.zeros(count), "female": np.ones(count), "neutral": np.arange(count) % 2.0}[gender]

    def by_gender(values: Mapping[str, float]) -> FloatArray:
        return np.where(female > 0.5, values["female"], values["male"])

    corpulence = random.standard_normal(count)
    phenotypes = {"gender": female, "age": random.uniform(*_ADULT_AGES, count)}
    for name, (mean, deviation) in _PHENOTYPES.items():
        phenotypes[name] = np.clip(random.normal(mean, deviation, count), 0.0, 1.0)
    weight = by_gender(_WEIGHT) + _WEIGHT_WITH_CORPULENCE * corpulence
    phenotypes["weight"] = np.clip(random.normal(weight, _WEIGHT_DEVIATION), 0.0, 1.0)
    ancestry = random.dirichlet((1.0, 1.0, 1.0), count)
    phenotypes.update({name: ancestry[:, k] for k, name in enumerate(("african", "asian", "caucasian"))})

    def change(name: str) -> FloatArray:
        mean = _GIRTHS.get(name, 0.0) * (corpulence + by_gender(_CORPULENCE))
        return np.clip(random.normal(mean, _LOCAL_CHANGE_DEVIATION), -1.0, 1.0)

    local_changes = {name: change(name) for name in _LOCAL_CHANGES}
    for name in _SIDE_CHANGES:
        both = change(name)
        local_changes.update({f"l-{name}": both, f"r-{name}": both})
    return model.coefficients(phenotypes, local_changes)


@dataclass(frozen=True)
class People:
    """People in T-pose: vertices [N, V, 3] and joints [N, 55, 3], metres, float32."""

    vertices: FloatArray
    joints: FloatArray


@lru_cache(maxsize=1)
def _mean_adult() -> tuple[FloatArray, FloatArray]:
    """Vertices [1, V, 3] and joints [1, 55, 3] of the mean adult in the source's rest pose."""
    model = load_source_model()
    vertices, heads, _ = model.people(sample_adults(model, "neutral", 200, seed=0).mean(axis=0, keepdims=True))
    return vertices, joint_locations(model, vertices, heads)


@lru_cache(maxsize=1)
def common_tpose() -> TPose:
    """Return the transformation to T-pose that all people share, found on the mean adult.

    Raises:
        UsageError: the package ``anny`` is not installed.
    """
    vertices, joints = _mean_adult()
    return TPose(tpose_rotations(joints[0]), skinning_weights(load_source_model(), vertices[0], joints[0]))


def mean_adult() -> People:
    """Return the mean adult in T-pose (N = 1); see :func:`common_tpose`."""
    return People(*common_tpose().apply(*_mean_adult()))


def people_in_tpose(model: SourceModel, coefficients: FloatArray) -> People:
    """Turn blend-shape coefficients [N, K] into people in T-pose."""
    vertices, heads, _ = model.people(coefficients)
    return People(*common_tpose().apply(vertices, joint_locations(model, vertices, heads)))
