"""One person in two entries, and crowds."""

from __future__ import annotations

import numpy as np

from smplifyx.keypoints.people import PersonSelection, select_people, without_doubles
from smplifyx.keypoints.reading import PersonKeypoints

from .conftest import standing_person


def person(index: int, x: float = 100.0, noise: float = 0.0, confidence: float = 0.9) -> PersonKeypoints:
    keypoints = np.zeros((135, 3), np.float32)
    keypoints[:25] = standing_person(x=x)
    keypoints[:25, :2] += np.random.default_rng(index).normal(0.0, noise, (25, 2)) if noise else 0
    keypoints[:25, 2] = confidence
    return PersonKeypoints(index, keypoints)


def test_the_entry_with_less_evidence_is_dropped() -> None:
    kept, dropped = without_doubles([person(0, confidence=0.5), person(1, noise=1.0), person(2, x=300)])
    assert [one.index for one in kept] == [1, 2] and dropped == [(0, "the same person as person 1")]
    assert kept[0].flags == ("person_found_twice",) and kept[1].flags == ()
    assert "2 times" in kept[0].warnings[0]


def test_a_copy_of_some_points_is_dropped() -> None:
    part = person(1, noise=1.0)
    part.keypoints[[3, 4, 10, 11, 13, 14, 15, *range(19, 25)]] = 0
    chosen, skipped = select_people([person(0), part], PersonSelection())
    assert [one.index for one in chosen] == [0] and skipped == [(1, "the same person as person 0")]


def test_people_side_by_side_are_not_doubles() -> None:
    for distance in (12.0, 30.0):
        assert len(without_doubles([person(0), person(1, x=100 + distance)])[0]) == 2
    holding = person(1, x=160)
    holding.keypoints[4] = person(0).keypoints[7]
    assert len(without_doubles([person(0), holding])[0]) == 2


def test_a_crowd_of_copies_is_one_person() -> None:
    people = [person(k, noise=0.5) for k in range(1500)]
    kept, dropped = without_doubles(people)
    assert len(kept) == 1 and len(dropped) == 1499


def test_fragments_of_a_crowd_go_back_to_their_owners() -> None:
    """Each of 120 people in two parts; every pair of people is compared a few times, not once a merger."""
    people = []
    for k in range(120):
        whole, legs = person(2 * k, x=100.0 + 140 * k), person(2 * k + 1, x=100.0 + 140 * k)
        lower = [10, 11, 13, 14, *range(19, 25)]
        legs.keypoints[np.setdiff1d(np.arange(25), lower)] = 0
        whole.keypoints[lower] = 0
        people += [whole, legs]
    chosen, skipped = select_people(people, PersonSelection())
    assert len(chosen) == 120 and len(skipped) == 120
    assert all((one.keypoints[:25, 2] > 0).all() for one in chosen)
