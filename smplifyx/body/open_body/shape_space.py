"""Random adults and the linear shape space that describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from smplifyx.body.data import FloatArray
from smplifyx.body.open_body.source import SourceModel

N_SHAPE_COMPONENTS = 10
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
