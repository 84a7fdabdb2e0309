"""Depth from a detector's own 3D points, beside the depth that the lifting network predicts from the keypoints."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from smplifyx import skeleton
from smplifyx.lifting.lifter import LiftedJoints
from smplifyx.skeleton import BODY_KEYPOINT_NAMES

_PARTS = ("shoulder", "elbow", "wrist", "knee", "ankle")
_NAMES = [f"{side}_{part}" for side in skeleton.SIDES for part in _PARTS]
_KEYPOINTS = [BODY_KEYPOINT_NAMES.index(name) for name in _NAMES]
#: Lifted joints leave the pelvis out, which is the first joint.
_JOINTS = [skeleton.joint_index(name) - skeleton.BODY_JOINTS.start for name in _NAMES]
_HIPS = [skeleton.joint_index(f"{side}_hip") - skeleton.BODY_JOINTS.start for side in skeleton.SIDES]
_MID_HIP = BODY_KEYPOINT_NAMES.index("mid_hip")


def add_detector_points(lifted: LiftedJoints, points: Tensor, sd: float) -> LiftedJoints:
    """Combine the depths of lifted joints with those of a detector's 3D points: the product of two Gaussians.

    Only depths relative to the middle of the hips are used. What the keypoints say across the line of sight is known
    better, and the scale of the points is the detector's.

    Args:
        lifted: the joints of B people.
        points: [B, 25, 4] metres in the camera's axes, BODY_25, and confidence; 0 where a person has none.
        sd: standard deviation of the points' depths, metres.
    """
    used = points[:, _KEYPOINTS, 3] * points[:, _MID_HIP, 3:].clamp_min(0.0).sign()
    precision = used / sd**2
    hips = lifted.joints[:, _HIPS, 2].mean(1, keepdim=True)
    depth = points[:, _KEYPOINTS, 2] - points[:, _MID_HIP, 2:3] + hips

    root, mean = lifted.sqrt_precision[:, _JOINTS], lifted.joints[:, _JOINTS]
    # Products element by element: those of matrices round differently in other batches.
    information = (root[..., :, :, None] * root[..., :, None, :]).sum(2)
    information[..., 2, 2] += precision
    shift = torch.zeros_like(mean)
    shift[..., 2] = precision * (depth - mean[..., 2])
    # The information of a joint without a lifted position is singular; such joints stay as they are.
    factor, failed = torch.linalg.cholesky_ex(information)
    known = (failed == 0) & (used > 0)
    factor = torch.where(known[..., None, None], factor, torch.eye(3).to(factor))
    moved = mean + torch.cholesky_solve(shift[..., None], factor)[..., 0]

    joints, sqrt_precision = lifted.joints.clone(), lifted.sqrt_precision.clone()
    joints[:, _JOINTS] = torch.where(known[..., None], moved, mean)
    sqrt_precision[:, _JOINTS] = torch.where(known[..., None, None], factor.transpose(2, 3), root)
    return replace(lifted, joints=joints, sqrt_precision=sqrt_precision)
