"""Single-shot detectors of bodies, palms and faces: boxes with a few points each (Bazarevsky et al. 2019)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from smplifyx.detect.crops import Crop, FloatArray, Photo, sigmoid
from smplifyx.detect.runtime import Network

_OVERLAP = 0.3


class Found(NamedTuple):
    """One detection, in the photo's pixels.

    Attributes:
        score: 0..1.
        center: [2] of the box.
        size: [2] of the box, in the crop's axes.
        points: [N, 2].
    """

    score: float
    center: FloatArray
    size: FloatArray
    points: FloatArray


class AnchorDetector:
    """Boxes relative to a fixed grid of anchors, merged where they overlap, weighted by their scores.

    Args:
        name: of the network.
        strides: of its feature maps, pixels; two anchors a cell and map.
        n_points: points with each box.
        pixel_range: values that black and white have in the network's input.
        outputs: names of the boxes and of the scores.
        min_score: least score of a detection.
        threads: processor threads.
    """

    def __init__(
        self,
        name: str,
        strides: Sequence[int],
        n_points: int,
        pixel_range: tuple[float, float],
        outputs: tuple[str, str] = ("Identity", "Identity_1"),
        min_score: float = 0.5,
        threads: int = 1,
    ) -> None:
        self._network = Network(name, threads)
        self._anchors = _anchors(self._network.side, strides)
        self._n_points, self._range, self._outputs, self._min_score = n_points, pixel_range, outputs, min_score

    def __call__(self, photo: Photo, crop: Crop) -> list[Found]:
        """All detections in a crop, best first."""
        n, (low, high) = self._network.side, self._range
        image = crop.cut(photo, n).astype(np.float32) * ((high - low) / 255.0) + low
        output = self._network(image)
        scores = sigmoid(output[self._outputs[1]][:, 0])
        good = scores > self._min_score
        raw, anchors, scores = output[self._outputs[0]][good] / n, self._anchors[good], scores[good]
        centers, sizes = raw[:, :2] + anchors, raw[:, 2:4]
        points = raw[:, 4 : 4 + 2 * self._n_points].reshape(-1, self._n_points, 2) + anchors[:, None]
        found = []
        for group in _groups(scores, centers, sizes):
            share = scores[group] / scores[group].sum()
            found.append(
                Found(
                    float(scores[group].max()),
                    crop.to_photo(share @ centers[group] * n, n),
                    share @ sizes[group] * crop.side,
                    crop.to_photo(np.tensordot(share, points[group], 1) * n, n),
                )
            )
        return found


def _anchors(n: int, strides: Sequence[int]) -> FloatArray:
    """Centres [A, 2] of the anchors, as shares of the image's side."""
    centers = []
    for stride in dict.fromkeys(strides):
        cells = math.ceil(n / stride)
        y, x = np.mgrid[:cells, :cells]
        grid = (np.stack([x, y], -1).reshape(-1, 2) + 0.5) / cells
        centers.append(grid.repeat(2 * list(strides).count(stride), 0))
    return np.concatenate(centers)


def _groups(scores: FloatArray, centers: FloatArray, sizes: FloatArray) -> list[FloatArray]:
    """Index arrays of boxes that overlap with the best that is left, best first."""
    low, high, areas = centers - sizes / 2, centers + sizes / 2, sizes.prod(1)
    left, groups = np.argsort(-scores), []
    while len(left):
        first = left[0]
        meet = np.clip(np.minimum(high[first], high[left]) - np.maximum(low[first], low[left]), 0, None).prod(1)
        same = meet > _OVERLAP * (areas[first] + areas[left] - meet)
        same[0] = True
        groups.append(left[same])
        left = left[~same]
    return groups
