"""Changes of training pictures, so that the classifier does not learn what is peculiar to their making."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from smplifyx.gender import Region
from smplifyx.training.gender_config import GenderAugmentation
from smplifyx.training.gender_people import CutOut

Picture = NDArray[np.uint8]
_LEAST_SIDE = 8


class Augmenter:
    """Draws changed pictures of people.

    Args:
        options: how likely each change is.
        rng: where chance comes from.
    """

    def __init__(self, options: GenderAugmentation, rng: np.random.Generator) -> None:
        self._options, self._rng = options, rng

    def draw(self, person: CutOut) -> Picture:
        """A changed picture `[side, side, 3]`."""
        options = self._options
        picture = person.crop(self._region(person))
        if self._rng.random() < 0.5:
            picture = picture[:, ::-1]
        picture = self._rotated(np.ascontiguousarray(picture))
        for chance, change in (
            (options.hidden, self._partly_hidden),
            (options.color, self._recolored),
            (options.grey, _grey),
            (options.blur, self._blurred),
            (options.noise, self._noisy),
            (options.compression, self._compressed),
        ):
            if self._rng.random() < chance:
                picture = change(picture)
        return np.ascontiguousarray(picture)

    def _region(self, person: CutOut) -> Region:
        """Another margin on each side; perhaps a part of the person left out."""
        region = np.array([[person.region.left, person.region.top], [person.region.right, person.region.bottom]])
        if self._rng.random() < self._options.box:
            shift = self._rng.uniform(-0.75, 0.75, (2, 2)) * person.margin
            region = region + shift
        if self._rng.random() < self._options.cut_off:
            width, height = region[1] - region[0]
            # Feet are cut off more often than heads, as tables and frames do.
            if self._rng.random() < 0.7:
                region[1, 1] -= self._rng.uniform(0.1, 0.5) * height
            elif self._rng.random() < 0.7:
                region[self._rng.integers(2), 0] += self._rng.uniform(0.1, 0.3) * width * self._rng.choice([-1, 1])
            else:
                region[0, 1] += self._rng.uniform(0.05, 0.15) * height
        height, width = person.pixels.shape[:2]
        region = np.clip(region, 0, (width, height))
        if (region[1] - region[0]).min() < _LEAST_SIDE:
            return person.region
        return Region(*region.ravel().tolist())

    def _rotated(self, picture: Picture) -> Picture:
        angle = self._rng.uniform(-1, 1) * self._options.rotation_deg
        side = len(picture)
        turn = cv2.getRotationMatrix2D((side / 2, side / 2), angle, 1.0)
        return _uint8(cv2.warpAffine(picture, turn, (side, side)))

    def _recolored(self, picture: Picture) -> Picture:
        grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)[..., None].astype(np.float32)
        saturation = self._rng.uniform(0.4, 1.4)
        colors = grey + saturation * (picture - grey)
        gains = np.exp(self._rng.normal(0.0, 0.08, 3)) * self._rng.uniform(0.7, 1.3)
        mean = colors.mean()
        colors = mean + self._rng.uniform(0.75, 1.3) * (colors * gains.astype(np.float32) - mean)
        gamma = np.exp(self._rng.normal(0.0, 0.15))
        return _uint8(255.0 * (np.clip(colors, 0, 255) / 255.0) ** np.float32(gamma))

    def _blurred(self, picture: Picture) -> Picture:
        if self._rng.random() < 0.5:
            return _uint8(cv2.GaussianBlur(picture, (0, 0), float(self._rng.uniform(0.4, 2.0))))
        small = max(_LEAST_SIDE, round(self._rng.uniform(0.25, 0.7) * len(picture)))
        reduced = cv2.resize(picture, (small, small), interpolation=cv2.INTER_AREA)
        return _uint8(cv2.resize(reduced, picture.shape[:2], interpolation=cv2.INTER_LINEAR))

    def _noisy(self, picture: Picture) -> Picture:
        sd = np.float32(self._rng.uniform(2.0, 12.0))
        return _uint8(picture + sd * self._rng.standard_normal(picture.shape, np.float32))

    def _compressed(self, picture: Picture) -> Picture:
        quality = int(self._rng.integers(15, 70))
        _, code = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, quality))
        return np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)

    def _partly_hidden(self, picture: Picture) -> Picture:
        picture = picture.copy()
        side = len(picture)
        height, width = (self._rng.uniform(0.1, 0.4, 2) * side).astype(int)
        top, left = self._rng.integers(0, side - height), self._rng.integers(0, side - width)
        color = self._rng.integers(0, 256, 3)
        patch = color + self._rng.normal(0, self._rng.uniform(0, 40), (height, width, 3))
        picture[top : top + height, left : left + width] = _uint8(patch)
        return picture


def _grey(picture: Picture) -> Picture:
    return _uint8(cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR))


def _uint8(values: np.ndarray) -> Picture:
    return values if values.dtype == np.uint8 else np.clip(np.round(values), 0, 255).astype(np.uint8)
