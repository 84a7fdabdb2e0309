"""People with gender labels: manifests, splits by source, crops of their photos."""

from __future__ import annotations

import csv
import functools
import hashlib
import io
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smplifyx.errors import InputError
from smplifyx.files import write_text
from smplifyx.gender import CLASSES, CropRules, Region, cut, person_region, read_crops
from smplifyx.gender.decision import person_number, read_table
from smplifyx.keypoints import KeypointFile, Observation, image_size, read_image, read_keypoint_file

_COLUMNS = ("image", "keypoint_file", "person", "label")
#: Extra margin of the stored crops, from which augmentation takes narrower ones.
SPARE_MARGIN = 0.06
#: Training includes people too small or too occluded for a verdict: they are difficult, not wrong.
TRAINING_RULES = CropRules(min_side=64, min_mean_confidence=0.3, min_points=(("head", 1),))
#: Size of the stored crops relative to the classifier's pictures.
_SPARE_PIXELS = 1.25


@dataclass(frozen=True)
class LabelledPerson:
    """A person with a gender label.

    Attributes:
        observation: photo and keypoints.
        label: 0 male, 1 female.
        source: unit of the split into training, validation and test: the manifest's column, or the photo.
    """

    observation: Observation
    label: int
    source: str


@dataclass(frozen=True)
class Manifest:
    """People with gender labels, and an error for each with unusable keypoints."""

    people: list[LabelledPerson]
    failures: list[InputError]


def read_manifest(path: Path) -> Manifest:
    """Read a CSV table with columns ``image``, ``keypoint_file``, ``person``, ``label`` and optionally ``source``.

    Paths are relative to the table's folder; ``person`` counts from 0 in the keypoint file; ``label`` is male or
    female; people of the same ``source``, such as frames of one video, are not split (default: the same photo).

    Raises:
        InputError: the table, a photo or a whole keypoint file is unusable, or the person is not in it; or a photo
            has two sources, so that training and test would share it.
    """
    size_of = functools.cache(image_size)
    file_of: Callable[[Path], KeypointFile] = functools.lru_cache(16)(read_keypoint_file)
    first_of: dict[Path, tuple[str, str]] = {}
    people, failures = [], []
    for where, row in read_table(path, _COLUMNS):
        image, keypoints = path.parent / row["image"], path.parent / row["keypoint_file"]
        number = person_number(path, where, row["person"])
        source = row.get("source") or row["image"]
        _refuse_doubles(path, first_of, image, source, where)
        if row["label"] not in CLASSES:
            raise InputError(path, f"is {row['label']!r}; expected one of {', '.join(CLASSES)}", f"{where}, label")
        file = file_of(keypoints)
        refused = [error for error in file.failures if (error.field or "").startswith(f"people[{number}]")]
        found = [one for one in file.people if one.index == number]
        if not found and not refused:
            raise InputError(path, f"{keypoints.name} has no person {number}", f"{where}, person")
        if refused:
            failures.append(refused[0])
            continue
        one = Observation(found[0].keypoints, size_of(image), None, image, keypoints, number)
        people.append(LabelledPerson(one, CLASSES.index(row["label"]), source))
    if not people:
        raise InputError(path, "has no people")
    return Manifest(people, failures)


def _refuse_doubles(path: Path, first_of: dict[Path, tuple[str, str]], image: Path, source: str, where: str) -> None:
    """Raise InputError if an earlier line has the photo with another source; record it in ``first_of``."""
    earlier, other = first_of.setdefault(image.resolve(), (where, source))
    if other != source:
        problem = f"{image} is of source {source!r} here and of {other!r} in {earlier}; expected one source per photo"
        raise InputError(path, problem, where)


