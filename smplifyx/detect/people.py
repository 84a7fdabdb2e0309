"""From the findings of two networks to people: same persons joined, doubles dropped, points combined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smplifyx.detect.body import COCO_POINTS, BodyPoints, body_crop
from smplifyx.detect.crops import Crop, FloatArray
from smplifyx.detect.movenet import Seen

#: Distances are shares of a person's size: the longer side of the box around the points that are seen.
_SAME_PERSON = 0.09
#: A body further than this from all people that MoveNet saw was seen by BlazePose alone.
_APART = 0.35
#: A body that BlazePose alone saw is a false one if more than this share of its points lies in somebody's box, unless
#: it is smaller than this share of the box.
_SHARED, _SMALLER = 0.3, 0.7
#: Two networks that place a point closer together than this mean the same point.
_AGREE = 0.08
#: Confidence of points on which they disagree, as a factor.
_DISPUTED = 0.5
_MIN_SEEN, _SURE = 0.2, 0.3
_SHOULDERS, _HIPS = [5, 6], [11, 12]
#: A crop that starts from MoveNet's points: its side in the reach of the points from the hips.
_REACH, _TRUNK_REACH = 2.3, 1.2


@dataclass(frozen=True)
class Person:
    """A person by the body's points.

    Attributes:
        score: 0..1.
        coco: [17, 3] pixels and confidence.
        body: BlazePose's points; None where it did not find the person.
    """

    score: float
    coco: FloatArray
    body: BodyPoints | None


def crop_of(seen: Seen) -> Crop | None:
    """The crop around the body that MoveNet saw; None if it saw too few points."""
    good = seen.confidence > _MIN_SEEN
    if good.sum() < 5:
        return None
    hips, shoulders = seen.points[_HIPS].mean(0), seen.points[_SHOULDERS].mean(0)
    up = shoulders - hips
    reach = max(float(np.linalg.norm(seen.points[good] - hips, axis=1).max()), _TRUNK_REACH * float(np.hypot(*up)))
    crop = body_crop(hips, shoulders)
    return Crop(crop.center, _REACH * reach, crop.angle) if reach > 4.0 else None


def size_of(points: FloatArray, confidence: FloatArray, least: float = _SURE) -> float:
    """Longer side (pixels) of the box around the points of at least that confidence."""
    good = confidence > least
    return float(np.ptp(points[good], axis=0).max()) if good.sum() > 1 else 0.0


def distance(points: FloatArray, seen: Seen) -> float:
    """Median distance of a body's COCO points [17, 2] from MoveNet's, as a share of the person's size."""
    good = seen.confidence > _SURE
    size = size_of(seen.points, seen.confidence)
    if good.sum() < 5 or size <= 0:
        return np.inf
    return float(np.median(np.linalg.norm(points[good] - seen.points[good], axis=1))) / size


def combine(body: BodyPoints, seen: Seen) -> FloatArray:
    """COCO points [17, 3] from both networks: their weighted mean where they agree, else the surer one."""
    first = np.column_stack([body.points[COCO_POINTS], body.confidence[COCO_POINTS]])
    second = points_of(seen)
    size = max(size_of(seen.points, seen.confidence), 1.0)
    apart = np.linalg.norm(first[:, :2] - second[:, :2], axis=1) / size
    weights = np.stack([first[:, 2], second[:, 2]]) + 1e-6
    weights /= weights.sum(0)
    mean = weights[0, :, None] * first[:, :2] + weights[1, :, None] * second[:, :2]
    surer = np.where((first[:, 2] >= second[:, 2])[:, None], first, second)
    together = np.column_stack([mean, np.maximum(first[:, 2], second[:, 2])])
    disputed = surer * np.array([1.0, 1.0, _DISPUTED])
    return np.where((apart < _AGREE)[:, None], together, disputed)


def points_of(seen: Seen) -> FloatArray:
    """COCO points [17, 3] as MoveNet sees them."""
    return np.column_stack([seen.points, seen.confidence])


def inside(seen: Seen, tile: Crop, size: tuple[int, int], margin: float = 0.02) -> bool:
    """Whether a person lies within a tile of a photo; one that an inner border cuts is better seen in another tile.

    Args:
        seen: the person.
        tile: upright.
        size: (width, height) of the photo, pixels.
        margin: share of the tile's side that the points keep from an inner border.
    """
    points = seen.points[seen.confidence > _MIN_SEEN]
    if not len(points):
        return False
    low, high = np.array(tile.center) - tile.side / 2, np.array(tile.center) + tile.side / 2
    gap = margin * tile.side
    clear_low = (points.min(0) > low + gap) | (low < 1.0)
    clear_high = (points.max(0) < high - gap) | (high > np.array(size) - 1.0)
    return bool(clear_low.all() and clear_high.all())


def same_body(first: FloatArray, second: FloatArray) -> bool:
    """Whether two lists of COCO points [17, 3] show one person."""
    sizes = [size_of(points[:, :2], points[:, 2], _MIN_SEEN) for points in (first, second)]
    apart = np.linalg.norm(first[:, :2] - second[:, :2], axis=1) / max(min(sizes), 1.0)
    both = np.minimum(first[:, 2], second[:, 2]) > _MIN_SEEN
    if both.sum() < 3:
        return False
    return bool((apart[both] < 0.1).mean() > 0.5)


def _lies_on(points: FloatArray, seen: Seen) -> bool:
    """Whether a body is made of points of somebody: many of its COCO points [17, 2] lie in the box of that person.

    A child in front of an adult is smaller.
    """
    good = seen.confidence > _MIN_SEEN
    if good.sum() < 5:
        return False
    low, high = seen.points[good].min(0), seen.points[good].max(0)
    is_small = np.ptp(points, axis=0).max() < _SMALLER * (high - low).max()
    return bool(not is_small and ((points > low) & (points < high)).all(1).mean() > _SHARED)


def join(bodies: Sequence[BodyPoints], seen: Sequence[Seen]) -> list[Person]:
    """People from the bodies that BlazePose placed and the people that MoveNet saw."""
    people, used = [], set()
    for body in sorted(bodies, key=lambda one: -one.score):
        points = body.points[COCO_POINTS]
        gaps = [distance(points, one) for one in seen]
        best = int(np.argmin(gaps)) if gaps else -1
        if best >= 0 and gaps[best] < _SAME_PERSON:
            if best not in used:
                used.add(best)
                people.append(Person(max(body.score, seen[best].score), combine(body, seen[best]), body))
        elif (best < 0 or gaps[best] > _APART) and not any(_lies_on(points, one) for one in seen):
            people.append(Person(body.score, np.column_stack([points, body.confidence[COCO_POINTS]]), body))
    for number, one in enumerate(seen):
        if number in used or one.score < _SURE or (one.confidence > _SURE).sum() < 8:
            continue
        people.append(Person(one.score, points_of(one), None))
    kept: list[Person] = []
    for person in sorted(people, key=lambda one: (one.body is None, -one.score)):
        if not any(same_body(person.coco, other.coco) for other in kept):
            kept.append(person)
    return kept
