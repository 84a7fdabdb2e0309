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
from smplifyx.gender.crop import CropRules, Region, person_region, read_crops
from smplifyx.gender.decision import DecisionRule, GenderDecision, fallback
from smplifyx.keypoints import Observation

_BATCH = 16
#: Photos that are decoded ahead of the network.
_AHEAD = 4


@dataclass(frozen=True)
class _Candidate:
    """A person who can be classified; ``index`` is the place in the list of all people."""

    index: int
    observation: Observation
    region: Region


@dataclass(frozen=True)
class Classification:
    """What the classifier says about a person: one of its :class:`Answers`."""

    probabilities: tuple[float, float]
    foreignness: float
    foreign_probability: float


def ask_about(
    people: Sequence[Observation],
    classifier: GenderClassifier,
    progress: Callable[[int], object] = lambda n: None,
) -> list[Classification | str]:
    """The classifier's answer about each person, or the reason why it could not be asked.

    Args:
        people: in any order; those of one photo that stand together share its decoding.
        classifier: is asked about those who are seen well enough.
        progress: called with the number of people just done.
    """
    answers: dict[int, Classification | str] = {}
    candidates = []
    rules = CropRules.for_side(classifier.side)
    for index, one in enumerate(people):
        region = person_region(one.keypoints, one.image_size, rules)
        if isinstance(region, str):
            answers[index] = region
        else:
            candidates.append(_Candidate(index, one, region))
    progress(len(answers))
    for batch in _batches(_crops(candidates, classifier.side)):
        readable = [(who, crop) for who, crop in batch if isinstance(crop, np.ndarray)]
        answers |= {who.index: str(crop) for who, crop in batch if not isinstance(crop, np.ndarray)}
        if readable:
            rows = classifier.classify(np.stack([crop for _, crop in readable]))
            for (who, _), (male, female), *foreign in zip(readable, *rows, strict=True):
                answers[who.index] = Classification((float(male), float(female)), *map(float, foreign))
        progress(len(batch))
    return [answers[index] for index in range(len(people))]


def decide(answers: Iterable[Classification | str], rule: DecisionRule) -> list[GenderDecision]:
    """One decision a person; who could not be classified falls back to neutral, with the reason."""
    return [
        fallback(answer)
        if isinstance(answer, str)
        else rule.decide(answer.probabilities, answer.foreignness, answer.foreign_probability)
        for answer in answers
    ]


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
    first = candidates[0].observation
    try:
        crops = read_crops(first.image_file, first.image_size, [one.region for one in candidates], side)
    except InputError as error:
        return [(one, error) for one in candidates]
    return list(zip(candidates, crops, strict=True))


def _batches(
    crops: Iterator[tuple[_Candidate, NDArray[np.uint8] | InputError]],
) -> Iterator[list[tuple[_Candidate, NDArray[np.uint8] | InputError]]]:
    while batch := list(itertools.islice(crops, _BATCH)):
        yield batch
