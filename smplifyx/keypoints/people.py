"""Selection of the people of a file, and merging of people that the detector reported twice or in fragments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from smplifyx.keypoints.observation import box_diagonal
from smplifyx.keypoints.plausibility import stature_of
from smplifyx.keypoints.reading import PersonKeypoints
from smplifyx.skeleton import (
    BODY_BONE_LENGTHS,
    BODY_KEYPOINT_NAMES,
    BODY_KEYPOINTS,
    HAND_KEYPOINTS,
    LEFT_HAND_KEYPOINTS,
    N_KEYPOINTS,
    RIGHT_HAND_KEYPOINTS,
    WHOLE_FACE_KEYPOINTS,
    mirror_order,
)

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


NECK, MID_HIP = BODY_KEYPOINT_NAMES.index("neck"), BODY_KEYPOINT_NAMES.index("mid_hip")
#: For each body keypoint the one on the other side.
MIRRORED = mirror_order(BODY_KEYPOINT_NAMES)
#: (from, to) pairs that point to the person's left.
LEFTWARD = [
    (NECK, BODY_KEYPOINT_NAMES.index("left_shoulder")),
    (BODY_KEYPOINT_NAMES.index("right_shoulder"), NECK),
    (MID_HIP, BODY_KEYPOINT_NAMES.index("left_hip")),
    (BODY_KEYPOINT_NAMES.index("right_hip"), MID_HIP),
]
#: Hands and face are taken whole from the fragment with the higher confidence.
WHOLE_PARTS: tuple[list[slice], ...] = (
    [LEFT_HAND_KEYPOINTS],
    [RIGHT_HAND_KEYPOINTS],
    [WHOLE_FACE_KEYPOINTS],
)

_BONE_ENDS, _BONE_LENGTHS = np.array([*BODY_BONE_LENGTHS]), np.array([*BODY_BONE_LENGTHS.values()])
#: A bone between a person and a part is at most this many times as long as usual.
_LONGEST_BONE = 1.4
#: Body keypoints of a piece that is kept for neighbouring frames to decide about.
_LEAST_PIECE = 2

Part = Literal["body", "hands", "face"]
#: Pieces of each part that can be fitted alone, by name.
_PIECES: Mapping[Part, Mapping[str, list[int]]] = {
    "body": {"body": [*range(N_KEYPOINTS)[BODY_KEYPOINTS]]},
    "hands": {f"{side} hand": [*range(N_KEYPOINTS)[hand]] for side, hand in HAND_KEYPOINTS.items()},
    "face": {"face": [*range(N_KEYPOINTS)[WHOLE_FACE_KEYPOINTS]]},
}


@dataclass(frozen=True)
class PersonSelection:
    """Choose the people of an image to fit.

    Attributes:
        max_persons: largest number of people per image, the largest first; None for all.
        min_keypoints: points of the part, of at least `min_confidence`, that a person needs.
        min_confidence: points below it do not count as seen here; they are kept in the observation.
        min_size: smallest diagonal, in pixels, of the box around the counted points.
        merge_fragments: join parts of one person that the detector reports as several, and keep one of two entries
            of the same person.
        part: the part to fit: the body, each hand (one is enough) or the face.
        keep_pieces: also return entries with fewer keypoints than a person needs, but some: neighbouring frames of a
            sequence may tell who they belong to.
    """

    max_persons: int | None = None
    min_keypoints: int = 6
    min_confidence: float = 0.2
    min_size: float = 16.0
    merge_fragments: bool = True
    part: Part = "body"
    keep_pieces: bool = False


def select_people(
    people: Sequence[PersonKeypoints], selection: PersonSelection
) -> tuple[list[PersonKeypoints], list[tuple[int, str]]]:
    """Choose people, largest first.

    Returns:
        The chosen people, and for each of the others its index in the file and the reason. A person merged from
        fragments keeps the index of its largest part.
    """
    ordered = sorted(people, key=lambda person: (-_size(person, selection), person.index))
    skipped: list[tuple[int, str]] = []
    if selection.merge_fragments:
        ordered, skipped = without_doubles(ordered)
        ordered, merged = _merge_fragments(ordered, replace(selection, part="body"))
        skipped += merged
    chosen: list[PersonKeypoints] = []
    for person in ordered:
        reason = _reason_to_skip(person, selection)
        if reason is None and selection.max_persons is not None and len(chosen) >= selection.max_persons:
            reason = f"only the {selection.max_persons} largest are fitted"
        if reason is None or (selection.keep_pieces and _is_piece(person, selection)):
            chosen.append(person)
        else:
            skipped.append((person.index, reason))
    return chosen, sorted(skipped)


def _is_piece(person: PersonKeypoints, selection: PersonSelection) -> bool:
    n_seen = int((person.keypoints[BODY_KEYPOINTS, 2] >= selection.min_confidence).sum())
    return _LEAST_PIECE <= n_seen < selection.min_keypoints


def _size(person: PersonKeypoints, selection: PersonSelection) -> float:
    pieces = [person.keypoints[piece] for piece in _PIECES[selection.part].values()]
    return max(box_diagonal(piece[piece[:, 2] >= selection.min_confidence]) for piece in pieces)


def _reason_to_skip(person: PersonKeypoints, selection: PersonSelection) -> str | None:
    """None if one piece of the part is good enough; otherwise the reason, from all pieces."""
    reasons = [piece_lacks(person.keypoints, name, selection) for name in _PIECES[selection.part]]
    return None if None in reasons else "; ".join(filter(None, reasons))


def piece_lacks(keypoints: NDArray[np.float32], name: str, selection: PersonSelection) -> str | None:
    """Reason why a part of keypoints [135, 3] (body, left hand, right hand, face) cannot be fitted, or None."""
    piece = keypoints[_PIECES[selection.part][name]]
    seen = piece[piece[:, 2] >= selection.min_confidence]
    if len(seen) < selection.min_keypoints:
        confidence = f"{selection.min_confidence:g}"
        return f"{len(seen)} {name} keypoints of confidence {confidence}; needs {selection.min_keypoints}"
    if box_diagonal(seen) < selection.min_size:
        return f"only {box_diagonal(seen):.0f} pixels large; needs {selection.min_size:g}"
    return None


def _merge_fragments(
    people: Sequence[PersonKeypoints], selection: PersonSelection
) -> tuple[list[PersonKeypoints], list[tuple[int, str]]]:
    """Add each part to the one person it belongs to; a part that fits two people stays."""
    people = list(people)
    owners = _Owners(people, selection)
    merged: list[tuple[int, str]] = []
    while (found := owners.next_part()) is not None:
        person, part = found
        merged.append((people[part].index, f"part of person {people[person].index}, merged with it"))
        people[person] = _joined(people[person], people[part])
        owners.merge(person, part, people[person])
    return [people[k] for k in np.flatnonzero(owners.present)], merged


class _Owners:
    """Assignment of parts to people: a table `[P, P]` that is kept up to date while people are merged.

    Most pairs are excluded at once: both have a common point, or lie further apart than any bone is long.
    """

    def __init__(self, people: Sequence[PersonKeypoints], selection: PersonSelection) -> None:
        n = len(people)
        self.selection = selection
        self.bodies = np.zeros((n, len(BODY_KEYPOINT_NAMES), 3), np.float32)
        for k, person in enumerate(people):
            self.bodies[k] = person.keypoints[BODY_KEYPOINTS]
        self.seen = self.bodies[:, :, 2] >= selection.min_confidence
        self.heights = np.full(n, np.nan)
        self.boxes = np.full((n, 4), np.nan)
        self.whole = np.zeros(n, bool)
        self.present = np.ones(n, bool)
        self.table = np.zeros((n, n), bool)
        for k, person in enumerate(people):
            self._measure(k, person)
        for k in range(n):
            self._find_parts(k)

    def next_part(self) -> tuple[int, int] | None:
        """A person and, further down the list, a fragment that fits this person alone."""
        for part in np.flatnonzero(self.table.sum(axis=0) == 1):
            person = int(np.argmax(self.table[:, part]))
            if person < part:
                return person, int(part)
        return None

    def merge(self, person: int, part: int, joined: PersonKeypoints) -> None:
        """Replace a person by the one who has the part too, and remove the part."""
        self.present[part] = self.whole[part] = False
        self.table[part] = self.table[:, part] = False
        self.bodies[person] = joined.keypoints[BODY_KEYPOINTS]
        self.seen[person] = self.bodies[person, :, 2] >= self.selection.min_confidence
        self._measure(person, joined)
        self._find_parts(person)
        self.table[:, person] = False
        owners = self._near(person, self.whole & self.present, self.heights)
        self.table[owners, person] = self._belong(owners, np.full_like(owners, person))

    def _measure(self, k: int, person: PersonKeypoints) -> None:
        points, seen = self.bodies[k, :, :2], self.seen[k]
        self.whole[k] = _reason_to_skip(person, self.selection) is None
        self.boxes[k] = [*points[seen].min(axis=0), *points[seen].max(axis=0)] if seen.any() else np.nan
        self.heights[k] = _stature(points, seen) or np.nan

    def _find_parts(self, person: int) -> None:
        self.table[person] = False
        if self.whole[person]:
            parts = self._near(person, self.present, self.heights[person])
            self.table[person, parts] = self._belong(np.full_like(parts, person), parts)

    def _near(self, k: int, among: NDArray[np.bool_], heights: NDArray[np.float64]) -> NDArray[np.intp]:
        """Those that have no point in common with k and lie within the longest bone of people of these heights."""
        gap = np.maximum(self.boxes[:, :2] - self.boxes[k, 2:], self.boxes[k, :2] - self.boxes[:, 2:]).max(axis=1)
        possible = among & (gap <= _LONGEST_BONE * _BONE_LENGTHS.max() * heights)
        possible[possible] = ~(self.seen[possible] & self.seen[k]).any(axis=1)
        possible[k] = False
        return np.flatnonzero(possible)

    def _belong(self, people: NDArray[np.intp], parts: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Decide for pairs whether the part is a missing piece of the person.

        It is not in doubt: merging two people is worse than a gap. The part must have at least two body points, none
        that the person has, continue one of its bones at a plausible length, have a similar scale, lie on its proper
        side, and not be a second reading of the other arm or leg.
        """
        a, b, seen_a, seen_b = self.bodies[people], self.bodies[parts], self.seen[people], self.seen[parts]
        height, part_height = self.heights[people], self.heights[parts]
        ratio = np.where(np.isnan(part_height), 1.0, part_height / height)
        good = (seen_b.sum(axis=1) >= 2) & ~(seen_a & seen_b).any(axis=1) & (ratio > 0.6) & (ratio < 1.7)
        both, seen = np.where(seen_b[:, :, None], b, a)[:, :, :2], seen_a | seen_b
        first, last = _BONE_ENDS.T
        joining = seen[:, first] & seen[:, last] & (seen_a[:, first] != seen_a[:, last])
        length = np.linalg.norm(both[:, last] - both[:, first], axis=2)
        stretch = np.where(joining, length / (height[:, None] * _BONE_LENGTHS), 0.0).max(axis=1)
        good &= (stretch > 0.35) & (stretch < _LONGEST_BONE)
        doubled = seen_b & seen_a[:, MIRRORED]
        apart = np.linalg.norm(b[:, :, :2] - a[:, MIRRORED, :2], axis=2)
        for k in np.flatnonzero(good & doubled.any(axis=1)):
            good[k] = np.median(apart[k, doubled[k]]) >= 0.05 * height[k]
        return np.asarray(good & _on_proper_side(both, seen_a, seen))


