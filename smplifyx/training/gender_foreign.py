"""Foreign pictures: photos from which a classifier that knows other pictures learns that they are foreign to it.

This is outlier exposure (Hendrycks et al. 2019, "Deep anomaly detection with outlier exposure"). Crops of any photos
are foreign; the training's people are familiar, and so are random rectangles of the training's own photos, without
which "nobody in the picture" would be learned in place of "another kind of picture".
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
from smplifyx.training.gender_config import GenderForeign
from smplifyx.training.gender_people import TRAINING_RULES, CutOut, chance, cut_out

#: Crops are at least this share of the photo's height: people in photos seldom are smaller.
_LEAST_HEIGHT = 1 / 6
#: Widths of people's crops for their heights, from arms hanging to arms spread.
_ASPECTS = (0.3, 1.2)


@dataclass(frozen=True)
class ForeignPictures:
    """What a training is shown besides people.

    Attributes:
        training: crops of foreign photos.
        held_out: crops of other foreign photos, which are not learned.
        familiar: rectangles of the photos of the people who are learned.
    """

    training: list[CutOut]
    held_out: list[CutOut]
    familiar: list[CutOut]


def load_foreign(
    options: GenderForeign,
    people: Sequence[Path],
    side: int,
    seed: int,
    progress: Callable[[], object] = lambda: None,
) -> ForeignPictures:
    """Cut random, person-shaped parts out of foreign photos and of those of the training.

    Args:
        options: the folder, and how many crops.
        people: photos of the people who are learned.
        side: of the classifier's picture, pixels.
        seed: of the crops, and of which photos are held out.
        progress: called after each photo.

    Raises:
        InputError: a photo cannot be read, or the photos are too few or too small to learn from and to hold out.
    """
    folder = Path(options.folder or "")
    photos = foreign_photos(folder)
    parts: tuple[list[Path], list[Path]] = ([], [])
    for photo in photos:
        parts[chance(_series(photo, folder), seed) < options.validation_share].append(photo)
    learned, held_out = parts
    if not learned or not held_out:
        problem = f"{len(photos)} photos are too few; expected some to learn and others, of other series, to hold out"
        raise InputError(folder, problem)
    rng = np.random.default_rng(seed)
    own = [Path(path) for path in rng.permutation(sorted({str(path) for path in people}))[: options.crops]]

    def cut_all(paths: Sequence[Path], per_photo: int) -> list[CutOut]:
        pictures = []
        for path in paths:
            pictures += random_cut_outs(path, per_photo, side, rng)
            progress()
        if not pictures:
            raise InputError(paths[0].parent, f"photos are too small; expected {_least_side(side)} pixels or more")
        return pictures

    per_photo = math.ceil(options.crops / len(learned))
    return ForeignPictures(
        cut_all(learned, per_photo), cut_all(held_out, per_photo), cut_all(own, math.ceil(options.crops / len(own)))
    )


def foreign_photos(folder: Path) -> list[Path]:
    """All photos in a folder and its subfolders; raises InputError if there are none."""
    if not folder.is_dir():
        raise InputError(folder, "no such folder; expected photos")
    # Names with a leading dot are other systems' side files, not photos.
    found = [path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_ENDINGS and path.name[0] != "."]
    if not found:
        raise InputError(folder, "has no photos")
    return sorted(found)


def _series(photo: Path, folder: Path) -> str:
    """What goes whole to learning or to holding out: the subfolder, or the photo."""
    return photo.relative_to(folder).parts[0]


def random_cut_outs(path: Path, n: int, side: int, rng: np.random.Generator) -> list[CutOut]:
    """Parts of a photo as wide and high as people's crops; none if it is smaller than the smallest of these.

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
    # Half come from a smaller copy of the photo, or sharpness alone would tell what comes from large photos.
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


def foreign_loss(logits: Tensor, n_foreign: int) -> Tensor:
    """Cross-entropy of being foreign; foreign pictures count half, people and rectangles a quarter each.

    Args:
        logits: `[P + 2 F]` of people, rectangles and foreign pictures, in this order.
        n_foreign: F.
    """
    people, rectangles, foreign = logits.tensor_split((-2 * n_foreign, -n_foreign))
    familiar = functional.softplus(people).mean() + functional.softplus(rectangles).mean()
    return 0.25 * familiar + 0.5 * functional.softplus(-foreign).mean()
