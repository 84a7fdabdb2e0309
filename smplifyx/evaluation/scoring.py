"""Figures of one fit against a synthetic person's truth."""

from __future__ import annotations

from dataclasses import asdict
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from smplifyx.body import skeleton
from smplifyx.evaluation.metrics import pa_mpjpe, pa_v2v, root_aligned_mpjpe, root_aligned_v2v
from smplifyx.evaluation.posture import posture_errors, posture_of_joints

FloatArray = NDArray[np.float64]

_BODY = list(range(skeleton.BODY_JOINTS.stop))
_HANDS = (
    [skeleton.joint_index("left_wrist"), *range(skeleton.LEFT_HAND_JOINTS.start, skeleton.LEFT_HAND_JOINTS.stop)],
    [skeleton.joint_index("right_wrist"), *range(skeleton.RIGHT_HAND_JOINTS.start, skeleton.RIGHT_HAND_JOINTS.stop)],
)


class Truth(Protocol):
    """A person whose vertices [V, 3] and joints [55, 3] in the camera frame are known, metres."""

    @property
    def vertices(self) -> FloatArray:
        """[V, 3]."""
        ...

    @property
    def joints(self) -> FloatArray:
        """[55, 3]."""
        ...


def score(person: Truth, fitted_vertices: FloatArray, fitted_joints: FloatArray) -> dict[str, float]:
    """Errors in millimetres, degrees and percent.

    ``pa_`` is after similarity alignment, ``v2v_pelvis_mm`` and ``mpjpe_pelvis_mm`` after moving the pelvis; the
    angles are those of :class:`~smplifyx.evaluation.posture.PostureErrors`; ``size_percent`` is the fitted over the
    true length of legs and trunk, ``depth_percent`` that of the pelvis's depth, minus one.

    Args:
        person: the truth.
        fitted_vertices: [V, 3] camera frame with translation, metres, on the person's mesh.
        fitted_joints: [55, 3] in the same frame.

    Raises:
        ValueError: the meshes have different numbers of vertices.
    """
    vertices, joints = (np.asarray(points, dtype=np.float64)[None] for points in (fitted_vertices, fitted_joints))
    true_vertices, true_joints = person.vertices[None], person.joints[None]
    pelvis, true_pelvis = joints[:, 0], true_joints[:, 0]
    hands = [pa_mpjpe(joints[:, hand], true_joints[:, hand])[0] for hand in _HANDS]
    return {
        "pa_v2v_mm": float(pa_v2v(vertices, true_vertices)[0]),
        "v2v_pelvis_mm": float(root_aligned_v2v(vertices, true_vertices, pelvis, true_pelvis)[0]),
        "pa_mpjpe_mm": float(pa_mpjpe(joints[:, _BODY], true_joints[:, _BODY])[0]),
        "mpjpe_pelvis_mm": float(root_aligned_mpjpe(joints[:, _BODY], true_joints[:, _BODY], pelvis, true_pelvis)[0]),
        "pa_hands_mm": float(np.mean(hands)),
        **placement(person.joints, joints[0]),
    }


def placement(true_joints: FloatArray, fitted_joints: FloatArray) -> dict[str, float]:
    """Depth and size in percent and the posture's angles, from joints [22 or more, 3] of any body of the family."""
    angles = asdict(posture_errors(posture_of_joints(fitted_joints), posture_of_joints(true_joints)))
    return {
        "depth_percent": float(100.0 * (fitted_joints[0, 2] / true_joints[0, 2] - 1.0)),
        "size_percent": 100.0 * (_size(fitted_joints) / _size(true_joints) - 1.0),
        **{f"{name}_deg": angle for name, angle in angles.items()},
    }


def _size(joints: FloatArray) -> float:
    """Summed length of the bones of both legs and the trunk, which no pose changes (metres)."""
    chain = [
        skeleton.joint_index(f"{side}_{joint}") for side in ("left", "right") for joint in ("hip", "knee", "ankle")
    ] + [skeleton.joint_index(joint) for joint in ("spine1", "spine2", "spine3", "neck", "head")]
    return float(sum(np.linalg.norm(joints[j] - joints[skeleton.PARENTS[j]]) for j in chain))
