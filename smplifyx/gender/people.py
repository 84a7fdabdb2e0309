"""Votes of the classifiers about people, and the decisions that follow from them.

Each photo is read once for all its people and all voters, at the lowest sufficient resolution.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from smplifyx.errors import InputError
from smplifyx.gender.decision import GenderDecision, fallback, joint
from smplifyx.gender.voters import DecodedPhoto, Voter
from smplifyx.keypoints import Observation, read_image

_BATCH = 16
#: Photos decoded ahead of the networks.
_AHEAD = 4

#: Called with the number of people just classified.
Progress = Callable[[int], object]


@dataclass(frozen=True)
class Classification:
    """A classifier's output for one person.

    Attributes:
        probabilities: of male and female.
        distance: of the features from those of the training pictures.
        out_of_distribution: probability of being out of distribution.
    """

    probabilities: tuple[float, float]
    distance: float
    out_of_distribution: float


#: A voter's output for each person, or the reason why there is none.
Votes = list[Classification | str]


def decide(votes: Sequence[Votes], voters: Sequence[Voter]) -> list[GenderDecision]:
    """Decide about classified people, see :func:`~smplifyx.gender.decision.joint`.

    Args:
        votes: of each voter.
        voters: in the order in which their verdicts count.
    """
    decisions = [
        [_decide(vote, voter) for vote, voter in zip(of_person, voters, strict=True)]
        for of_person in zip(*votes, strict=True)
    ]
    return [joint(of_person) for of_person in decisions]


def _decide(vote: Classification | str, voter: Voter) -> GenderDecision:
    if isinstance(vote, str):
        return fallback(vote)
    return voter.rule.decide(vote.probabilities, vote.distance, vote.out_of_distribution, voter.part)


def classify_people(
    people: Sequence[Observation], voters: Sequence[Voter], progress: Progress = lambda n: None
) -> list[Votes]:
    """Classify people.

    Args:
        people: in any order; consecutive people of one photo share its decoding.
        voters: the classifiers.
        progress: called with the number of people just done.

    Returns:
        For each voter, its output for each person, or the reason why there is none.
    """
    votes: list[dict[int, Classification | str]] = [{} for _ in voters]
    candidates = _candidates(people, voters, votes)
    progress(len(people) - len(candidates))
    for batch in _batches(_cut_all(candidates, voters)):
        for number, (results, voter) in enumerate(zip(votes, voters, strict=True)):
            _classify_batch(batch, number, voter, results)
        progress(len(batch))
    return [[results[index] for index in range(len(people))] for results in votes]


def classify_in_photo(
    people: Sequence[Observation], voters: Sequence[Voter], read: Callable[[], NDArray[np.uint8]]
) -> list[Votes]:
    """Classify the people of one photo, each alone, so that no figure depends on the others.

    Args:
        people: of one photo.
        voters: the classifiers.
        read: gives the photo BGR `[H, W, 3]`, decoded at :func:`least_scale` of its people or more.

    Returns:
        As :func:`classify_people`.
    """
    votes: list[dict[int, Classification | str]] = [{} for _ in voters]
    photo: DecodedPhoto | None = None
    for candidate in _candidates(people, voters, votes):
        if photo is None:
            photo = DecodedPhoto(read())
        (cut,) = _cut([candidate], voters, photo)
        for number, (results, voter) in enumerate(zip(votes, voters, strict=True)):
            _classify_batch([cut], number, voter, results)
    return [[results[index] for index in range(len(people))] for results in votes]


def least_scale(people: Sequence[Observation], voters: Sequence[Voter]) -> float:
    """Share of a photo's resolution that suffices to classify its people; 0 if no person can be classified."""
    scales = [voter.least_scale(person) for person in people for voter in voters]
    return min(1.0, max((scale for scale in scales if not isinstance(scale, str)), default=0.0))


@dataclass(frozen=True)
class _Candidate:
    """A person that some voters may be able to classify.

    Attributes:
        index: position among all people.
        observation: the person.
        voters: numbers of these voters.
        least_scale: share of the photo's resolution that suffices for them.
    """

    index: int
    observation: Observation
    voters: tuple[int, ...]
    least_scale: float


@dataclass(frozen=True)
class _Cut:
    """A candidate with crops, or reasons why there are none, by number of the voter."""

    candidate: _Candidate
    crops: dict[int, NDArray[np.uint8] | str] = field(default_factory=dict)


def _candidates(
    people: Sequence[Observation], voters: Sequence[Voter], votes: Sequence[dict[int, Classification | str]]
) -> list[_Candidate]:
    """The people that some voters may be able to classify; reasons against the others go to ``votes``."""
    candidates = []
    for index, person in enumerate(people):
        scales = [voter.least_scale(person) for voter in voters]
        for results, voter, scale in zip(votes, voters, scales, strict=True):
            if isinstance(scale, str):
                results[index] = f"{voter.part} {scale}"
        useful = {number: scale for number, scale in enumerate(scales) if not isinstance(scale, str)}
        if useful:
            candidates.append(_Candidate(index, person, tuple(useful), max(useful.values())))
    return candidates


def _classify_batch(
    batch: Sequence[_Cut], number: int, voter: Voter, results: dict[int, Classification | str]
) -> None:
    """Add a voter's outputs for the people of a batch to its results."""
    readable = []
    for cut in batch:
        crop = cut.crops.get(number)
        if isinstance(crop, str):
            results[cut.candidate.index] = crop
        elif crop is not None:
            readable.append((cut.candidate.index, crop))
    if readable:
        rows = voter.classify(np.stack([crop for _, crop in readable]))
        for (index, _), (male, female), *measures in zip(readable, *rows, strict=True):
            results[index] = Classification((float(male), float(female)), *map(float, measures))


def _cut_all(candidates: Iterable[_Candidate], voters: Sequence[Voter]) -> Iterator[_Cut]:
    """Yield each candidate with crops; the next photos are read meanwhile."""
    photos = [list(group) for _, group in itertools.groupby(candidates, lambda one: one.observation.image_path)]
    with ThreadPoolExecutor(1) as pool:
        pending = []
        for photo in photos:
            pending.append(pool.submit(_cut_photo, photo, voters))
            if len(pending) > _AHEAD:
                yield from pending.pop(0).result()
        for future in pending:
            yield from future.result()


def _cut_photo(candidates: Sequence[_Candidate], voters: Sequence[Voter]) -> list[_Cut]:
    """Cut the crops of all candidates of one photo."""
    try:
        path = candidates[0].observation.image_file
        photo = DecodedPhoto(read_image(path, min(1.0, max(one.least_scale for one in candidates))))
    except InputError as error:
        return [_Cut(one, dict.fromkeys(one.voters, str(error))) for one in candidates]
    return _cut(candidates, voters, photo)


def _cut(candidates: Sequence[_Candidate], voters: Sequence[Voter], photo: DecodedPhoto) -> list[_Cut]:
    cuts = []
    for one in candidates:
        cut = _Cut(one)
        for number in one.voters:
            crop = voters[number].crop(photo, one.observation)
            cut.crops[number] = f"{voters[number].part} {crop}" if isinstance(crop, str) else crop
        cuts.append(cut)
    return cuts


def _batches(cuts: Iterator[_Cut]) -> Iterator[list[_Cut]]:
    while batch := list(itertools.islice(cuts, _BATCH)):
        yield batch
