"""Detected keypoints against those of another detector, or of a person, for the same photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smplifyx.evaluation.tables import Row
from smplifyx.keypoints import KeypointOptions, PersonSelection, load_pairs, pair_folder
from smplifyx.skeleton import (
    BODY_KEYPOINT_NAMES,
    BODY_KEYPOINTS,
    CONTOUR_KEYPOINTS,
    FACE_KEYPOINTS,
    LEFT_HAND_KEYPOINTS,
    RIGHT_HAND_KEYPOINTS,
)

FloatArray = NDArray[np.floating]

#: Body points of that confidence that a person of the reference needs to count.
_LEAST_POINTS, _LEAST_CONFIDENCE = 6, 0.2
#: Points of that confidence in both files are compared.
_COMPARED = 0.3
#: Two entries whose median distance is below this share of the person's box are one person.
_SAME_PERSON = 0.2
#: A point this near, as a share of the person's box, is hit.
_HIT = 0.05
_PARTS = {"left hand": LEFT_HAND_KEYPOINTS, "right hand": RIGHT_HAND_KEYPOINTS, "face": FACE_KEYPOINTS}


@dataclass(frozen=True)
class DetectionMatch:
    """One person of the reference.

    Attributes:
        photo: stem of the photo.
        size: longer side of the box around the person's points, pixels.
        errors: [135] distances as shares of that size; NaN where a point is not compared.
        is_found: whether a detected person was matched.
        sure: [135] points that the reference has with enough confidence to be compared.
        detected: [135] points that the matched person has.
    """

    photo: str
    size: float
    errors: FloatArray
    is_found: bool
    sure: NDArray[np.bool_]
    detected: NDArray[np.bool_]


@dataclass(frozen=True)
class DetectionComparison:
    """All people of the reference, and the number of detected people who are none of them."""

    matches: tuple[DetectionMatch, ...]
    n_extra: int


def compare_detections(images: Path, found: Path, reference: Path) -> DetectionComparison:
    """Compare the keypoints of two folders for the same photos.

    Args:
        images: the photos.
        found: folder of the detected keypoints; photos without a file count as photos without people.
        reference: folder of the keypoints to compare with; photos without a file are left out.

    Raises:
        InputError: a file cannot be read.
        UsageError: a folder is missing.
    """
    known, detected = _people(images, reference), _people(images, found)
    matches: list[DetectionMatch] = []
    n_extra = 0
    for photo, people in known.items():
        some, extra = match_people(photo, people, detected.get(photo, []))
        matches += some
        n_extra += extra
    return DetectionComparison(tuple(matches), n_extra)


def match_people(
    photo: str, reference: Sequence[FloatArray], detected: Sequence[FloatArray]
) -> tuple[list[DetectionMatch], int]:
    """Match the people of a photo, nearest pairs first; each is used once.

    Args:
        photo: stem of the photo.
        reference: [135, 3] of each person.
        detected: the same of the detected people.

    Returns:
        One match for each person of the reference with enough points, and the number of detected people who match
        none, not even a person with too few points.
    """
    sizes = [_size(one) for one in reference]
    distances = [
        [_distance(one, other, size) for other in detected] for one, size in zip(reference, sizes, strict=True)
    ]
    pairs = [(gap, row, column) for row, gaps in enumerate(distances) for column, gap in enumerate(gaps)]
    partner: dict[int, int] = {}
    for gap, row, column in sorted(pairs):
        if gap < _SAME_PERSON and row not in partner and column not in partner.values():
            partner[row] = column
    matches = []
    for row, (one, size) in enumerate(zip(reference, sizes, strict=True)):
        if (one[BODY_KEYPOINTS, 2] > _LEAST_CONFIDENCE).sum() < _LEAST_POINTS:
            continue
        other = detected[partner[row]] if row in partner else np.zeros_like(one)
        errors = np.linalg.norm(one[:, :2] - other[:, :2], axis=1) / size
        errors[np.minimum(one[:, 2], other[:, 2]) <= _COMPARED] = np.nan
        matches.append(DetectionMatch(photo, size, errors, row in partner, one[:, 2] > _COMPARED, other[:, 2] > 0))
    return matches, len(detected) - len(partner)


def detection_rows(comparison: DetectionComparison) -> list[Row]:
    """One row a figure over all people."""
    found = [one for one in comparison.matches if one.is_found]
    rows: list[tuple[str, str, str]] = [
        ("people found", str(len(found)), f"of {len(comparison.matches)}"),
        ("other people", str(comparison.n_extra), "not in the reference"),
    ]
    errors = _errors(found)[:, BODY_KEYPOINTS]
    errors = errors[np.isfinite(errors)]
    if len(errors):
        rows += [
            ("median distance", f"{100 * np.median(errors):.2f} %", f"of the box, {len(errors)} points"),
            ("90th percentile", f"{100 * np.percentile(errors, 90):.2f} %", ""),
            (f"within {_HIT:.0%}", f"{100 * np.mean(errors <= _HIT):.1f} %", ""),
        ]
    for name, points in _PARTS.items():
        known = [one for one in found if one.sure[points].mean() > 0.5]
        both = [one for one in known if one.detected[points].mean() > 0.5]
        rows.append((f"{name}s found", str(len(both)), f"of {len(known)} of the people found"))
    return [{"": title, "value": value, "remark": remark} for title, value, remark in rows]


def distance_rows(comparison: DetectionComparison) -> list[Row]:
    """One row a keypoint of the body, then one for each hand and the face: distances in percent of the box."""
    errors = _errors([one for one in comparison.matches if one.is_found])
    groups = {name: errors[:, number] for number, name in enumerate(BODY_KEYPOINT_NAMES)}
    groups |= {name: errors[:, points] for name, points in _PARTS.items()}
    groups["outline of the face"] = errors[:, CONTOUR_KEYPOINTS]
    rows: list[Row] = []
    for name, values in groups.items():
        values = values[np.isfinite(values)]
        if len(values):
            median, high = (f"{100 * np.percentile(values, share):.2f} %" for share in (50, 90))
            hits = f"{100 * np.mean(values <= _HIT):.1f} %"
            rows.append({"keypoint": name, "compared": str(len(values)), "median": median, "90th": high, "hit": hits})
    return rows


def missed_rows(comparison: DetectionComparison) -> list[Row]:
    """The people of the reference who are not found, by photo, with their size."""
    missed = [one for one in comparison.matches if not one.is_found]
    return [{"missed in": one.photo, "size": f"{one.size:.0f} px"} for one in missed]


def _people(images: Path, folder: Path) -> dict[str, list[FloatArray]]:
    """Keypoints of the people in each photo that has a file, as they are in the files."""
    everyone = PersonSelection(min_keypoints=1)
    pairs = pair_folder(images, folder).pairs
    loaded = load_pairs(pairs, everyone, KeypointOptions(check=False))
    if loaded.failures:
        raise loaded.failures[0]
    people: dict[str, list[FloatArray]] = {pair.stem: [] for pair in pairs}
    for one in loaded.observations:
        people[one.stem].append(one.keypoints)
    return people


def _size(person: FloatArray) -> float:
    good = person[BODY_KEYPOINTS, 2] > _LEAST_CONFIDENCE
    if not good.any():
        return 1e-6
    return max(float(np.ptp(person[BODY_KEYPOINTS][good, :2], axis=0).max()), 1e-6)


def _distance(one: FloatArray, other: FloatArray, size: float) -> float:
    both = np.minimum(one[BODY_KEYPOINTS, 2], other[BODY_KEYPOINTS, 2]) > _LEAST_CONFIDENCE
    gaps = np.linalg.norm(one[BODY_KEYPOINTS, :2] - other[BODY_KEYPOINTS, :2], axis=1)[both]
    return float(np.median(gaps)) / size if len(gaps) >= 3 else np.inf


def _errors(matches: Sequence[DetectionMatch]) -> FloatArray:
    return np.stack([one.errors for one in matches]) if matches else np.zeros((0, 135))
