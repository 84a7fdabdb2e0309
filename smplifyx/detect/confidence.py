"""Confidences that say how much a point helps a fit, whatever a network's own numbers mean.

A fit weights the square of a keypoint's error by the square of its confidence. Points that the networks hardly see
are several times as far from the truth as the others, and still better than none: fits to rendered people lose when
such points count much less. So confidences rise quickly, and differ little between points that are seen.
"""

from __future__ import annotations

import numpy as np

from smplifyx.detect.crops import FloatArray
from smplifyx.skeleton import BODY_KEYPOINT_NAMES

#: Raw confidences of the columns below; between them, confidences are interpolated.
_RAW = (0.0, 0.001, 0.005, 0.1, 0.3, 0.5, 1.0)
#: Below a raw confidence of 0.1 a point is a guess, such as one outside of the photo: it stays below 0.2, from which
#: on points count as seen where people are chosen. Hips are never sure: other data place them elsewhere.
_CALIBRATED = {
    "head": (0.0, 0.1, 0.19, 0.19, 0.3, 0.58, 0.77),
    "shoulder": (0.0, 0.1, 0.19, 0.19, 0.3, 0.58, 0.75),
    "elbow": (0.0, 0.1, 0.19, 0.19, 0.3, 0.58, 0.77),
    "wrist": (0.0, 0.1, 0.19, 0.19, 0.3, 0.66, 0.77),
    "hip": (0.0, 0.1, 0.19, 0.19, 0.3, 0.58, 0.66),
    "knee": (0.0, 0.1, 0.19, 0.19, 0.3, 0.64, 0.77),
    "ankle": (0.0, 0.1, 0.19, 0.19, 0.3, 0.64, 0.77),
    "big_toe": (0.0, 0.1, 0.19, 0.19, 0.3, 0.64, 0.73),
    "heel": (0.0, 0.1, 0.19, 0.19, 0.3, 0.64, 0.73),
}
#: Neck and middle of the hips are means of two points, little evidence of their own.
_DERIVED = {"neck": ("shoulder", 0.9), "mid_hip": ("hip", 0.98)}
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
