"""From two folders to observations: pairs the files, reads them, chooses the people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from smplifyx.camera import Camera
from smplifyx.errors import InputError
from smplifyx.keypoints import images
from smplifyx.keypoints.folder import Pair, Pairing, natural_key, pair_folder
from smplifyx.keypoints.observation import KEYPOINT_SUFFIX, Observation
from smplifyx.keypoints.openpose import PersonKeypoints, read_openpose
from smplifyx.keypoints.people import PersonSelection, piece_lacks, select_people
from smplifyx.skeleton import LEFT_HAND_KEYPOINTS, RIGHT_HAND_KEYPOINTS

#: A point further outside the image than this fraction of its longer side counts as unseen.
OUTSIDE_MARGIN = 0.1
#: Points of less confidence are noise and cause no warning.
WORTH_A_WARNING = 0.1


@dataclass(frozen=True)
class Skipped:
    """An input that is skipped on purpose: a file without people, a person too small, a fragment."""

    path: Path
    person_index: int | None
    reason: str


@dataclass(frozen=True)
class Loaded:
    """Observations and failures of a number of files.

    Attributes:
        observations: one per person, in the order of the images, largest person first.
        failures: an error for each image, keypoint file or person that is unusable.
        skipped: what was skipped on purpose.
    """

    observations: tuple[Observation, ...] = ()
    failures: tuple[InputError, ...] = ()
    skipped: tuple[Skipped, ...] = ()


def read_keypoints(
    path: str | Path,
    image: str | Path | None = None,
    *,
    image_size: tuple[int, int] | None = None,
    selection: PersonSelection | None = None,
) -> list[Observation]:
    """Read the people of a keypoint file, or of a folder of keypoint files.

    Args:
        path: an OpenPose JSON file, or a folder of them.
        image: the photo, or the folder of photos; None: photos of the same name beside the keypoint files.
        image_size: (width, height) of the photos, pixels; without ``image`` no photo is read then.
        selection: which people to keep; None for all with enough keypoints.

    Raises:
        InputError: a file cannot be used, or the photo is not found.
    """
    path, chosen = Path(path), selection or PersonSelection()
    if image is None and image_size is not None:
        files = sorted(path.glob("*.json"), key=natural_key) if path.is_dir() else [path]
        loaded = merge_loaded(_load_file(file, None, image_size, chosen) for file in files)
    else:
        beside = path if path.is_dir() else path.parent
        pairing = pair_folder(beside if image is None else image, path)
        if not pairing.pairs:
            problem = f"expected a photo of the same name in {image or beside}, or image_size, found none"
            raise InputError(path, problem)
        loaded = load_pairs(pairing.pairs, chosen)
    if loaded.failures:
        raise loaded.failures[0]
    return list(loaded.observations)


def load_pairs(pairs: Sequence[Pair], selection: PersonSelection | None = None) -> Loaded:
    """Read the people of some pairs, for example one shard of a folder; order and errors as in the input."""
    chosen = selection or PersonSelection()
    with ThreadPoolExecutor() as pool:
        return merge_loaded(pool.map(lambda pair: load_pair(pair, chosen), pairs))


def load_pair(pair: Pair, selection: PersonSelection) -> Loaded:
    """Read the people of one photo; an unusable file comes back as a failure."""
    try:
        size = images.image_size(pair.image)
    except InputError as error:
        return Loaded(failures=(error,))
    return _load_file(pair.keypoints, pair.image, size, selection, pair.stem)


def _load_file(
    path: Path, image: Path | None, size: tuple[int, int], selection: PersonSelection, stem: str = ""
) -> Loaded:
    """Read the people of a keypoint file, for an image of a known size."""
    try:
        focal_length = None if image is None else images.exif_focal_length_px(image)
        file = read_openpose(path)
        people = [_within_image(person, size) for person in file.people]
        _refuse_other_image(path, "the image" if image is None else image.name, file.people, people, size)
    except InputError as error:
        return Loaded(failures=(error,))
    chosen, left_out = select_people(people, selection)
    skipped = [Skipped(path, index, reason) for index, reason in left_out]
    if not file.people and not file.failures:
        skipped.append(Skipped(path, None, "no people in the file"))
    observations = tuple(
        Observation(
            keypoints=person.keypoints,
            image_size=size,
            camera=None if focal_length is None else Camera(focal_length, source="exif"),
            image_path=image,
            keypoint_path=path,
            person_index=person.index,
            gender=person.gender,
            stem=stem,
            warnings=person.warnings,
        )
        for person in chosen
    )
    return Loaded(observations, file.failures, tuple(skipped))


def unpaired(pairing: Pairing, keypoints: Path) -> Loaded:
    """The files that no pair uses: a photo without keypoints is a failure, spare keypoints are skipped."""
    failures = [
        InputError(path, f"has no keypoint file; expected {keypoints / (path.stem + KEYPOINT_SUFFIX)}.json")
        for path in pairing.images_without_keypoints
    ]
    failures += [
        InputError(path, f"has the same name as {used.name}, which is used; expected one file per name")
        for path, used in pairing.ambiguous
    ]
    skipped = [Skipped(path, None, "no image of this name") for path in pairing.keypoints_without_image]
    return Loaded(failures=tuple(failures), skipped=tuple(skipped))


def merge_loaded(parts: Iterable[Loaded]) -> Loaded:
    """Put several results into one, in their order."""
    parts = list(parts)
    return Loaded(
        tuple(observation for part in parts for observation in part.observations),
        tuple(failure for part in parts for failure in part.failures),
        tuple(skipped for part in parts for skipped in part.skipped),
    )


def _within_image(person: PersonKeypoints, size: tuple[int, int]) -> PersonKeypoints:
    """Keep points a little outside, as detectors place them for people cut off by the frame; drop those far out."""
    outside = _distance_outside(person, size) > OUTSIDE_MARGIN * max(size)
    if not outside.any():
        return person
    keypoints = person.keypoints.copy()
    keypoints[outside] = 0
    if person.keypoints[outside, 2].max() < WORTH_A_WARNING:
        return replace(person, keypoints=keypoints)
    note = f"{outside.sum()} keypoints lie far outside the image and count as unseen"
    return replace(person, keypoints=keypoints, warnings=(*person.warnings, note))


def _distance_outside(person: PersonKeypoints, size: tuple[int, int]) -> np.ndarray:
    """Distance in pixels of each visible point to the image: `[135]`, 0 for those inside or unseen."""
    xy = person.keypoints[:, :2]
    beyond = np.maximum(np.maximum(-xy, xy - np.array(size)), 0).max(axis=1)
    return np.where(person.keypoints[:, 2] > 0, beyond, 0)


def _refuse_other_image(
    path: Path, image: str, before: Sequence[PersonKeypoints], after: Sequence[PersonKeypoints], size: tuple[int, int]
) -> None:
    # Weighted by confidence: detectors invent hands of confidence 0.02 beyond the frame.
    total = sum(float(person.keypoints[:, 2].sum()) for person in before)
    kept = sum(float(person.keypoints[:, 2].sum()) for person in after)
    if kept < 0.7 * total:
        problem = (
            f"{1 - kept / total:.0%} of the keypoints lie far outside {image}, which is {size[0]} x "
            f"{size[1]} pixels when upright; expected keypoints of the image in this size and orientation"
        )
        raise InputError(path, problem, "people")


_HANDS = {"left": LEFT_HAND_KEYPOINTS, "right": RIGHT_HAND_KEYPOINTS}


def split_hands(loaded: Loaded, selection: PersonSelection) -> Loaded:
    """Replace each person by its hands; hands that cannot be fitted are skipped.

    Args:
        loaded: whole people.
        selection: of the part ``hands``: what a hand needs.
    """
    hands, skipped = [], []
    for one in loaded.observations:
        for side in _HANDS:
            reason = piece_lacks(one.keypoints, f"{side} hand", selection)
            if reason is None:
                hands.append(_hand(one, side))
            else:
                skipped.append(Skipped(one.keypoint_path or one.image_file, one.person_index, reason))
    return replace(loaded, observations=tuple(hands), skipped=(*loaded.skipped, *skipped))


def _hand(person: Observation, side: str) -> Observation:
    keypoints = np.zeros_like(person.keypoints)
    keypoints[_HANDS[side]] = person.keypoints[_HANDS[side]]
    return replace(person, keypoints=keypoints, side=side)
