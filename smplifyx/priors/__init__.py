"""What is known about people before looking: pose and joint limits."""

from smplifyx.priors.factory import make_body_pose_prior
from smplifyx.priors.pose_space import BodyPosePrior, DecodedPose, hyperextension, joint_limit_energy

__all__ = ["BodyPosePrior", "DecodedPose", "hyperextension", "joint_limit_energy", "make_body_pose_prior"]
