"""Keypoints from photos: people, bodies, hands and faces, by small networks that ship with the package."""

from smplifyx.detect.detector import DetectedPerson, Detector

__all__ = ["DetectedPerson", "Detector"]