def write_manifest(path: Path, people: Sequence[LabelledPerson]) -> None:
    """Write a manifest with full paths, atomically."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow((*_COLUMNS, "source"))
    for person in people:
        one = person.observation
        paths = (one.image_file.resolve(), one.keypoint_path and one.keypoint_path.resolve())
        writer.writerow((*paths, one.person_index, CLASSES[person.label], person.source))
    write_text(path, stream.getvalue())


@dataclass(frozen=True)
class Split:
    """People for training, validation and test; no source is in two of them."""

    training: list[LabelledPerson]
    validation: list[LabelledPerson]
    test: list[LabelledPerson]


def split_by_source(people: Sequence[LabelledPerson], validation_share: float, test_share: float, seed: int) -> Split:
    """Split whole sources at random.

    The seed and the source's name decide, so that people keep their part when a table grows, and a classifier trained
    further never sees its test.
    """
    parts = Split([], [], [])
    for person in people:
        place = hash_fraction(person.source, seed)
        if place < test_share:
            parts.test.append(person)
        elif place < test_share + validation_share:
            parts.validation.append(person)
        else:
            parts.training.append(person)
    return parts


def hash_fraction(name: str, seed: int) -> float:
    """Return a pseudo-random number from 0 to 1 that depends on the name and the seed only."""
    digest = hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


@dataclass(frozen=True)
class CutOut:
    """A crop of a person with a wider margin than the classifier's.

    Attributes:
        plain: the classifier's picture of the person, uint8 [side, side, 3], blue first.
        pixels: the person with a wider margin, uint8 [H, W, 3].
        region: the classifier's region, in these pixels.
        margin: the classifier's margin, horizontally and vertically, in these pixels.
    """

    plain: NDArray[np.uint8]
    pixels: NDArray[np.uint8]
    region: Region
    margin: tuple[float, float]

    def crop(self, region: Region) -> NDArray[np.uint8]:
        """Return a picture like ``plain`` of another region."""
        height, width = self.pixels.shape[:2]
        return cut(self.pixels, region, (width, height), len(self.plain))


@dataclass(frozen=True)
class CutOuts:
    """Crops of people with ``labels`` [N], and the numbers of ``refused`` people by reason."""

    pictures: list[CutOut]
    labels: NDArray[np.int64]
    refused: Counter[str]

    @property
    def plain(self) -> list[NDArray[np.uint8]]:
        """The classifier's pictures."""
        return [one.plain for one in self.pictures]


def load_cut_outs(
    people: Sequence[LabelledPerson], side: int, rules: CropRules, progress: Callable[[int], object] = lambda n: None
) -> CutOuts:
    """Crop people of their photos; consecutive people of one photo share its decoding.

    Args:
        people: the people.
        side: of the classifier's picture, pixels.
        rules: conditions for classifying a person.
        progress: called with 1 after each person.

    Raises:
        InputError: a photo cannot be read.
    """
    pictures, labels, refused = [], [], Counter[str]()
    photos = [list(group) for _, group in groupby(people, lambda person: person.observation.image_path)]
    with ThreadPoolExecutor(2) as pool:
        for photo, found in zip(photos, pool.map(lambda photo: _of_photo(photo, side, rules), photos), strict=True):
            for person, picture in zip(photo, found, strict=True):
                if isinstance(picture, str):
                    refused[picture.split(":")[0]] += 1
                else:
                    pictures.append(picture)
                    labels.append(person.label)
                progress(1)
    return CutOuts(pictures, np.array(labels, np.int64), refused)


def _of_photo(people: Sequence[LabelledPerson], side: int, rules: CropRules) -> list[CutOut | str]:
    """Crop the people of one photo; the reason stands for a person who is refused."""
    first = people[0].observation
    found = [person_region(person.observation.keypoints, first.image_size, rules) for person in people]
    regions = [one for one in found if isinstance(one, Region)]
    if not regions:
        return [one for one in found if isinstance(one, str)]
    # The classifier's own crops, identical to those of fits: the feature distance is sensitive to small differences.
    plain = iter(read_crops(first.image_file, first.image_size, regions, side))
    image = read_image(first.image_file)
    return [one if isinstance(one, str) else cut_out(next(plain), image, one) for one in found]


def cut_out(plain: NDArray[np.uint8], image: NDArray[np.uint8], region: Region) -> CutOut:
    """Crop a region of a photo with a wider margin.

    Args:
        plain: the classifier's picture of the region.
        image: the whole photo, uint8 [H, W, 3].
        region: in its pixels.
    """
    height, width = image.shape[:2]
    spare = SPARE_MARGIN * np.array([width, height])
    low = np.maximum(np.array([region.left, region.top]) - spare, 0).astype(int)
    high = np.minimum(np.ceil(np.array([region.right, region.bottom]) + spare), (width, height)).astype(int)
    scale = min(1.0, _SPARE_PIXELS * len(plain) / max(region.size))
    part = image[low[1] : high[1], low[0] : high[0]]
    shape = np.maximum(np.round(scale * (high - low)), 1).astype(int)
    square = cut(part, Region(0, 0, *(high - low).tolist()), tuple((high - low).tolist()), int(shape.max()))
    left, top = (shape.max() - shape) // 2
    pixels = square[top : top + shape[1], left : left + shape[0]]
    factor = shape / (high - low)
    corners = (np.array([[region.left, region.top], [region.right, region.bottom]]) - low) * factor
    margin = CropRules().margin * np.array([width, height]) * factor
    return CutOut(plain, np.ascontiguousarray(pixels), Region(*corners.ravel().tolist()), tuple(margin.tolist()))
