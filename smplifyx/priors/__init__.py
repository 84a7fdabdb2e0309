"""What is known about people before looking: pose and joint limits."""

from smplifyx.priors.body_pose import BodyPosePrior, DecodedPose
from smplifyx.priors.factory import make_body_pose_prior
from smplifyx.priors.joint_limits import hinge_energy, hyperextension

__all__ = ["BodyPosePrior", "DecodedPose", "hinge_energy", "hyperextension", "make_body_pose_prior"]
