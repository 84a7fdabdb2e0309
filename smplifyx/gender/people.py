"""Gender decisions for many people: labels first, then the classifier, then neutral.

Each photo is read once, at the lowest sufficient resolution; crops are classified in batches.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from smplifyx.errors import InputError
from smplifyx.gender.classifier import GenderClassifier
from smplifyx.gender.crop import CropRules, Region, person_region, read_crops
from smplifyx.gender.decision import DecisionRule, GenderDecision, GenderLabels, fallback, given
from smplifyx.gender.network import CLASSES
from smplifyx.keypoints import Observation

_BATCH = 16
#: Photos decoded ahead of the network.
_AHEAD = 4

#: Called with the number of people just classified.
Progress = Callable[[int], object]


@dataclass(frozen=True)
class Classification:
    """The classifier's output for one person.

    Attributes:
        probabilities: of male and female.
        distance: of the features from those of the training pictures.
        out_of_distribution: probability of being out of distribution.
    """

    probabilities: tuple[float, float]
    distance: float
    out_of_distribution: float


def choose_genders(
    people: Sequence[Observation],
    labels: GenderLabels | None = None,
    classifier: Callable[[], GenderClassifier] | None = None,
    threshold: float | None = None,
    available: Collection[str] = CLASSES,
    progress: Progress = lambda n: None,
) -> list[GenderDecision]:
    """Decide which body model each person is fitted with.

    Args:
        people: in any order; labels of their keypoint files are used.
        labels: of a table; they override those of the keypoint files.
        classifier: loads the classifier for people without a label; None: these people are neutral.
        threshold: lowest probability for a verdict; None: the classifier's own.
        available: genders with a body model; other verdicts become neutral.
        progress: called with the number of people just classified.

    Returns:
        One decision per person, in their order.
    """
    known = [(labels.of(one.stem, one.person_index) if labels is not None else None) or one.gender for one in people]
    unlabelled = [one for one, label in zip(people, known, strict=True) if label is None]
    if classifier is None:
        decisions = [fallback("no label, and the classifier is off")] * len(unlabelled)
    elif unlabelled:
        loaded = classifier()
        rule = loaded.rule if threshold is None else replace(loaded.rule, threshold=threshold)
        decisions = decide(classify_people(unlabelled, loaded, progress), rule)
        decisions = [one if one.gender in (*available, "neutral") else _without_body(one) for one in decisions]
    else:
        decisions = []
    remaining = iter(decisions)
    return [next(remaining) if label is None else given(label) for label in known]


def _without_body(decision: GenderDecision) -> GenderDecision:
    return replace(decision, gender="neutral", source="fallback", reason=f"no {decision.gender} body model")


def classify_people(
    people: Sequence[Observation], classifier: GenderClassifier, progress: Progress = lambda n: None
) -> list[Classification | str]:
    """Classify people; the result of a person who cannot be classified is the reason.

    Args:
        people: in any order; consecutive people of one photo share its decoding.
        classifier: the classifier.
        progress: called with the number of people just done.
    """
    results: dict[int, Classification | str] = {}
    candidates = []
    rules = CropRules.for_side(classifier.side)
    for index, person in enumerate(people):
        region = person_region(person.keypoints, person.image_size, rules)
        if isinstance(region, str):
            results[index] = region
        else:
            candidates.append(_Candidate(index, person, region))
    progress(len(results))
    for batch in _batches(_crops(candidates, classifier.side)):
        readable = [(one, crop) for one, crop in batch if isinstance(crop, np.ndarray)]
        results |= {one.index: str(crop) for one, crop in batch if not isinstance(crop, np.ndarray)}
        if readable:
            rows = classifier.classify(np.stack([crop for _, crop in readable]))
            for (one, _), (male, female), *measures in zip(readable, *rows, strict=True):
                results[one.index] = Classification((float(male), float(female)), *map(float, measures))
        progress(len(batch))
    return [results[index] for index in range(len(people))]


def decide(classified: Iterable[Classification | str], rule: DecisionRule) -> list[GenderDecision]:
    """Decide about classified people; those who could not be classified fall back to neutral, with the reason."""
    return [
        fallback(one)
        if isinstance(one, str)
        else rule.decide(one.probabilities, one.distance, one.out_of_distribution)
        for one in classified
    ]


@dataclass(frozen=True)
class _Candidate:
    """A person who can be classified; ``index`` is the position among all people."""

    index: int
    observation: Observation
    region: Region


def _crops(
    candidates: Iterable[_Candidate], side: int
) -> Iterator[tuple[_Candidate, NDArray[np.uint8] | InputError]]:
    """Yield each candidate with the crop, or with the error of an unreadable photo."""
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
