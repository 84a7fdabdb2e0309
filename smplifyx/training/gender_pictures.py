"""Training pictures of the gender classifier: augmentation, and out-of-distribution pictures.

Out-of-distribution pictures teach the classifier to recognise pictures that it must not judge (outlier exposure,
Hendrycks et al. 2019, "Deep anomaly detection with outlier exposure"). Crops of any photos are one class. The people
of the training and random rectangles of its own photos are the other; without the rectangles, "no person in the
picture" would be learned instead of "another kind of picture".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from smplifyx.errors import InputError
from smplifyx.gender import CropRules, Region, cut
from smplifyx.keypoints import image_size, read_image
from smplifyx.keypoints.folder import IMAGE_ENDINGS
from smplifyx.training.gender_people import TRAINING_RULES, CutOut, cut_out, hash_fraction
from smplifyx.training.settings import GenderAugmentation, OutOfDistribution

#: Least height of crops, as a share of the photo's height.
_LEAST_HEIGHT = 1 / 6
#: Range of the width of people's crops relative to the height.
_ASPECTS = (0.3, 1.2)
Picture = NDArray[np.uint8]
#: Smallest side of a region, pixels.
_LEAST_SIDE = 8


class Augmenter:
    """Augments pictures of people.

    Args:
        options: probabilities of the changes.
        rng: source of all randomness.
    """

    def __init__(self, options: GenderAugmentation, rng: np.random.Generator) -> None:
        self._options, self._rng = options, rng

    def draw(self, person: CutOut) -> Picture:
        """Return an augmented picture [side, side, 3]."""
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
        """Draw the margin of each side, and whether a part of the person is cut off."""
        region = np.array([[person.region.left, person.region.top], [person.region.right, person.region.bottom]])
        if self._rng.random() < self._options.box:
            shift = self._rng.uniform(-0.75, 0.75, (2, 2)) * person.margin
            region = region + shift
        if self._rng.random() < self._options.cut_off:
            width, height = region[1] - region[0]
            # Feet are cut off more often than heads, as in photos.
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


@dataclass(frozen=True)
class OutOfDistributionPictures:
    """Pictures without people of the training.

    Attributes:
        training: crops of out-of-distribution photos.
        held_out: crops of other out-of-distribution photos, for the limit.
        in_distribution: rectangles of the training's own photos.
    """

    training: list[CutOut]
    held_out: list[CutOut]
    in_distribution: list[CutOut]


def load_out_of_distribution(
    options: OutOfDistribution,
    people: Sequence[Path],
    side: int,
    seed: int,
    progress: Callable[[int], object] = lambda n: None,
) -> OutOfDistributionPictures:
    """Crop random rectangles, shaped like people, of out-of-distribution photos and of the training's own.

    Args:
        options: the folder and the number of crops.
        people: photos of the training's people.
        side: of the classifier's picture, pixels.
        seed: of the crops and of the split.
        progress: called with 1 after each photo.

    Raises:
        InputError: a photo cannot be read, or the photos are too few or too small.
    """
    folder = options.folder or Path()
    photos = find_photos(folder)
    parts: tuple[list[Path], list[Path]] = ([], [])
    for photo in photos:
        parts[hash_fraction(_series(photo, folder), seed) < options.validation_share].append(photo)
    training, held_out = parts
    if not training or not held_out:
        problem = (
            f"{len(photos)} photos are too few; expected some for training and some of other subfolders to hold out"
        )
        raise InputError(folder, problem)
    rng = np.random.default_rng(seed)
    own = [Path(path) for path in rng.permutation(sorted({str(path) for path in people}))[: options.crops]]

    def cut_all(paths: Sequence[Path], per_photo: int) -> list[CutOut]:
        pictures = []
        for path in paths:
            pictures += random_cut_outs(path, per_photo, side, rng)
            progress(1)
        if not pictures:
            raise InputError(paths[0].parent, f"photos are too small; expected {_least_side(side)} pixels or more")
        return pictures

    per_photo = math.ceil(options.crops / len(training))
    return OutOfDistributionPictures(
        cut_all(training, per_photo), cut_all(held_out, per_photo), cut_all(own, math.ceil(options.crops / len(own)))
    )


def find_photos(folder: Path) -> list[Path]:
    """List the photos of a folder and its subfolders; raise InputError if there are none."""
    if not folder.is_dir():
        raise InputError(folder, "no such folder; expected photos")
    # Names with a leading dot are metadata files of other systems, not photos.
    found = [path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_ENDINGS and path.name[0] != "."]
    if not found:
        raise InputError(folder, "has no photos")
    return sorted(found)


def _series(photo: Path, folder: Path) -> str:
    """Unit of the split: the subfolder, or the photo."""
    return photo.relative_to(folder).parts[0]


def random_cut_outs(path: Path, n: int, side: int, rng: np.random.Generator) -> list[CutOut]:
    """Crop random rectangles with sizes of people's crops; none of a photo smaller than the smallest of these.

    Raises:
        InputError: the photo cannot be read.
    """
    size = image_size(path)
    if min(size) < _least_side(side):
        return []
    image = read_image(path)
    return [_random_cut_out(image, side, rng) for _ in range(n)]


def _random_cut_out(image: NDArray[np.uint8], side: int, rng: np.random.Generator) -> CutOut:
    region = _random_region((image.shape[1], image.shape[0]), side, rng)
    # Half are crops of a smaller copy of the photo, so that sharpness does not give away large photos.
    least = _least_side(side) / min(region.size)
    if least < 1.0 and rng.random() < 0.5:
        factor = float(np.exp(rng.uniform(np.log(least), 0.0)))
        image = np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
        region = Region(*(factor * edge for edge in astuple(region)))
    size = (image.shape[1], image.shape[0])
    return cut_out(cut(image, region, size, side), image, region)


def _least_side(side: int) -> int:
    return CropRules.for_side(side).min_side


def _random_region(size: tuple[int, int], side: int, rng: np.random.Generator) -> Region:
    width, height = size
    least = max(_least_side(side), _LEAST_HEIGHT * height)
    high = np.exp(rng.uniform(np.log(least), np.log(height)))
    wide = np.clip(high * np.exp(rng.uniform(*np.log(_ASPECTS))), TRAINING_RULES.min_side, width)
    left, top = rng.uniform(0, width - wide), rng.uniform(0, height - high)
    return Region(float(left), float(top), float(left + wide), float(top + high))


def out_of_distribution_loss(logits: Tensor, n_pictures: int) -> Tensor:
    """Cross-entropy of being out of distribution; these pictures weigh half, people and rectangles a quarter each.

    Args:
        logits: [P + 2 F] of people, rectangles and out-of-distribution pictures, in this order.
        n_pictures: F.
    """
    people, rectangles, outliers = logits.tensor_split((-2 * n_pictures, -n_pictures))
    inliers = functional.softplus(people).mean() + functional.softplus(rectangles).mean()
    return 0.25 * inliers + 0.5 * functional.softplus(-outliers).mean()
