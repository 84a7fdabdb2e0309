"""The picture that keypoints count in: upright or as stored, in the photo's size or another, or a wrong one.

Detectors that ignore the EXIF orientation find people in the picture as it is stored. Points outside the upright
picture that lie inside the stored one decide, also for the other photos of a folder; people who lie in one
and stand in the other are only doubtful, as some photos show people who lie.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from smplifyx.errors import InputError
from smplifyx.keypoints.documents import Size
from smplifyx.keypoints.images import QUARTER_TURNS
from smplifyx.keypoints.reading import PersonKeypoints
from smplifyx.skeleton import BODY_KEYPOINT_NAMES, BODY_KEYPOINTS, MIRRORED_KEYPOINTS
from smplifyx.words import count

FrameChoice = Literal["auto", "upright", "stored"]

#: Flags of results: turned upright; perhaps of the unturned picture; scaled; perhaps of a picture of another size.
TURNED, FRAME_UNCERTAIN, SCALED, SIZE_UNCERTAIN = (
    "frame_turned",
    "frame_uncertain",
    "keypoints_scaled",
    "size_uncertain",
)

#: Body points of at least this confidence are evidence.
_MIN_EVIDENCE = 0.2
#: A point further outside than the first share of the longer side does not belong to a picture; one within the second
#: may.
_OUTSIDE, _INSIDE = 0.03, 0.01
#: A point further outside the image than this fraction of its longer side counts as unseen.
OUTSIDE_MARGIN = 0.1
#: Points of less confidence are noise and cause no warning.
WORTH_A_WARNING = 0.1
#: A trunk is upright where it is this many times as high as wide.
_UPRIGHT = 1.5
#: Photos that are needed to judge the size of a folder's photos.
MIN_PHOTOS = 3
#: Where no point of a folder lies beyond these shares of width and height, one corner of all pictures is empty.
_EMPTY_CORNER = 0.6

_NECK, _MID_HIP = BODY_KEYPOINT_NAMES.index("neck"), BODY_KEYPOINT_NAMES.index("mid_hip")


def turned_upright(keypoints: NDArray[np.float32], orientation: int, size: Size) -> NDArray[np.float32]:
    """Move keypoints `[135, 3]` of the stored picture to the upright one.

    Args:
        keypoints: points of the picture as stored; mirrored pictures also exchange the person's left and right.
        orientation: EXIF orientation, 1 to 8.
        size: (width, height) of the upright picture.
    """
    x, y = keypoints[:, 0].copy(), keypoints[:, 1].copy()
    right, bottom = size[0] - 1.0, size[1] - 1.0
    moved = {
        1: (x, y),
        2: (right - x, y),
        3: (right - x, bottom - y),
        4: (x, bottom - y),
        5: (y, x),
        6: (right - y, x),
        7: (right - y, bottom - x),
        8: (y, bottom - x),
    }[orientation]
    turned = np.column_stack([*moved, keypoints[:, 2]]).astype(np.float32)
    turned[keypoints[:, 2] <= 0] = 0
    return turned[list(MIRRORED_KEYPOINTS)] if orientation in (2, 4, 5, 7) else turned


def upright_people(
    people: Sequence[PersonKeypoints], orientation: int, size: Size, choice: FrameChoice, stored_size: bool
) -> tuple[list[PersonKeypoints], bool]:
    """Bring the people of a photo into the upright picture.

    Args:
        people: as read.
        orientation: EXIF orientation of the photo.
        size: (width, height) of the upright picture.
        choice: ``auto`` turns where it is certain.
        stored_size: the file gives the size of the stored picture, not of the upright one.

    Returns:
        The people, and whether it is in doubt: they lie in the upright picture and stand in the stored one.
    """
    if orientation == 1 or choice == "upright" or not people:
        return list(people), False
    turned = [turned_upright(person.keypoints, orientation, size) for person in people]
    certain = choice == "stored" or stored_size or _stored_by_position(people, turned, orientation, size)
    if certain:
        return [_noted(person, points) for person, points in zip(people, turned, strict=True)], False
    # A point outside the stored picture rules it out.
    as_stored = max(_outside(person.keypoints, _stored(size, orientation)) for person in people)
    lying = _stored_by_posture([person.keypoints for person in people], turned)
    return list(people), lying and as_stored <= _OUTSIDE * max(size)


def _stored(size: Size, orientation: int) -> Size:
    return (size[1], size[0]) if orientation in QUARTER_TURNS else size


def _noted(person: PersonKeypoints, keypoints: NDArray[np.float32]) -> PersonKeypoints:
    note = "keypoints are those of the picture without its EXIF turn; they are turned upright"
    return replace(
        person,
        keypoints=keypoints,
        warnings=(*person.warnings, note),
        flags=(*person.flags, TURNED),
        points_3d=None,
    )


def _stored_by_position(
    people: Sequence[PersonKeypoints], turned: Sequence[NDArray[np.float32]], orientation: int, size: Size
) -> bool:
    if orientation not in QUARTER_TURNS:
        return False
    before = max(_outside(person.keypoints, size) for person in people)
    after = max(_outside(points, size) for points in turned)
    return before > _OUTSIDE * max(size) and after < _INSIDE * max(size)


def _outside(keypoints: NDArray[np.float32], size: Size) -> float:
    """Distance in pixels of the outermost confident body point to the picture; 0 where all lie inside."""
    body = keypoints[BODY_KEYPOINTS]
    points = body[body[:, 2] >= _MIN_EVIDENCE, :2]
    return float(np.maximum(-points, points - np.array(size)).max(initial=0.0))


def _stored_by_posture(before: Sequence[NDArray[np.float32]], after: Sequence[NDArray[np.float32]]) -> bool:
    """Whether all people whose trunk is seen lie before and stand after."""
    trunks = [(_trunk(a), _trunk(b)) for a, b in zip(before, after, strict=True)]
    seen = [(a, b) for a, b in trunks if a is not None and b is not None]
    return bool(seen) and all(not _stands(a) and _stands(b) for a, b in seen)


def _trunk(keypoints: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """Vector from the neck to the hips, or None."""
    if min(keypoints[_NECK, 2], keypoints[_MID_HIP, 2]) < 0.1:
        return None
    return np.asarray(keypoints[_MID_HIP, :2] - keypoints[_NECK, :2])


def _stands(trunk: NDArray[np.float32]) -> bool:
    return bool(trunk[1] > _UPRIGHT * abs(trunk[0]))


def people_stand(people: Sequence[PersonKeypoints]) -> bool:
    """Whether any person has an upright trunk."""
    trunks = [_trunk(person.keypoints) for person in people]
    return any(_stands(trunk) for trunk in trunks if trunk is not None)


def scaled_people(
    people: Sequence[PersonKeypoints], size: Size | None, image_size: Size, factor: float = 1.0
) -> list[PersonKeypoints]:
    """Scale people from a picture of ``size``, where that is known, and by a given factor."""
    other = size if size is not None and size != image_size else image_size
    scale = np.array([factor * image_size[0] / other[0], factor * image_size[1] / other[1], 1.0], np.float32)
    if (scale == 1).all():
        return list(people)
    flags = () if other == image_size else (SCALED,)
    note = f"keypoints are scaled by {scale[0]:.3g}" + (
        f" from a picture of {other[0]} x {other[1]}" if flags else ""
    )
    return [
        replace(
            person,
            keypoints=person.keypoints * scale,
            warnings=(*person.warnings, note),
            flags=(*person.flags, *flags),
        )
        for person in people
    ]


@dataclass(frozen=True)
class Extent:
    """The part of one picture that the body points of its people cover, as shares of width and height.

    Attributes:
        least: of the smallest x and y; negative outside.
        most: of the largest x and y; above 1 outside.
    """

    least: tuple[float, float]
    most: tuple[float, float]


def extent_of(people: Sequence[PersonKeypoints], size: Size) -> Extent | None:
    """Extent of the confident body points, or None where there are none."""
    bodies = [person.keypoints[BODY_KEYPOINTS] for person in people]
    points = (
        np.concatenate([body[body[:, 2] >= _MIN_EVIDENCE, :2] for body in bodies]) if bodies else np.zeros((0, 2))
    )
    if len(points) == 0:
        return None
    least, most = points.min(axis=0) / np.array(size), points.max(axis=0) / np.array(size)
    return Extent((float(least[0]), float(least[1])), (float(most[0]), float(most[1])))


def size_uncertain(extents: Sequence[Extent]) -> str | None:
    """Why the keypoints of several photos may belong to photos of another size; None where nothing says so."""
    if len(extents) < MIN_PHOTOS:
        return None
    most = np.array([one.most for one in extents])
    least = np.array([one.least for one in extents])
    n_photos = len(extents)
    if most.max() <= _EMPTY_CORNER:
        return (
            f"no keypoint of {n_photos} photos lies beyond {most[:, 0].max():.2f} of the width and "
            f"{most[:, 1].max():.2f} of the height: they may belong to smaller photos"
        )
    beyond = (most.max(axis=1) > 1 + _OUTSIDE).mean()
    if beyond >= 0.5 and least.min() > -_INSIDE:
        return (
            f"keypoints of {beyond:.0%} of {n_photos} photos lie beyond their right or lower edge, none beyond the "
            "others: they may belong to larger photos"
        )
    return None


def within_image(person: PersonKeypoints, size: tuple[int, int]) -> PersonKeypoints:
    """Keep points a little outside, as detectors place them for people cut off by the frame; drop those far out."""
    outside = _distance_outside(person, size) > OUTSIDE_MARGIN * max(size)
    if not outside.any():
        return person
    keypoints = person.keypoints.copy()
    keypoints[outside] = 0
    changed = person.with_keypoints(keypoints)
    if person.keypoints[outside, 2].max() < WORTH_A_WARNING:
        return changed
    few, many = "keypoint lies", "keypoints lie"
    note = f"{count(outside.sum(), few, many)} far outside the image and counted as unseen"
    return replace(changed, warnings=(*changed.warnings, note))


def _distance_outside(person: PersonKeypoints, size: tuple[int, int]) -> np.ndarray:
    """Distance in pixels of each visible point to the image: `[135]`, 0 for those inside or unseen."""
    xy = person.keypoints[:, :2]
    beyond = np.maximum(np.maximum(-xy, xy - np.array(size)), 0).max(axis=1)
    return np.where(person.keypoints[:, 2] > 0, beyond, 0)


def refuse_other_image(
    path: Path, image: str, before: Sequence[PersonKeypoints], after: Sequence[PersonKeypoints], size: tuple[int, int]
) -> None:
    """Refuse keypoints whose bodies lie far outside the image; raises :class:`InputError`."""
    # The body alone decides: small hands and faces in the middle of the picture carry most points. Weighted by
    # confidence, as detectors invent points of confidence 0.02.
    total = sum(float(person.keypoints[BODY_KEYPOINTS, 2].sum()) for person in before)
    kept = sum(float(person.keypoints[BODY_KEYPOINTS, 2].sum()) for person in after)
    if kept < 0.7 * total:
        problem = (
            f"{1 - kept / total:.0%} of the body keypoints lie far outside {image}, which is {size[0]} x "
            f"{size[1]} pixels when upright; expected keypoints of the image in this size and orientation"
        )
        raise InputError(path, problem, "people")
