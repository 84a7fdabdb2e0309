"""Body measurements from the shape of a result: height, girths and limb lengths in T-pose."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from scipy.spatial import ConvexHull

from smplifyx.errors import InputError
from smplifyx.result import FitResult

#: Models of a whole body.
MEASURABLE = ("smplx", "smplh", "smpl")
_TORSO = ("pelvis", "left_hip", "right_hip", "spine1", "spine2", "spine3", "left_collar", "right_collar")
#: A triangle belongs to the torso if all its corners have at least this weight of torso joints.
_MOSTLY = 0.5
#: Distance of the levels at which a girth is tried, metres.
_STEP = 0.01
#: The hips are widest at or below the pelvis joint, up to this far below the hip joints, metres.
_BELOW_HIPS = 0.06


def measurements(result: FitResult) -> dict[str, float]:
    """Measure the body in T-pose with a neutral face, metres.

    ``height`` is that of the mesh. Girths are the lengths of a tape, so convex, round the torso without the arms:
    ``chest`` the largest between the joints spine2 and spine3, ``waist`` the smallest between pelvis and spine2,
    ``hips`` the largest below the pelvis. ``shoulders`` is the distance of the shoulder joints; limbs are from joint
    to joint, the mean of both sides.

    Raises:
        InputError: not a whole body.
    """
    if result.model_type not in MEASURABLE:
        raise InputError(None, f"expected one of {', '.join(MEASURABLE)}, found {result.model_type}", "model_type")
    with torch.no_grad():
        posed = result.body()(betas=torch.as_tensor(result.betas)[None])
    vertices, joints = posed.vertices[0].numpy().astype(np.float64), posed.joints[0].numpy().astype(np.float64)
    place = dict(zip(result.joint_names, joints, strict=True))
    torso = _torso_faces(result)

    def girth(low: float, high: float, choose: Callable[[list[float]], float]) -> float:
        levels = np.arange(low, high, _STEP)
        return choose([_tape(vertices[torso], level) for level in levels])

    def limb(upper: str, lower: str) -> float:
        bones = [place[f"{side}_{upper}"] - place[f"{side}_{lower}"] for side in ("left", "right")]
        return float(np.mean(np.linalg.norm(bones, axis=1)))

    pelvis, hips = place["pelvis"][1], min(place["left_hip"][1], place["right_hip"][1])
    spine2, spine3 = place["spine2"][1], place["spine3"][1]
    return {
        "height": float(np.ptp(vertices[:, 1])),
        "chest": girth(spine2, spine3 + 2 * _STEP, max),
        "waist": girth(pelvis, spine2, min),
        "hips": girth(hips - _BELOW_HIPS, pelvis, max),
        "shoulders": float(np.linalg.norm(place["left_shoulder"] - place["right_shoulder"])),
        "upper_arm": limb("shoulder", "elbow"),
        "forearm": limb("elbow", "wrist"),
        "thigh": limb("hip", "knee"),
        "shin": limb("knee", "ankle"),
    }


def half_range(*alternatives: Mapping[str, float]) -> dict[str, float]:
    """Half of the range of each measurement over alternative fits of a person."""
    return {name: float(np.ptp([one[name] for one in alternatives])) / 2.0 for name in alternatives[0]}


def _torso_faces(result: FitResult) -> np.ndarray:
    """Triangles [N, 3] of the torso."""
    data = result.body_data()
    columns = [result.joint_names.index(name) for name in _TORSO]
    inside = data.skinning_weights[:, columns].sum(axis=1) > _MOSTLY
    return data.faces[inside[data.faces].all(axis=1)]


def _tape(corners: np.ndarray, level: float) -> float:
    """Length of a tape round the triangles [N, 3, 3] at a height; 0 where there is nothing."""
    points = []
    for start, end in ((0, 1), (1, 2), (2, 0)):
        a, b = corners[:, start], corners[:, end]
        crosses = (a[:, 1] < level) != (b[:, 1] < level)
        share = (level - a[crosses, 1]) / (b[crosses, 1] - a[crosses, 1])
        points.append(a[crosses][:, [0, 2]] + share[:, None] * (b[crosses] - a[crosses])[:, [0, 2]])
    outline = np.concatenate(points)
    return float(ConvexHull(outline).area) if len(outline) > 2 else 0.0  # of a plane hull, SciPy's area is its length
