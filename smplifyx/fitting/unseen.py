"""Limbs that nobody saw hang relaxed: a learned prior alone lets them follow whatever suits the visible ones."""

from __future__ import annotations

import torch
from torch import Tensor

from smplifyx.body import skeleton
from smplifyx.body.canonical_keypoints import BODY_KEYPOINT_NAMES

_SEEN = 0.1
#: Body joint -> the keypoint at the lower end of its bone; unseen, nothing tells the joint's angle.
_BONE_ENDS = {
    f"{side}_{joint}": f"{side}_{end}"
    for side in ("left", "right")
    for joint, end in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))
}
#: The same as indices into the 21 body joints and the 25 body keypoints.
_JOINTS = [skeleton.joint_index(joint) - skeleton.BODY_JOINTS.start for joint in _BONE_ENDS]
_ENDS = [BODY_KEYPOINT_NAMES.index(end) for end in _BONE_ENDS.values()]


def unseen_limbs(confidence: Tensor) -> Tensor:
    """1 for limb joints [B, 8] whose bone ends in an unseen keypoint, 0 for the others.

    Args:
        confidence: [B, 135] of the canonical keypoints.
    """
    return (confidence[:, _ENDS] <= _SEEN).to(confidence.dtype)


def unseen_energy(rotations: Tensor, relaxed: Tensor, unseen: Tensor) -> Tensor:
    """Squared angle [B] (for small ones) between unseen limbs and the prior's relaxed pose, summed over joints.

    Half the squared Frobenius distance of rotations is 4 sin^2(angle / 2): smooth everywhere.

    Args:
        rotations: [B, 21, 3, 3] local rotations of the body joints.
        relaxed: [21, 3, 3] those of the prior's middle.
        unseen: [B, 8] see :func:`unseen_limbs`.
    """
    distance = (rotations[:, _JOINTS] - relaxed[_JOINTS]).square().sum((2, 3))
    return 0.5 * torch.sum(unseen * distance, dim=1)
