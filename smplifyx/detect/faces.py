"""The face of a body: found near its head, then a mesh of 468 points, of which OpenPose's 70 are taken."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from smplifyx.detect.anchors import AnchorDetector, Found
from smplifyx.detect.body import BodyPoints
from smplifyx.detect.crops import Crop, FloatArray, Photo, sigmoid
from smplifyx.detect.runtime import Network

#: Points of the mesh that are averaged for each of the 68 iBUG points and the two pupils (MIT, Peizhi Yan).
_MESH_POINTS: tuple[tuple[int, ...], ...] = (
    (127,), (234,), (93,), (132, 58), (58, 172), (136,), (150,), (176,), (152,), (400,), (379,), (365,), (397, 288),
    (361,), (323,), (454,), (356,),
    (156,), (63,), (105,), (66,), (107,), (336,), (296,), (334,), (293,), (383,),
    (168, 6), (197, 195), (5,), (4,), (98,), (97,), (2,), (326,), (327,),
    (33,), (160,), (158,), (133,), (153,), (144,), (362,), (385,), (387,), (263,), (373,), (380,),
    (61,), (39,), (37,), (0,), (267,), (269,), (291,), (321,), (314,), (17,), (84,), (91,),
    (78,), (82,), (13,), (312,), (308,), (317,), (14,), (87,),
    (33, 133, 159, 145), (362, 263, 386, 374),
)  # fmt: skip
#: Points on the contour slide over a turned face.
_CONTOUR, _CONTOUR_CONFIDENCE = slice(0, 17), 0.6
_HEAD = slice(0, 11)
_SHOULDERS = (11, 12)
_MIN_NOSE, _MIN_SCORE = 0.4, 0.5
_SEARCH, _FACE_CROP = 3.0, 1.5
_EYE_CORNERS = (33, 263)


class Face(NamedTuple):
    """``points`` [70, 2], pixels, in OpenPose's order, and ``confidence`` [70]."""

    points: FloatArray
    confidence: FloatArray


class FaceFinder:
    """Finder of the face of a head.

    Args:
        threads: processor threads.

    Raises:
        UsageError: the runtime is not installed.
        InputError: the network file is damaged.
    """

    def __init__(self, threads: int = 1) -> None:
        outputs = ("regressors", "classificators")
        self._detector = AnchorDetector(
            "face_detection_short_range", [8, 16, 16, 16], 6, (-1.0, 1.0), outputs, threads=threads
        )

    def __call__(self, photo: Photo, center: FloatArray, width: float) -> Found | None:
        """The face of a head, with the right and the left eye as its first points; None where none is seen.

        Args:
            photo: the photo.
            center: [2] of the head's keypoints, pixels.
            width: of the head's keypoints, pixels.
        """
        found = self._detector(photo, Crop((float(center[0]), float(center[1])), _SEARCH * width))
        near = [one for one in found if np.hypot(*(one.center - center)) < width]
        return max(near, key=lambda one: one.score, default=None)


class FaceNetwork:
    """Detector of the points of the face of a body.

    Args:
        threads: processor threads.
    """

    def __init__(self, threads: int = 1) -> None:
        self._finder = FaceFinder(threads)
        self._landmarks = Network("face_landmark", threads)

    def __call__(self, photo: Photo, body: BodyPoints) -> Face | None:
        """The face; None where none is seen."""
        if body.confidence[0] < _MIN_NOSE:
            return None
        head = body.points[_HEAD]
        center = (head.min(0) + head.max(0)) / 2
        shoulders = np.hypot(*(body.points[_SHOULDERS[0]] - body.points[_SHOULDERS[1]]))
        width = max(float(np.ptp(head, axis=0).max()), 0.25 * float(shoulders))
        if width < 2.0:
            return None
        best = self._finder(photo, center, width)
        if best is None:
            return None
        return self._place(photo, _crop(best.center, best.size, best.points[1] - best.points[0]))

    def _place(self, photo: Photo, crop: Crop) -> Face | None:
        n = self._landmarks.side
        for _ in range(2):
            output = self._landmarks(crop.cut(photo, n).astype(np.float32) / 255.0)
            score = float(sigmoid(output["conv2d_31"].ravel())[0])
            if score < _MIN_SCORE:
                return None
            mesh = crop.to_photo(output["conv2d_21"].reshape(-1, 3)[:, :2], n)
            low, high = mesh.min(0), mesh.max(0)
            crop = _crop((low + high) / 2, high - low, mesh[_EYE_CORNERS[1]] - mesh[_EYE_CORNERS[0]])
        confidence = np.full(len(_MESH_POINTS), score)
        confidence[_CONTOUR] *= _CONTOUR_CONFIDENCE
        return Face(np.stack([mesh[list(some)].mean(0) for some in _MESH_POINTS]), confidence)


def _crop(center: FloatArray, size: FloatArray, eyes: FloatArray) -> Crop:
    """A crop in which the line from the right to the left eye is level."""
    x, y = center
    return Crop((float(x), float(y)), _FACE_CROP * float(max(size)), math.atan2(eyes[1], eyes[0]))
