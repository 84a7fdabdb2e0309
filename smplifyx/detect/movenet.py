"""MoveNet MultiPose: up to six people of a picture with 17 COCO points each."""

from __future__ import annotations

from typing import NamedTuple

from smplifyx.detect.crops import Crop, FloatArray, Photo
from smplifyx.detect.runtime import Network

_MAX_PEOPLE, _N_POINTS = 6, 17


class Seen(NamedTuple):
    """A person as MoveNet sees it.

    Attributes:
        score: 0..1.
        points: [17, 2] in COCO's order, pixels of the photo.
        confidence: [17].
    """

    score: float
    points: FloatArray
    confidence: FloatArray


class MoveNet:
    """Finder of people.

    Args:
        min_score: least score of a person.
        threads: processor threads.
    """

    def __init__(self, min_score: float = 0.25, threads: int = 1) -> None:
        self._network = Network("movenet_multipose_512_fp16", threads)
        self._min_score = min_score

    def __call__(self, photo: Photo, crop: Crop) -> list[Seen]:
        """People in an upright crop, best first."""
        n = self._network.side
        (output,) = self._network(crop.cut(photo, n)).values()
        people = []
        for row in output.reshape(_MAX_PEOPLE, -1):
            values = row[: 3 * _N_POINTS].reshape(_N_POINTS, 3)
            if row[-1] >= self._min_score:
                people.append(Seen(float(row[-1]), crop.to_photo(values[:, 1::-1] * n, n), values[:, 2]))
        return sorted(people, key=lambda person: -person.score)
