"""Synthetic people as observations and as keypoint files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from smplifyx.camera import Camera
from smplifyx.keypoints import Observation
from smplifyx.keypoints.writing import openpose_person, write_openpose
from smplifyx.skeleton import (
    BODY_KEYPOINTS,
    CONTOUR_KEYPOINTS,
    FACE_KEYPOINTS,
    LEFT_HAND_KEYPOINTS,
    RIGHT_HAND_KEYPOINTS,
)
from smplifyx.synthetic.people import SyntheticPerson

_N_PUPILS = 2


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
    write_openpose(path, [_entry(person.keypoints_2d) | _gender(person) for person in people])


def _gender(person: SyntheticPerson) -> dict[str, str]:
    return {} if person.gender == "neutral" else {"gender_gt": person.gender}


def _entry(keypoints: np.ndarray) -> dict[str, Any]:
    face = np.concatenate([keypoints[CONTOUR_KEYPOINTS], keypoints[FACE_KEYPOINTS], np.zeros((_N_PUPILS, 3))])
    return openpose_person(
        keypoints[BODY_KEYPOINTS], keypoints[LEFT_HAND_KEYPOINTS], keypoints[RIGHT_HAND_KEYPOINTS], face
    )
