"""Synthetic people as observations and as keypoint files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from smplifyx.camera import Camera
from smplifyx.keypoints import Observation
from smplifyx.keypoints.writing import person_entry, write_openpose
from smplifyx.synthetic.people import SyntheticPerson


def observation_of(person: SyntheticPerson, with_camera: bool = False) -> Observation:
    """Return the observation of a synthetic person, with the true camera or without one."""
    return Observation(
        keypoints=person.keypoints_2d.astype(np.float32),
        image_size=person.image_size,
        camera=true_camera(person) if with_camera else None,
        stem=person.name,
    )


def true_camera(person: SyntheticPerson) -> Camera:
    """Return the camera that the person was made with."""
    return Camera(person.focal_length, person.principal_point, "calibration", person.image_size)


def write_openpose_json(people: Sequence[SyntheticPerson], path: str | Path) -> None:
    """Write the people of one image to ``path``: BODY_25, both hands, a 70-point face without pupils.

    A gender that is known stands in ``gender_gt``, as SMPLify-X reads it.
    """
    genders = [None if person.gender == "neutral" else person.gender for person in people]
    entries = [person_entry(person.keypoints_2d, gender) for person, gender in zip(people, genders, strict=True)]
    write_openpose(path, entries)
