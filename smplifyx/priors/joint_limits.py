"""Elbows and knees bend one way (Bogo et al. 2016, eq. 4; Pavlakos et al. 2019, section 3.2)."""

from __future__ import annotations

from torch import Tensor

from smplifyx.body import skeleton

#: (joint, axis, sign): a positive ``sign * angle`` about that axis is unnatural hyperextension.
_HINGES = (("left_elbow", 1, 1.0), ("right_elbow", 1, -1.0), ("left_knee", 0, -1.0), ("right_knee", 0, -1.0))
_COLUMNS = [3 * (skeleton.joint_index(name) - skeleton.BODY_JOINTS.start) + axis for name, axis, _ in _HINGES]
_SIGNS = [sign for *_, sign in _HINGES]


def hinge_energy(body_pose: Tensor) -> Tensor:
    """Energy [B] that grows exponentially when an elbow or a knee bends against its joint.

    Args:
        body_pose: [B, 63] axis-angle, radians.
    """
    angles = body_pose[:, _COLUMNS] * body_pose.new_tensor(_SIGNS)
    return angles.exp().square().sum(1)
