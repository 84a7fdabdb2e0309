"""BlazePose: the 33 points of one body in a crop, in the picture and in metres (Bazarevsky et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smplifyx.detect.crops import Crop, FloatArray, Photo, sigmoid, upright_angle
from smplifyx.detect.runtime import Network

N_POINTS = 33
#: Points in the COCO order of 17.
COCO_POINTS = [0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]
_CROP_SIZE = 1.25
#: Two further points: the middle of the hips, and one that tells the size and the turn of the body.
_MIDDLE, _TOP = 33, 34
_HEATMAP_RADIUS = 3
_HEATMAP_CONFIDENCE = 0.5


@dataclass(frozen=True)
class BodyPoints:
    """One body.

    Attributes:
        score: how sure the network is that the crop shows a person, 0..1.
        points: [33, 2] pixels of the photo.
        confidence: [33] visibility times presence.
        world: [33, 3] metres from the middle of the hips, in the camera's axes (x right, y down, z forward).
        crop: where to look for the same body more closely.
    """

    score: float
    points: FloatArray
    confidence: FloatArray
    world: FloatArray
    crop: Crop


class BodyNetwork:
    """Points of the body that a crop shows.

    Args:
        variant: ``heavy`` or ``full``, more accurate or faster.
        threads: processor threads.
    """

    def __init__(self, variant: str, threads: int = 1) -> None:
        self._network = Network(f"pose_landmark_{variant}", threads)

    def __call__(self, photo: Photo, crop: Crop) -> BodyPoints:
        """The body in the middle of a crop."""
        n = self._network.side
        output = self._network(crop.cut(photo, n).astype(np.float32) / 255.0)
        rows = output["Identity"].reshape(-1, 5)
        located = _refined(rows[:, :2], sigmoid(output["Identity_3"]), n)
        points = crop.to_photo(located, n)
        return BodyPoints(
            score=float(output["Identity_1"][0]),
            points=points[:N_POINTS],
            confidence=(sigmoid(rows[:, 3]) * sigmoid(rows[:, 4]))[:N_POINTS],
            world=crop.turn(output["Identity_4"].reshape(-1, 3)[:N_POINTS]),
            crop=body_crop(points[_MIDDLE], points[_TOP]),
        )


def body_crop(middle: FloatArray, top: FloatArray) -> Crop:
    """The crop of a body by its middle and a point above its head."""
    up = top - middle
    return Crop((float(middle[0]), float(middle[1])), 2.0 * _CROP_SIZE * float(np.hypot(*up)), upright_angle(up))


def _refined(points: FloatArray, heatmaps: FloatArray, n: int) -> FloatArray:
    """Points [P, 2] moved to the centre of their heatmap's [M, M, P] peak, where it is clear."""
    size = heatmaps.shape[0]
    located = points.copy()
    for number, (x, y) in enumerate(np.floor(points * (size / n)).astype(int)):
        if not (0 <= x < size and 0 <= y < size):
            continue
        top, left = max(0, y - _HEATMAP_RADIUS), max(0, x - _HEATMAP_RADIUS)
        patch = heatmaps[top : y + _HEATMAP_RADIUS + 1, left : x + _HEATMAP_RADIUS + 1, number]
        if patch.max() < _HEATMAP_CONFIDENCE:
            continue
        rows, columns = np.mgrid[top : top + patch.shape[0], left : left + patch.shape[1]]
        located[number] = np.array([(columns * patch).sum(), (rows * patch).sum()]) / patch.sum() * (n / size)
    return located
