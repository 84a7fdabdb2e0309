"""Random adults, in the source's rest pose and in SMPL-X's T-pose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from smplifyx.body.data import FloatArray
from smplifyx.synthetic.makehuman.joints import joint_locations
from smplifyx.synthetic.makehuman.skinning import skinning_weights
from smplifyx.synthetic.makehuman.source import SourceModel, load_source_model
from smplifyx.synthetic.makehuman.tpose import TPose, tpose_rotations

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
