"""Elbows and knees bend one way (Bogo et al. 2016, eq. 4; Pavlakos et al. 2019, section 3.2)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from smplifyx.body import skeleton
from smplifyx.geometry import twist_angle


class _Hinge(NamedTuple):
    """A joint, the axis it bends about, and the sign of unnatural hyperextension."""

    joint: str
    axis: int
    sign: float


_HINGES = (
    _Hinge("left_elbow", 1, 1.0),
    _Hinge("right_elbow", 1, -1.0),
    _Hinge("left_knee", 0, -1.0),
    _Hinge("right_knee", 0, -1.0),
)


def hyperextension(rotations: Tensor) -> Tensor:
    """How far [B, 4] left and right elbow and knee bend against their joints, radians; negative when they flex.

    Args:
        rotations: [B, 21, 3, 3] of the body joints.
    """
    first = skeleton.BODY_JOINTS.start
    angles = [
        hinge.sign * twist_angle(rotations[:, skeleton.joint_index(hinge.joint) - first], hinge.axis)
        for hinge in _HINGES
    ]
    return torch.stack(angles, 1)


def hinge_energy(rotations: Tensor) -> Tensor:
    """Energy [B] that grows exponentially when an elbow or a knee bends against its joint.

    The angle is the twist about the hinge, which is smooth in the matrix; it equals the axis-angle component of the
    published formula when the joint turns about its hinge alone.

    Args:
        rotations: [B, 21, 3, 3] of the body joints.
    """
    return hyperextension(rotations).exp().square().sum(1)
