"""Write people as OpenPose does: its JSON, version 1.3."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smplifyx.files import write_text
from smplifyx.skeleton import (
    BODY_KEYPOINTS,
    CONTOUR_KEYPOINTS,
    FACE_KEYPOINTS,
    LEFT_HAND_KEYPOINTS,
    RIGHT_HAND_KEYPOINTS,
)

#: Entry of our own: the hash of the image file in which the people were detected.
PHOTO_DIGEST = "photo_digest"
_VERSION = 1.3
_N_PUPILS = 2


def openpose_person(
    body: NDArray[Any],
    left_hand: NDArray[Any],
    right_hand: NDArray[Any],
    face: NDArray[Any],
    world: NDArray[Any] | None = None,
) -> dict[str, Any]:
    """One entry of the list ``people``.

    Args:
        body: [25, 3] pixels and confidence, BODY_25.
        left_hand: [21, 3].
        right_hand: [21, 3].
        face: [70, 3].
        world: [25, 4] metres in the camera's axes, and confidence; None leaves ``pose_keypoints_3d`` out.
    """
    entry: dict[str, Any] = {
        "person_id": [-1],
        "pose_keypoints_2d": _flat(body),
        "face_keypoints_2d": _flat(face),
        "hand_left_keypoints_2d": _flat(left_hand),
        "hand_right_keypoints_2d": _flat(right_hand),
    }
    if world is not None:
        entry["pose_keypoints_3d"] = _flat(world)
    return entry


def person_entry(
    keypoints: NDArray[Any], gender: str | None = None, points_3d: NDArray[Any] | None = None
) -> dict[str, Any]:
    """The entry of a person in the canonical layout `[135, 3]`; pupils are unseen.

    A gender stands in ``gender_gt``, as SMPLify-X reads it; 3D points [25, 4] in ``pose_keypoints_3d``.
    """
    face = np.concatenate([keypoints[CONTOUR_KEYPOINTS], keypoints[FACE_KEYPOINTS], np.zeros((_N_PUPILS, 3))])
    entry = openpose_person(
        keypoints[BODY_KEYPOINTS], keypoints[LEFT_HAND_KEYPOINTS], keypoints[RIGHT_HAND_KEYPOINTS], face, points_3d
    )
    return entry if gender is None else entry | {"gender_gt": gender}


def write_openpose(path: str | Path, people: Sequence[dict[str, Any]], photo_digest: str = "") -> None:
    """Write the people of one photo, by custom to ``<image stem>_keypoints.json``; all or nothing.

    The hash of the image file, if given, becomes an entry :data:`PHOTO_DIGEST`.
    """
    content = {"version": _VERSION, "people": list(people)}
    write_text(path, json.dumps(content | ({PHOTO_DIGEST: photo_digest} if photo_digest else {})))


def _flat(points: NDArray[Any]) -> list[float]:
    return [round(float(value), 4) for value in np.asarray(points).reshape(-1)]
