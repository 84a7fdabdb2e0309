"""Synthetic people as keypoint files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from smplifyx.files import write_text
from smplifyx.skeleton import (
    BODY_KEYPOINTS,
    CONTOUR_KEYPOINTS,
    FACE_KEYPOINTS,
    LEFT_HAND_KEYPOINTS,
    RIGHT_HAND_KEYPOINTS,
)
from smplifyx.synthetic.people import SyntheticPerson

_N_PUPILS = 2


def openpose_document(people: Sequence[SyntheticPerson]) -> dict[str, Any]:
    """The people of one image as OpenPose 1.3 writes them: BODY_25, both hands, a 70-point face without pupils.

    A gender that is known stands in ``gender_gt``, as SMPLify-X reads it.
    """
    return {"version": 1.3, "people": [_entry(person.keypoints_2d) | _gender(person) for person in people]}


def write_openpose_json(people: Sequence[SyntheticPerson], path: str | Path) -> None:
    """Writes the people of one image to ``path``, by custom ``<image stem>_keypoints.json``."""
    write_text(path, json.dumps(openpose_document(people)))


def _gender(person: SyntheticPerson) -> dict[str, str]:
    return {} if person.gender == "neutral" else {"gender_gt": person.gender}


def _entry(keypoints: np.ndarray) -> dict[str, Any]:
    face = np.concatenate([keypoints[CONTOUR_KEYPOINTS], keypoints[FACE_KEYPOINTS], np.zeros((_N_PUPILS, 3))])

    def flat(points: np.ndarray) -> list[float]:
        return [round(float(value), 4) for value in points.reshape(-1)]

    return {
        "person_id": [-1],
        "pose_keypoints_2d": flat(keypoints[BODY_KEYPOINTS]),
        "face_keypoints_2d": flat(face),
        "hand_left_keypoints_2d": flat(keypoints[LEFT_HAND_KEYPOINTS]),
        "hand_right_keypoints_2d": flat(keypoints[RIGHT_HAND_KEYPOINTS]),
    }