def _on_proper_side(
    points: NDArray[np.float32], seen_a: NDArray[np.bool_], seen: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Check that shoulders and hips of the parts agree with the people about the direction to the left."""
    right, left = np.array(LEFTWARD).T
    steps = points[:, left] - points[:, right]
    known = seen_a[:, left] & seen_a[:, right]
    added = seen[:, left] & seen[:, right] & ~known
    leftward = (steps * known[:, :, None]).sum(axis=1)
    agrees = np.einsum("nkc,nc->nk", steps, leftward) > 0
    return np.asarray((~added).all(axis=1) | (known.any(axis=1) & (agrees | ~added).all(axis=1)))


def _joined(person: PersonKeypoints, part: PersonKeypoints) -> PersonKeypoints:
    a, b = person.keypoints, part.keypoints
    keypoints = a.copy()
    body = BODY_KEYPOINTS
    keypoints[body] = np.where(a[body, 2:] >= b[body, 2:], a[body], b[body])
    for slices in WHOLE_PARTS:
        if sum(b[s, 2].sum() for s in slices) > sum(a[s, 2].sum() for s in slices):
            for s in slices:
                keypoints[s] = b[s]
    note = f"merged from people {person.index} and {part.index} of the file"
    return replace(
        person.with_keypoints(keypoints),
        gender=person.gender or part.gender,
        warnings=(*person.warnings, *part.warnings, note),
        flags=tuple(dict.fromkeys((*person.flags, *part.flags))),
    )


def _stature(points: NDArray[np.float32], seen: NDArray[np.bool_]) -> float | None:
    """Estimate the height in pixels from the longer bones; a high percentile, as foreshortened ones are short."""
    first, last = _BONE_ENDS.T
    used = (_BONE_LENGTHS >= 0.1) & seen[first] & seen[last]
    if not used.any():
        return None
    lengths = np.linalg.norm(points[last[used]] - points[first[used]], axis=1)
    return float(np.percentile(lengths / _BONE_LENGTHS[used], 75))
