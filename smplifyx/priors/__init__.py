"""What is known about people before looking: pose and joint limits."""

from smplifyx.priors.body_pose import BodyPosePrior, DecodedPose, make_body_pose_prior
from smplifyx.priors.joint_limits import hinge_energy

__all__ = ["BodyPosePrior", "DecodedPose", "hinge_energy", "make_body_pose_prior"]
