"""Limits of elbows and knees (Bogo et al. 2016, eq. 4; Pavlakos et al. 2019, section 3.2)."""

from __future__ import annotations

from torch import Tensor

from smplifyx import skeleton
from smplifyx.constants import constant, index_of

_HINGES = (("left_elbow", 1, 1.0), ("right_elbow", 1, -1.0), ("left_knee", 0, -1.0), ("right_knee", 0, -1.0))
#: (joint index, axis, sign): a positive ``sign * angle`` about that axis is unnatural hyperextension.
HINGES = tuple((skeleton.joint_index(name), axis, sign) for name, axis, sign in _HINGES)
_SIGNS = tuple(sign for *_, sign in _HINGES)


def _entries() -> tuple[int, ...]:
    """Indices of the matrix entries [4, hinge] of the twist about each hinge in 21 flattened matrices."""
    entries: list[list[int]] = [[], [], [], []]
    for name, axis, _ in _HINGES:
        start = 9 * skeleton.body_pose_row(name)
        i, j = (axis + 1) % 3, (axis + 2) % 3
        for column, (row, other) in zip(entries, ((j, i), (i, j), (i, i), (j, j)), strict=True):
            column.append(start + 3 * row + other)
    return tuple(entry for column in entries for entry in column)


_ENTRIES = _entries()


def hyperextension(rotations: Tensor) -> Tensor:
    """Angles [B, 4] by which left and right elbow and knee bend the wrong way, radians; negative for flexion.

    The angle is the twist about the hinge: the part of the rotation that is left after a swing with no component
    about the hinge. It is smooth in the matrix unless the swing is half a turn, and equals the axis-angle component
    of the published formula for a joint that rotates about its hinge only.

    Args:
        rotations: [B, 21, 3, 3] of the body joints.
    """
    entries = index_of(_ENTRIES, rotations.device)
    ji, ij, ii, jj = rotations.flatten(1)[:, entries].unflatten(1, (4, len(_HINGES))).unbind(1)
    return (ji - ij).atan2(ii + jj) * constant(_SIGNS, rotations)


def joint_limit_energy(rotations: Tensor) -> Tensor:
    """Energy [B] that grows exponentially with hyperextension of elbows and knees.

    Args:
        rotations: [B, 21, 3, 3] of the body joints.
    """
    return hyperextension(rotations).exp().square().sum(1)
