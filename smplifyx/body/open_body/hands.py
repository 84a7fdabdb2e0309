"""A pose space of the hand made from anatomy: joint axes, coupled fingers and the shapes that hands are used in.

The hand poses that people take fill few of a hand's degrees of freedom (Santello, Flanders and Soechting 1998):
fingers bend together, an end joint follows the joint before it, bent fingers close ranks. Random poses with these
couplings become axis-angle vectors, and their principal components the linear space that SMPL-X uses.

Frame: the left hand of a body in T-pose, fingers along +x, palm down (-y), thumb towards +z. Joint order: index,
middle, pinky, ring, thumb, three joints each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from smplifyx.body.data import FloatArray
from smplifyx.body.open_body.hand_shapes import sample_hand_angles

#: Direction of index, middle, pinky and ring in the T-pose, degrees from +x towards +z.
_FINGER_DIRECTIONS = (8.5, -8.0, -25.0, -18.0)
#: Direction of the thumb's first bone, the axis that bends its joints, and the one that moves it off the palm.
_THUMB_BONE = (0.38, -0.67, 0.64)
_THUMB_BENDING_AXIS = (0.57, 0.82, 0.0)
_THUMB_ABDUCTION_AXIS = (0.0, 0.0, -1.0)

_N_SAMPLES = 6000
_SEED = 20


@dataclass(frozen=True)
class HandPoseSpace:
    """Linear space of hand poses: ``pose = coefficients @ components + mean``, axis-angle in radians.

    Attributes:
        mean: [45] a relaxed, slightly curled hand.
        components: [45, 45] orthonormal rows, the one with the largest variance first.
        standard_deviations: [45] of the coefficients over the poses the space was made from, radians.
    """

    mean: FloatArray
    components: FloatArray
    standard_deviations: FloatArray


def left_hand_pose_space() -> HandPoseSpace:
    """The left hand's pose space, always the same; the right hand's is its mirror image."""
    poses = hand_pose_from_angles(sample_hand_angles(_N_SAMPLES, _SEED))
    mean = poses.mean(axis=0)
    _, singular_values, components = np.linalg.svd(poses - mean, full_matrices=False)
    # The sign of a component is free: its largest entry is made positive, whatever the SVD's implementation.
    largest = np.take_along_axis(components, np.abs(components).argmax(axis=1)[:, None], axis=1)
    return HandPoseSpace(mean, components * np.sign(largest), singular_values / np.sqrt(_N_SAMPLES))


def mirror_hand_pose(pose: FloatArray) -> FloatArray:
    """The other hand's pose (or mean, or components) [..., 45]: each axis-angle (x, y, z) becomes (x, -y, -z)."""
    return pose * np.tile([1.0, -1.0, -1.0], pose.shape[-1] // 3)


def hand_pose_from_angles(angles: FloatArray) -> FloatArray:
    """Left hand poses [N, 45] in axis-angle from joint angles [N, 21] in degrees, laid out as in ``hand_shapes``."""
    fingers = angles[:, :16].reshape(-1, 4, 4)
    rotations = [_finger(fingers[:, number], direction) for number, direction in enumerate(_FINGER_DIRECTIONS)]
    rotations.append(_thumb(angles[:, 16:]))
    return np.concatenate([joint.as_rotvec() for joints in rotations for joint in joints], axis=1)


def _about(axis: tuple[float, float, float] | FloatArray, degrees: FloatArray) -> Rotation:
    unit = np.asarray(axis) / np.linalg.norm(axis)
    return Rotation.from_rotvec(np.radians(degrees)[:, None] * unit)


def _finger(angles: FloatArray, direction: float) -> tuple[Rotation, Rotation, Rotation]:
    """Rotations of a finger's joints from spread and bendings [N, 4]; it bends in its own plane, down to the palm."""
    radians = np.radians(direction)
    bending_axis = np.array([np.sin(radians), 0.0, -np.cos(radians)])
    spread = _about((0.0, -1.0, 0.0), angles[:, 0])
    knuckle, middle, end = (_about(bending_axis, angles[:, column]) for column in (1, 2, 3))
    return spread * knuckle, middle, end


def _thumb(angles: FloatArray) -> tuple[Rotation, Rotation, Rotation]:
    """Rotations of the thumb's joints from bending, abduction and roll of the root and two bendings [N, 5]."""
    root = (
        _about(_THUMB_ABDUCTION_AXIS, angles[:, 1])
        * _about(_THUMB_BENDING_AXIS, angles[:, 0])
        * _about(_THUMB_BONE, angles[:, 2])
    )
    return root, _about(_THUMB_BENDING_AXIS, angles[:, 3]), _about(_THUMB_BENDING_AXIS, angles[:, 4])
