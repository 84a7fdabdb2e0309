"""One person in two entries of a file: the entry with less evidence is dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from smplifyx.keypoints.observation import box_diagonal
from smplifyx.keypoints.plausibility import stature_of
from smplifyx.keypoints.reading import PersonKeypoints
from smplifyx.skeleton import BODY_KEYPOINTS

#: Flag of the entry that stays.
FOUND_TWICE = "person_found_twice"
#: Body points of less confidence do not count.
_SEEN = 0.1
#: Common body points that decide, and their median and 80th percentile distance as shares of the stature.
_COMMON_POINTS, _SAME_MEDIAN, _SAME_MOST = 4, 0.02, 0.045


def without_doubles(people: Sequence[PersonKeypoints]) -> tuple[list[PersonKeypoints], list[tuple[int, str]]]:
    """Keep one entry of each person.

    Returns:
        The people that stay, in their order, and the index and reason of each entry that is dropped.
    """
    if len(people) < 2:
        return list(people), []
    bodies = np.stack([person.keypoints[BODY_KEYPOINTS] for person in people])
    boxes = np.stack([_box(body) for body in bodies])
    evidence = bodies[:, :, 2].sum(axis=1)
    kept: list[int] = []
    kept_boxes = np.empty((len(people), 4), np.float32)
    doubles: dict[int, int] = {}
    for k in sorted(range(len(people)), key=lambda k: (-evidence[k], people[k].index)):
        others = kept_boxes[: len(kept)]
        touching = (others[:, :2] <= boxes[k, 2:]).all(axis=1) & (others[:, 2:] >= boxes[k, :2]).all(axis=1)
        owner = next((kept[j] for j in np.flatnonzero(touching) if _same(bodies[kept[j]], bodies[k])), None)
        if owner is None:
            kept_boxes[len(kept)] = boxes[k]
            kept.append(k)
        else:
            doubles[k] = owner
    dropped = [(people[k].index, f"the same person as person {people[owner].index}") for k, owner in doubles.items()]
    owners = set(doubles.values())
    remaining = [
        replace(
            person,
            flags=tuple(dict.fromkeys((*person.flags, FOUND_TWICE))),
            warnings=(*person.warnings, f"is in the file {1 + list(doubles.values()).count(k)} times"),
        )
        if k in owners
        else person
        for k, person in enumerate(people)
        if k not in doubles
    ]
    return remaining, sorted(dropped)


def _box(body: NDArray[np.float32]) -> NDArray[np.float32]:
    seen = body[body[:, 2] >= _SEEN, :2]
    if len(seen) == 0:
        return np.array([np.inf, np.inf, -np.inf, -np.inf], np.float32)
    return np.concatenate([seen.min(axis=0), seen.max(axis=0)])


def _same(a: NDArray[np.float32], b: NDArray[np.float32]) -> bool:
    both = (a[:, 2] >= _SEEN) & (b[:, 2] >= _SEEN)
    if both.sum() < min(_COMMON_POINTS, int((b[:, 2] >= _SEEN).sum())) or both.sum() < 3:
        return False
    # Most of the lesser entry must be in the other one: two people who touch share no more than a few points.
    if both.sum() < 0.6 * (b[:, 2] >= _SEEN).sum():
        return False
    size = stature_of(a, _SEEN) or box_diagonal(a, _SEEN)
    distance = np.linalg.norm(a[both, :2] - b[both, :2], axis=1) / max(size, 1.0)
    return bool(np.median(distance) < _SAME_MEDIAN and np.percentile(distance, 80) < _SAME_MOST)
