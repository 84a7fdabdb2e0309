"""3D bodies with hands and face from photos and 2D keypoints."""

__version__ = "0.1.0"
