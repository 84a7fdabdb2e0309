"""Files of calibrated cameras, read as data."""

from smplifyx.calibration.files import CameraRig, read_cameras

__all__ = ["CameraRig", "read_cameras"]
