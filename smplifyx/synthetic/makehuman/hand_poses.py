"""Hand poses from anatomy: joint angles of common hand shapes, random variations of them, and their axis-angle form.

Angles are in degrees from the flat hand of the T-pose. For index, middle, pinky and ring: spread (towards the thumb)
and flexion of the knuckle, middle and end joint. For the thumb: flexion and abduction of its root joint, its roll
towards the palm, and flexion of its other two joints.

Frame: the left hand of a body in T-pose, fingers along +x, palm down (-y), thumb towards +z. Joint order: index,
middle, pinky, ring, thumb, three joints each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from smplifyx.body.data import FloatArray

#: Direction of index, middle, pinky and ring in the T-pose, degrees from +x towards +z.
_FINGER_DIRECTIONS = (8.5, -8.0, -25.0, -18.0)
#: Direction of the thumb's first bone, the axis that bends its joints, and the one that moves it off the palm.
_THUMB_BONE = (0.38, -0.67, 0.64)
_THUMB_BENDING_AXIS = (0.57, 0.82, 0.0)
_THUMB_ABDUCTION_AXIS = (0.0, 0.0, -1.0)

#: The end joint of a finger bends about two thirds as far as its middle joint.
END_JOINT_COUPLING = 2 / 3
#: Spread of index, middle, pinky and ring that makes the fanned fingers of the T-pose parallel.
_CLOSING = np.array([-12.0, 2.0, 19.0, 12.0])
#: Knuckle bending at which the fingers have closed ranks.
_CLOSED_KNUCKLE = 80.0

_FINGER_LIMITS = ((-25.0, 25.0), (-25.0, 95.0), (-5.0, 110.0), (-5.0, 80.0))
_THUMB_LIMITS = ((-30.0, 60.0), (-40.0, 35.0), (-30.0, 60.0), (-15.0, 65.0), (-20.0, 85.0))
#: Smallest and largest joint angles of a healthy hand, degrees.
LOWER_LIMITS, UPPER_LIMITS = np.array(4 * _FINGER_LIMITS + _THUMB_LIMITS).T


@dataclass(frozen=True)
class HandShape:
    """A shape of the hand in degrees.

    Attributes:
        knuckles: bending of the knuckles of index, middle, pinky and ring.
        middles: bending of their middle joints; the end joints follow.
        thumb: bending, abduction and roll of the thumb's root, bending of its middle and end joint.
        opening: degrees by which index, middle, pinky and ring spread beyond what their bending calls for.
        frequency: how often the shape is drawn, relative to the others.
    """

    knuckles: tuple[float, float, float, float]
    middles: tuple[float, float, float, float]
    thumb: tuple[float, float, float, float, float]
    opening: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    frequency: float = 1.0

    def angles(self) -> FloatArray:
        """[21] joint angles in degrees."""
        knuckles, middles = np.array(self.knuckles), np.array(self.middles)
        fingers = np.stack(
            [closing_spread(knuckles) + self.opening, knuckles, middles, END_JOINT_COUPLING * middles], axis=1
        )
        return np.concatenate([fingers.ravel(), self.thumb])


def closing_spread(knuckles: FloatArray) -> FloatArray:
    """Spread [..., 4] that comes with the bending of the knuckles [..., 4]: bent fingers close ranks."""
    return _CLOSING * np.clip(knuckles / _CLOSED_KNUCKLE, 0.0, 1.0)


#: Shapes from everyday life.
HAND_SHAPES: dict[str, HandShape] = {
    "relaxed": HandShape((18, 22, 30, 26), (28, 32, 34, 34), (5, 0, 5, 8, 12), frequency=7),
    "resting": HandShape((8, 10, 14, 12), (14, 16, 18, 18), (0, 0, 0, 5, 8), frequency=5),
    "flat": HandShape((0, 0, 0, 0), (0, 0, 0, 0), (0, -10, 0, 0, 0), frequency=3),
    "flat_closed": HandShape((0, 0, 0, 0), (2, 2, 2, 2), (5, -20, 0, 5, 5), (-10, 1, 15, 9), frequency=2),
    "spread": HandShape((-5, -5, -5, -5), (0, 0, 0, 0), (-20, -10, -10, 0, -5), (10, 1, -10, -6), frequency=3),
    "fist": HandShape((70, 75, 68, 71), (91, 94, 82, 89), (26, 16, 33, 35, 35), frequency=3),
    "thumbs_up": HandShape((72, 76, 68, 72), (92, 95, 82, 90), (-25, -25, -10, 0, -10), frequency=1),
    "point": HandShape((0, 72, 68, 70), (5, 92, 82, 90), (28, 6, 22, 22, 38), frequency=2),
    "victory": HandShape((-2, -2, 68, 70), (2, 2, 82, 90), (42, 8, 24, 25, 35), (8, -6, 0, 0), frequency=1.5),
    "pinch": HandShape((48, 30, 20, 24), (52, 34, 22, 26), (14, 20, 30, 20, 40), frequency=1.5),
    "tripod": HandShape((45, 48, 55, 52), (50, 50, 60, 56), (28, 15, 24, 18, 20), frequency=1.5),
    "power_grip": HandShape((42, 46, 56, 50), (55, 58, 60, 58), (10, 15, 25, 15, 20), frequency=2),
    "wide_grip": HandShape((22, 22, 24, 22), (32, 32, 32, 32), (-10, 20, 15, 5, 15), (6, 0, -6, -3), frequency=2),
    "hook": HandShape((8, 8, 10, 8), (82, 84, 82, 84), (0, -10, 0, 10, 15), frequency=1),
    "table_top": HandShape((75, 75, 75, 75), (4, 4, 4, 4), (5, 0, 10, 5, 5), frequency=0.7),
}


def sample_hand_angles(count: int, seed: int) -> FloatArray:
    """Random hand poses: mixtures of two shapes, more or less pronounced, with joints that vary together.

    Args:
        count: number of poses.
        seed: the same seed gives the same poses.

    Returns:
        [count, 21] degrees within the anatomical limits.
    """
    random = np.random.default_rng(seed)
    shapes = np.stack([shape.angles() for shape in HAND_SHAPES.values()])
    frequencies = np.array([shape.frequency for shape in HAND_SHAPES.values()])
    first, second = random.choice(len(shapes), size=(2, count), p=frequencies / frequencies.sum())
    share = random.beta(0.6, 2.0, size=(count, 1))
    angles = (1 - share) * shapes[first] + share * shapes[second]
    relaxed = HAND_SHAPES["relaxed"].angles()
    angles = relaxed + random.normal(1.0, 0.12, size=(count, 1)) * (angles - relaxed)
    fingers = angles[:, :16].reshape(count, 4, 4)
    together = random.normal(0.0, 5.0, size=(count, 1, 2)) + random.normal(0.0, 4.0, size=(count, 4, 2))
    fingers[:, :, 1:3] += together
    fingers[:, :, 3] += END_JOINT_COUPLING * together[:, :, 1] + random.normal(0.0, 1.5, size=(count, 4))
    opening = random.normal(0.0, 0.15, size=(count, 1)) * _CLOSING
    fingers[:, :, 0] += opening + random.normal(0.0, 1.0, size=(count, 4))
    angles[:, 16:] += random.normal(0.0, 3.0, size=(count, 5))
    return np.clip(angles, LOWER_LIMITS, UPPER_LIMITS)


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
    """Rotations of a finger's joints from spread and flexions [N, 4]; it flexes in its own plane."""
    radians = np.radians(direction)
    bending_axis = np.array([np.sin(radians), 0.0, -np.cos(radians)])
    spread = _about((0.0, -1.0, 0.0), angles[:, 0])
    knuckle, middle, end = (_about(bending_axis, angles[:, column]) for column in (1, 2, 3))
    return spread * knuckle, middle, end


def _thumb(angles: FloatArray) -> tuple[Rotation, Rotation, Rotation]:
    """Rotations of the thumb's joints from flexion, abduction and roll of the root and two flexions [N, 5]."""
    root = (
        _about(_THUMB_ABDUCTION_AXIS, angles[:, 1])
        * _about(_THUMB_BENDING_AXIS, angles[:, 0])
        * _about(_THUMB_BONE, angles[:, 2])
    )
    return root, _about(_THUMB_BENDING_AXIS, angles[:, 3]), _about(_THUMB_BENDING_AXIS, angles[:, 4])
