"""Posture of a body: direction of trunk and shoulders, bends of elbows and knees, size and depth.

Photos hide errors of these, such as a leaning trunk or a wrong heading.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from smplifyx import skeleton
from smplifyx.priors import hyperextension
from smplifyx.rotations import axis_angle_to_matrix
from smplifyx.skeleton import BODY_KEYPOINT_NAMES, JOINT_NAMES

FloatArray = NDArray[np.float64]

#: A joint counts as bent against itself beyond this angle (degrees).
MAX_WRONG_BEND = 10.0
#: The order of :func:`hinge_bends`.
HINGE_NAMES = ("left_elbow", "right_elbow", "left_knee", "right_knee")


@dataclass(frozen=True)
class Posture:
    """The directions and angles that make up a posture.

    Attributes:
        trunk: [3] from the hips to the neck.
        left: [3] from right to left through hips and shoulders.
        knee_flexion_deg: left and right, zero for a straight leg.
    """

    trunk: FloatArray
    left: FloatArray
    knee_flexion_deg: tuple[float, float]


@dataclass(frozen=True)
class PostureErrors:
    """Fitted against true posture, degrees; NaN where a joint is missing.

    Attributes:
        trunk_angle: angle between the two trunks.
        lean: the part of it in the true person's forward plane; positive when the fit leans too far forward.
        heading: turn about the true trunk, positive to the person's right; near 180 when the fit faces backwards.
        left_knee, right_knee: fitted minus true flexion; positive when the fit bends too much.
    """

    trunk_angle: float
    lean: float
    heading: float
    left_knee: float
    right_knee: float


def hinge_bends(rotations: ArrayLike) -> FloatArray:
    """Bend of each elbow and knee against its joint, degrees [P, 4], for body rotations [P, 21, 3, 3]."""
    degrees = torch.rad2deg(hyperextension(torch.as_tensor(np.asarray(rotations, np.float64))))
    return np.asarray(degrees.numpy())


def hinge_bends_of_pose(body_pose: ArrayLike) -> FloatArray:
    """The same [4] for one pose [63] in axis-angle."""
    pose = torch.as_tensor(np.asarray(body_pose, np.float64)).reshape(1, -1, 3)
    return hinge_bends(axis_angle_to_matrix(pose).numpy())[0]


def posture_of_keypoints(points: FloatArray) -> Posture:
    """Posture of BODY_25 keypoints [25 or more, 3] in space."""
    return _posture(points, BODY_KEYPOINT_NAMES, "mid_hip")


def posture_of_joints(joints: FloatArray) -> Posture:
    """Posture of SMPL-X joints [22 or more, 3]."""
    return _posture(joints, JOINT_NAMES, "pelvis")


def posture_errors(fitted: Posture, true: Posture) -> PostureErrors:
    """Compare two postures given in one frame."""
    up = true.trunk / np.linalg.norm(true.trunk)
    left = true.left - up * (true.left @ up)
    left = left / np.linalg.norm(left)
    forward = np.cross(left, up)
    return PostureErrors(
        trunk_angle=_angle(fitted.trunk, true.trunk),
        lean=float(np.degrees(np.arctan2(fitted.trunk @ forward, fitted.trunk @ up))),
        heading=float(np.degrees(np.arctan2(fitted.left @ forward, fitted.left @ left))),
        left_knee=fitted.knee_flexion_deg[0] - true.knee_flexion_deg[0],
        right_knee=fitted.knee_flexion_deg[1] - true.knee_flexion_deg[1],
    )


def placement(true_joints: FloatArray, fitted_joints: FloatArray) -> dict[str, float]:
    """Depth and size in percent and the posture's angles, from joints [22 or more, 3] of any body of the family."""
    angles = asdict(posture_errors(posture_of_joints(fitted_joints), posture_of_joints(true_joints)))
    return {
        "depth_percent": float(100.0 * (fitted_joints[0, 2] / true_joints[0, 2] - 1.0)),
        "size_percent": 100.0 * (_size(fitted_joints) / _size(true_joints) - 1.0),
        **{f"{name}_deg": angle for name, angle in angles.items()},
    }


def _posture(points: FloatArray, names: Sequence[str], root: str) -> Posture:
    def point(name: str) -> FloatArray:
        return np.asarray(points[names.index(name)], dtype=np.float64)

    def flexion(side: str) -> float:
        hip, knee, ankle = (point(f"{side}_{joint}") for joint in ("hip", "knee", "ankle"))
        return _angle(knee - hip, ankle - knee)

    left = point("left_hip") - point("right_hip") + point("left_shoulder") - point("right_shoulder")
    return Posture(point("neck") - point(root), left, (flexion("left"), flexion("right")))


def _angle(a: FloatArray, b: FloatArray) -> float:
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b)))


def _size(joints: FloatArray) -> float:
    """Summed length of the bones of both legs and the trunk, which no pose changes (metres)."""
    chain = [
        skeleton.joint_index(f"{side}_{joint}") for side in ("left", "right") for joint in ("hip", "knee", "ankle")
    ] + [skeleton.joint_index(joint) for joint in ("spine1", "spine2", "spine3", "neck", "head")]
    return float(sum(np.linalg.norm(joints[j] - joints[skeleton.PARENTS[j]]) for j in chain))
