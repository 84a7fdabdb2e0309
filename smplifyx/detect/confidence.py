"""Confidences that say how far a point may be off, whatever a network's own numbers mean.

A fit weights the square of a keypoint's error by the square of its confidence. So confidences are set by
how far points of the same raw confidence are from the truth of rendered people, and from OpenPose's on photos.
"""

from __future__ import annotations

import numpy as np

from smplifyx.detect.crops import FloatArray
from smplifyx.skeleton import BODY_KEYPOINT_NAMES

#: Raw confidences of the columns below; between them, confidences are interpolated.
_RAW = (0.0, 0.02, 0.1, 0.3, 0.5, 1.0)
#: Hips are never sure: other data place them elsewhere. Wrists and elbows of low confidence are off by a forearm.
#: Hidden feet are placed from the rest of the leg, and better than their low confidence says.
_CALIBRATED = {
    "head": (0.0, 0.02, 0.1, 0.25, 0.4, 0.8),
    "shoulder": (0.0, 0.1, 0.2, 0.3, 0.4, 0.75),
    "elbow": (0.0, 0.1, 0.2, 0.3, 0.4, 0.8),
    "wrist": (0.0, 0.05, 0.1, 0.2, 0.55, 0.8),
    "hip": (0.0, 0.1, 0.15, 0.25, 0.4, 0.55),
    "knee": (0.0, 0.05, 0.15, 0.25, 0.5, 0.8),
    "ankle": (0.0, 0.1, 0.2, 0.25, 0.5, 0.8),
    "big_toe": (0.0, 0.1, 0.2, 0.25, 0.5, 0.7),
    "heel": (0.0, 0.1, 0.2, 0.25, 0.5, 0.7),
}
#: Neck and middle of the hips are means of two points, little evidence of their own.
_DERIVED = {"neck": ("shoulder", 0.75), "mid_hip": ("hip", 0.95)}
_HEAD = ("nose", "eye", "ear")


def calibrated(raw: FloatArray) -> FloatArray:
    """Confidences [25] of BODY_25 from the networks' own ones."""
    found = raw.copy()
    for number, name in enumerate(BODY_KEYPOINT_NAMES):
        part, factor = _DERIVED.get(name, (name.split("_", 1)[-1], 1.0))
        part = "head" if part in _HEAD else part
        if part in _CALIBRATED:
            found[number] = factor * np.interp(raw[number], _RAW, _CALIBRATED[part])
    return found
