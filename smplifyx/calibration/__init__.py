"""Files of calibrated cameras, read as data."""

from smplifyx.calibration.files import CameraRig, read_cameras
from smplifyx.calibration.values import camera_for_size

__all__ = ["CameraRig", "camera_for_size", "read_cameras"]
