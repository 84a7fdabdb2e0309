"""A full-covariance Gaussian over body poses from motion capture, centred on a relaxed, upright person.

Motion capture is full of motion: its mean crouches. People in photos mostly stand or sit still. So the mean is that
of frames in which somebody stands with hanging arms, and the covariance is the second moment of all frames about it.
"""

from __future__ import annotations

import numpy as np

from smplifyx.training.motion_capture import MotionCapture, mirror_body_pose, standing_pose

#: Standard deviation added to every angle: what capture and retargeting do not see (radians).
POSE_FLOOR = np.radians(3.0)


def fit_gaussian(data: MotionCapture) -> tuple[np.ndarray, np.ndarray]:
    """Mean [63] and covariance [63, 63] (radians), symmetric between left and right."""
    mean = standing_pose(data)
    covariance = np.eye(len(mean)) * POSE_FLOOR**2
    for poses in (data.body_pose, mirror_body_pose(data.body_pose)):
        centred = poses - mean
        covariance += 0.5 * (centred * data.weights[:, None]).T @ centred
    return mean, covariance
