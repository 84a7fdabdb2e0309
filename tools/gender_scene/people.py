"""Bodies and poses of the people in the pictures, in groups that can be made apart from each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from smplifyx.body.data import BodyModelData
from smplifyx.priors import HELD_OUT_SUBJECTS, make_body_pose_prior
from smplifyx.synthetic.makehuman.adults import people_in_tpose, sample_adults
from smplifyx.synthetic.makehuman.source import load_source_model
from smplifyx.synthetic.people import SyntheticOptions, SyntheticPerson, synthetic_people
from smplifyx.synthetic.poses import PosePool
from smplifyx.training.poses import load_motion_capture
from tools.bodies.linear_spaces import fit_shape_space
from tools.demo_scene.truth import open_body

_SIZES = ((240, 300), (240, 320), (272, 272), (300, 272))
_N_DECODED, _DECODED_SPREAD = 2000, 0.9
_N_FULL_SHAPES, _N_FULL_COMPONENTS = 400, 60


GENDERS = ("male", "female")
_OPTIONS = SyntheticOptions(
    shape_sd=1.15,
    facing_share=0.8,
    extent_range=(0.65, 0.97),
    truncated_share=0.4,
    truncated_extent_range=(1.05, 2.1),
)


@dataclass(frozen=True)
class Subject:
    """A person to be photographed: gender, body model and truth."""

    gender: str
    data: BodyModelData
    person: SyntheticPerson


@dataclass(frozen=True)
class Crowd:
    """Random people, in groups.

    Attributes:
        n_people: how many.
        seed: of everything random.
        poses: to draw from.
        full_shapes: whether half the shapes come from the source's full shape space.
        group_size: people made at a time; other sizes give other people.
        scale: of the pictures; 1 gives sides of 240 to 320 pixels.
    """

    n_people: int
    seed: int
    poses: PosePool
    full_shapes: bool = False
    group_size: int = 20
    scale: float = 1.0

    @property
    def n_groups(self) -> int:
        """Groups of people of one gender, alternating."""
        return -(-self.n_people // self.group_size)

    def group(self, number: int) -> Iterator[tuple[int, Subject]]:
        """Number and truth of each person of a group; the same for any number of people."""
        gender = GENDERS[number % 2]
        data = full_shape_body(gender) if self.full_shapes and (number // 2) % 2 else open_body(gender)
        first = number * self.group_size
        count = min(self.group_size, self.n_people - first)
        people = synthetic_people(data, count, self._options(number, 0), self.poses)
        for offset, person in enumerate(people):
            yield first + offset, Subject(gender, data, person)

    def bystanders(self, number: int) -> Iterator[Subject]:
        """A man and a woman, bystanders for the people of a group."""
        for gender in GENDERS:
            data = open_body(gender)
            options = replace(self._options(number, 1), truncated_share=0.0)
            for person in synthetic_people(data, 1, options, self.poses):
                yield Subject(gender, data, person)

    def _options(self, *numbers: int) -> SyntheticOptions:
        seed = int(np.random.SeedSequence([self.seed, *numbers]).generate_state(1)[0])
        sizes = tuple((round(self.scale * width), round(self.scale * height)) for width, height in _SIZES)
        return replace(_OPTIONS, seed=seed, image_sizes=sizes)


def training_poses(mocap: Path | None) -> PosePool:
    """Motion capture without the held-out subjects, or samples of the learned prior."""
    if mocap is not None:
        capture, _ = load_motion_capture(mocap).split_subjects(HELD_OUT_SUBJECTS)
        return PosePool(capture.body_pose, capture.weights)
    prior = make_body_pose_prior("vposer")
    codes = _DECODED_SPREAD * np.random.default_rng(0).normal(size=(_N_DECODED, prior.n_parameters))
    rotations = prior.decode(torch.as_tensor(codes, dtype=torch.float32)).rotations.double().numpy()
    poses = Rotation.from_matrix(rotations.reshape(-1, 3, 3)).as_rotvec().reshape(_N_DECODED, -1)
    return PosePool(poses, np.full(_N_DECODED, 1.0 / _N_DECODED))


@cache
def full_shape_body(gender: str) -> BodyModelData:
    """The open body with many more shape components, computed from its source (needs the package anny)."""
    model = load_source_model()
    people = people_in_tpose(model, sample_adults(model, gender, _N_FULL_SHAPES, seed=17))
    space = fit_shape_space(people.vertices, _N_FULL_COMPONENTS)
    return replace(open_body(gender), shapedirs=space.directions.transpose(1, 2, 0).astype(np.float64))
