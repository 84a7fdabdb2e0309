"""Write people as OpenPose does: its JSON, version 1.3."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smplifyx.files import write_text

_VERSION = 1.3


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


def write_openpose(path: str | Path, people: Sequence[dict[str, Any]]) -> None:
    """Write the people of one photo, by custom to ``<image stem>_keypoints.json``; all or nothing."""
    write_text(path, json.dumps({"version": _VERSION, "people": list(people)}))


def _flat(points: NDArray[Any]) -> list[float]:
    return [round(float(value), 4) for value in np.asarray(points).reshape(-1)]
