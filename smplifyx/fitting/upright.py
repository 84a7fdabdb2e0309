"""Trunks rather stand upright before the camera: one photo hardly shows whether they do.

A lean of 20 degrees shortens a trunk by 6 %, no more than what shapes and detectors vary by.
"""

from __future__ import annotations

from torch import Tensor

from smplifyx.body import skeleton

_PELVIS, _NECK = skeleton.joint_index("pelvis"), skeleton.joint_index("neck")
#: Sine of the tilt beyond which a trunk is simply not upright.
_LARGE_TILT = 0.35


def trunk_tilt_energy(joints: Tensor) -> Tensor:
    """Robust squared sine [B] (Geman & McClure 1987) of the trunk's angle with the image plane.

    Args:
        joints: [B, J, 3] in the camera frame.
    """
    trunk = joints[:, _NECK] - joints[:, _PELVIS]
    squared = trunk[:, 2].square() / trunk.square().sum(1)
    return squared * _LARGE_TILT**2 / (squared + _LARGE_TILT**2)
