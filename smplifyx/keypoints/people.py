"""Selection of the people of a file, and merging of people that the detector reported in fragments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from smplifyx.keypoints.draw import BODY_BONE_LENGTHS
from smplifyx.keypoints.observation import box_diagonal
from smplifyx.keypoints.openpose import PersonKeypoints
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
        merge_fragments: join parts of one person that the detector reports as several.
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
        ordered, skipped = _merge_fragments(ordered, replace(selection, part="body"))
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
    merged: list[tuple[int, str]] = []
    while (found := _next_part(people, selection)) is not None:
        person, part = found
        merged.append((part.index, f"part of person {person.index}, merged with it"))
        people = [_joined(p, part) if p is person else p for p in people if p is not part]
    return people, merged


def _next_part(
    people: Sequence[PersonKeypoints], selection: PersonSelection
) -> tuple[PersonKeypoints, PersonKeypoints] | None:
    """Find a person and, further down the list, a fragment that fits this person alone."""
    whole = [person for person in people if _reason_to_skip(person, selection) is None]
    for k, part in enumerate(people):
        owners = [person for person in whole if person is not part and _belongs(person, part, selection)]
        if len(owners) == 1 and any(owners[0] is p for p in people[:k]):
            return owners[0], part
    return None


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
    if not stretch or not 0.35 < max(stretch) < 1.4:
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
