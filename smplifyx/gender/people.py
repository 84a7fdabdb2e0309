"""Decides about many people: photos are read once each, at the size that the crops need, and crops go in batches."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smplifyx.errors import InputError
from smplifyx.gender.classifier import GenderClassifier
from smplifyx.gender.crop import Region, cut, person_region
from smplifyx.gender.decision import DecisionRule, GenderDecision, fallback
from smplifyx.keypoints import Observation, read_image

_BATCH = 16
#: Photos that are decoded ahead of the network.
_AHEAD = 4


@dataclass(frozen=True)
class _Candidate:
    """A person who can be classified; ``index`` is the place in the list of all people."""

    index: int
    observation: Observation
    region: Region


def classify_people(
    people: Sequence[Observation],
    classifier: GenderClassifier,
    rule: DecisionRule | None = None,
    progress: Callable[[int], object] = lambda n: None,
) -> list[GenderDecision]:
    """One decision a person; a person or photo that cannot be classified falls back to neutral, with the reason.

    Args:
        people: in any order; those of one photo that stand together share its decoding.
        classifier: is asked about those who are seen well enough.
        rule: when an answer counts; None: the classifier's own.
        progress: called with the number of people just decided.
    """
    rule = rule or classifier.rule
    decisions: dict[int, GenderDecision] = {}
    candidates = []
    for index, one in enumerate(people):
        region = person_region(one.keypoints, one.image_size)
        if isinstance(region, str):
            decisions[index] = fallback(region)
        else:
            candidates.append(_Candidate(index, one, region))
    progress(len(decisions))
    for batch in _batches(_crops(candidates, classifier.side)):
        readable = [(who, crop) for who, crop in batch if isinstance(crop, np.ndarray)]
        decisions |= {who.index: fallback(str(crop)) for who, crop in batch if not isinstance(crop, np.ndarray)}
        if readable:
            answers = classifier.classify(np.stack([crop for _, crop in readable]))
            for (who, _), (male, female), foreignness in zip(readable, *answers, strict=True):
                decisions[who.index] = rule.decide((float(male), float(female)), float(foreignness))
        progress(len(batch))
    return [decisions[index] for index in range(len(people))]


def _crops(
    candidates: Iterable[_Candidate], side: int
) -> Iterator[tuple[_Candidate, NDArray[np.uint8] | InputError]]:
    """Each candidate with the crop, or with the error where the photo cannot be read."""
    photos = [list(group) for _, group in itertools.groupby(candidates, lambda one: one.observation.image_path)]
    with ThreadPoolExecutor(1) as pool:
        pending = []
        for photo in photos:
            pending.append(pool.submit(_crops_of_photo, photo, side))
            if len(pending) > _AHEAD:
                yield from pending.pop(0).result()
        for future in pending:
            yield from future.result()


def _crops_of_photo(
    candidates: Sequence[_Candidate], side: int
) -> list[tuple[_Candidate, NDArray[np.uint8] | InputError]]:
    try:
        image = read_image(candidates[0].observation.image_path, _needed_scale(candidates, side))
    except InputError as error:
        return [(one, error) for one in candidates]
    return [(one, cut(image, one.region, one.observation.image_size, side)) for one in candidates]


def _needed_scale(candidates: Sequence[_Candidate], side: int) -> float:
    """How far the photo may be reduced when it is decoded, so that every crop still fills its square."""
    return min(1.0, max(side / max(one.region.size) for one in candidates))


def _batches(
    crops: Iterator[tuple[_Candidate, NDArray[np.uint8] | InputError]],
) -> Iterator[list[tuple[_Candidate, NDArray[np.uint8] | InputError]]]:
    while batch := list(itertools.islice(crops, _BATCH)):
        yield batch
