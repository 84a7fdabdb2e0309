"""Selection of the people of a file, and merging of people that the detector reported in fragments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from smplifyx.keypoints.doubles import without_doubles
from smplifyx.keypoints.draw import BODY_BONE_LENGTHS
from smplifyx.keypoints.observation import box_diagonal
from smplifyx.keypoints.reading import PersonKeypoints
from smplifyx.skeleton import (
    BODY_KEYPOINT_NAMES,
    BODY_KEYPOINTS,
    CONTOUR_KEYPOINTS,
    FACE_KEYPOINTS,
    LEFT_HAND_KEYPOINTS,
    N_KEYPOINTS,
    RIGHT_HAND_KEYPOINTS,
    mirror_order,
)

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
    [FACE_KEYPOINTS, CONTOUR_KEYPOINTS],
)

#: A bone between a person and a part is at most this many times as long as usual.
_LONGEST_BONE = 1.4

Part = Literal["body", "hands", "face"]
#: Pieces of each part that can be fitted alone, by name.
_PIECES: Mapping[Part, Mapping[str, list[int]]] = {
    "body": {"body": [*range(N_KEYPOINTS)[BODY_KEYPOINTS]]},
    "hands": {
        "left hand": [*range(N_KEYPOINTS)[LEFT_HAND_KEYPOINTS]],
        "right hand": [*range(N_KEYPOINTS)[RIGHT_HAND_KEYPOINTS]],
    },
    "face": {"face": [*range(N_KEYPOINTS)[FACE_KEYPOINTS], *range(N_KEYPOINTS)[CONTOUR_KEYPOINTS]]},
}


@dataclass(frozen=True)
class PersonSelection:
    """Which people of an image to fit.

    Attributes:
        max_persons: largest number of people per image, the largest first; None for all.
        min_keypoints: points of the part, of at least `min_confidence`, that a person needs.
        min_confidence: points below it do not count as seen here; they are kept in the observation.
        min_size: smallest diagonal, in pixels, of the box around the counted points.
        merge_fragments: join parts of one person that the detector reports as several, and keep one of two entries
            of the same person.
        part: the part to fit: the body, each hand (one is enough) or the face.
    """

    max_persons: int | None = None
    min_keypoints: int = 6
    min_confidence: float = 0.2
    min_size: float = 16.0
    merge_fragments: bool = True
    part: Part = "body"


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
        if reason is None:
            chosen.append(person)
        else:
            skipped.append((person.index, reason))
    return chosen, sorted(skipped)


def _size(person: PersonKeypoints, selection: PersonSelection) -> float:
    pieces = [person.keypoints[piece] for piece in _PIECES[selection.part].values()]
    return max(box_diagonal(piece[piece[:, 2] >= selection.min_confidence]) for piece in pieces)


def _reason_to_skip(person: PersonKeypoints, selection: PersonSelection) -> str | None:
    """None if one piece of the part is good enough; otherwise what the pieces lack."""
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
    """Which part belongs to which person: a table `[P, P]` that is kept up to date while people are merged.

    Most pairs are excluded at once: both have a common point, or lie further apart than any bone is long.
    """

    def __init__(self, people: Sequence[PersonKeypoints], selection: PersonSelection) -> None:
        self.people, self.selection = list(people), selection
        n = len(people)
        bodies = [person.keypoints[BODY_KEYPOINTS] for person in people]
        seen = np.array([_seen(person.keypoints, selection) for person in people], bool)
        self.seen = seen.reshape(n, len(BODY_KEYPOINT_NAMES))
        self.boxes = np.array([_box(*pair) for pair in zip(bodies, self.seen, strict=True)]).reshape(n, 4)
        self.reach = np.array([_reach(*pair) for pair in zip(bodies, self.seen, strict=True)])
        self.whole = np.array([_reason_to_skip(person, selection) is None for person in people], bool)
        self.present = np.ones(n, bool)
        self.table = np.zeros((n, n), bool)
        for k in range(n):
            self._fill(k)

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
        body = joined.keypoints[BODY_KEYPOINTS]
        self.people[person], self.seen[person] = joined, _seen(joined.keypoints, self.selection)
        self.boxes[person], self.reach[person] = _box(body, self.seen[person]), _reach(body, self.seen[person])
        self.whole[person] = _reason_to_skip(joined, self.selection) is None
        self.table[:, person] = False
        self._fill(person)
        for other in self._near(person, self.whole & self.present, self.reach):
            self.table[other, person] = _belongs(self.people[other], joined, self.selection)

    def _fill(self, person: int) -> None:
        """Find the parts of one person."""
        self.table[person] = False
        if self.whole[person]:
            for part in self._near(person, self.present, self.reach[person]):
                self.table[person, part] = _belongs(self.people[person], self.people[part], self.selection)

    def _near(self, k: int, among: NDArray[np.bool_], reach: NDArray[np.float64]) -> NDArray[np.intp]:
        """Those that have no point in common with k and lie within the reach."""
        gap = np.maximum(self.boxes[:, :2] - self.boxes[k, 2:], self.boxes[k, :2] - self.boxes[:, 2:]).max(axis=1)
        possible = among & ~(self.seen & self.seen[k]).any(axis=1) & (gap <= reach)
        possible[k] = False
        return np.flatnonzero(possible)


def _box(body: NDArray[np.float32], seen: NDArray[np.bool_]) -> NDArray[np.float32]:
    if not seen.any():
        return np.full(4, np.nan, np.float32)
    return np.concatenate([body[seen, :2].min(axis=0), body[seen, :2].max(axis=0)])


def _reach(body: NDArray[np.float32], seen: NDArray[np.bool_]) -> float:
    """The longest possible bone of a person, pixels; 0 where the stature is unknown."""
    return _LONGEST_BONE * max(BODY_BONE_LENGTHS.values()) * (_stature(body[:, :2], seen) or 0.0)


def _belongs(person: PersonKeypoints, part: PersonKeypoints, selection: PersonSelection) -> bool:
    """Decide whether `part` is a missing piece of `person`; False in doubt: merging two people is worse than a gap.

    It must have at least two body points, none that the person has, continue one of its bones at a plausible
    length, have a similar scale, lie on its proper side, and not be a second reading of the other arm or leg.
    """
    a, b = person.keypoints[BODY_KEYPOINTS], part.keypoints[BODY_KEYPOINTS]
    seen_a, seen_b = _seen(a, selection), _seen(b, selection)
    if seen_b.sum() < 2 or (seen_a & seen_b).any():
        return False
    both = np.where(seen_b[:, None], b, a)[:, :2]
    seen = seen_a | seen_b
    height, part_height = _stature(a[:, :2], seen_a), _stature(b[:, :2], seen_b)
    if height is None or (part_height is not None and not 0.6 < part_height / height < 1.7):
        return False
    joints = [bone for bone in BODY_BONE_LENGTHS if seen[list(bone)].all() and seen_a[bone[0]] != seen_a[bone[1]]]
    stretch = [_length(both, bone) / (height * BODY_BONE_LENGTHS[bone]) for bone in joints]
    if not stretch or not 0.35 < max(stretch) < _LONGEST_BONE:
        return False
    doubled = seen_b & seen_a[MIRRORED]
    if doubled.any():
        distance = np.linalg.norm(b[doubled, :2] - a[MIRRORED][doubled, :2], axis=1)
        if np.median(distance) < 0.05 * height:
            return False
    return _on_proper_side(both, seen_a, seen)


def _on_proper_side(points: NDArray[np.float32], seen_a: NDArray[np.bool_], seen: NDArray[np.bool_]) -> bool:
    """Check that shoulders and hips of the part agree with the person about the direction to the left."""
    known = [points[j] - points[i] for i, j in LEFTWARD if seen_a[i] and seen_a[j]]
    added = [points[j] - points[i] for i, j in LEFTWARD if seen[i] and seen[j] and not (seen_a[i] and seen_a[j])]
    if not added:
        return True
    return bool(known) and all(float(np.dot(sum(known), step)) > 0 for step in added)


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
        person,
        keypoints=keypoints,
        gender=person.gender or part.gender,
        warnings=(*person.warnings, *part.warnings, note),
    )


def _seen(keypoints: NDArray[np.float32], selection: PersonSelection) -> NDArray[np.bool_]:
    return keypoints[BODY_KEYPOINTS, 2] >= selection.min_confidence


def _stature(points: NDArray[np.float32], seen: NDArray[np.bool_]) -> float | None:
    """Estimate the height in pixels from the longer bones; a high percentile, as foreshortened ones are short."""
    heights = [
        _length(points, bone) / length
        for bone, length in BODY_BONE_LENGTHS.items()
        if length >= 0.1 and seen[list(bone)].all()
    ]
    return float(np.percentile(heights, 75)) if heights else None


def _length(points: NDArray[np.float32], bone: tuple[int, int]) -> float:
    return float(np.linalg.norm(points[bone[1]] - points[bone[0]]))
