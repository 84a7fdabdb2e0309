"""The file formats of keypoint detectors: which one a file has, and the lists of points of each person in it.

A format is recognised by its keys. The order of the points is a matter of :mod:`smplifyx.keypoints.layouts`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from smplifyx.errors import InputError, reason
from smplifyx.keypoints.documents import Document, Entry, Size, kind, read_json, read_text

#: Lists of a person in OpenPose's files, and their names here.
OPENPOSE_LISTS = {
    "pose_keypoints": "body",
    "hand_left_keypoints": "left",
    "hand_right_keypoints": "right",
    "face_keypoints": "face",
}
#: Longest side of a picture, pixels.
_LARGEST_SIDE = 1_000_000
_COCO_PARTS = ("keypoints", "foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")
_MEDIAPIPE_LISTS = {
    "body": ("pose_landmarks", "poseLandmarks", "landmarks"),
    "left": ("left_hand_landmarks", "leftHandLandmarks"),
    "right": ("right_hand_landmarks", "rightHandLandmarks"),
    "face": ("face_landmarks", "faceLandmarks"),
}


def read_document(path: str | Path) -> Document:
    """Recognise the format of a keypoint file and take its people apart.

    Raises:
        InputError: the file cannot be read, or has no known format.
    """
    path = Path(path)
    if path.suffix.lower() == ".txt":
        return Document(path, "YOLO-pose", _yolo(path))
    content = read_json(path)
    try:
        if isinstance(content, dict):
            return _object(path, content)
        if isinstance(content, list):
            return _list(path, content)
    except (TypeError, ValueError, LookupError, ArithmeticError, AttributeError) as error:
        # The formats nest deeply; a misplaced value fails somewhere inside.
        raise InputError(path, f"is not as its format wants it ({reason(error)}); expected people's lists") from error
    raise InputError(path, f"holds {kind(content)}; expected an object with a list 'people'")


def _object(path: Path, content: dict[str, Any]) -> Document:
    if "people" in content:
        people = content["people"]
        if people is None:
            people = []
        if not isinstance(people, list):
            raise InputError(path, f"is {kind(people)}; expected a list", "people")
        read = [_openpose(k, f"people[{k}]", one, _size(content)) for k, one in enumerate(people)]
        return Document(path, "OpenPose", tuple(one for one in read if one is not None))
    if isinstance(content.get("bodies"), list):
        bodies = content["bodies"]
        return Document(path, "AlphaPose cmu", tuple(_lists(k, f"bodies[{k}]", one, {"joints": "body"})
                                                     for k, one in enumerate(bodies) if one is not None))  # fmt: skip
    if isinstance(content.get("bodies"), dict) and "candidate" in content["bodies"]:
        return Document(path, "DWPose", _dwpose(path, content))
    if "instance_info" in content:
        return Document(path, "MMPose", _instances(path, content["instance_info"], _meta_names(content)))
    if "annotations" in content:
        return Document(path, "COCO annotations", _annotations(path, content))
    if any(name in content for names in _MEDIAPIPE_LISTS.values() for name in names):
        return Document(path, "MediaPipe", _mediapipe(content))
    if "keypoints" in content:
        return _list(path, [content])
    frames = {key: value for key, value in content.items() if isinstance(value, dict)}
    if frames and all("people" in value or "bodies" in value for value in frames.values()):
        parts = {key: _object(path, value) for key, value in frames.items()}
        entries = tuple(replace(entry, image=key, where=f"{key}.{entry.where}")
                        for key, part in parts.items() for entry in part.entries)  # fmt: skip
        return Document(path, "AlphaPose open", entries)
    raise InputError(path, "is missing; expected the list of people that OpenPose writes, or a file of "
                           "MMPose, AlphaPose, OpenPifPaf, COCO, Sapiens, DWPose or MediaPipe", "people")  # fmt: skip


def _list(path: Path, content: list[Any]) -> Document:
    known = [one for one in content if one is not None]
    if not known:
        return Document(path, "an empty list", ())
    if not all(isinstance(one, dict) for one in known):
        raise InputError(path, f"holds a list of {kind(known[0]).split()[-1]}s; expected people with keypoints")
    first = known[0]
    if "people" in first:
        if len(known) == 1:
            return _object(path, first)
        parts = [
            (k, _object(path, one)) for k, one in enumerate(content) if isinstance(one, dict) and "people" in one
        ]
        entries = tuple(replace(entry, image=k, where=f"[{k}].{entry.where}")
                        for k, part in parts for entry in part.entries)  # fmt: skip
        return Document(path, "OpenPose frames", entries)
    if "instances" in first:
        return Document(path, "MMPose", _instances(path, content, None))
    if "image_id" in first:
        entries = tuple(
            _lists(k, f"[{k}]", one, {"keypoints": "body"}, image=one.get("image_id"))
            for k, one in enumerate(content)
            if isinstance(one, dict)
        )
        return Document(path, "AlphaPose" if isinstance(first["image_id"], str) else "COCO results", entries)
    if any(name in first for names in _MEDIAPIPE_LISTS.values() for name in names):
        entries = tuple(replace(entry, index=k) for k, one in enumerate(known) for entry in _mediapipe(one)[:1])
        return Document(path, "MediaPipe", entries)
    if isinstance(first.get("keypoints"), dict):
        return Document(path, "Ultralytics", tuple(_ultralytics(k, one) for k, one in enumerate(known)))
    if "keypoint_scores" in first:
        return Document(path, "MMPose", _instances(path, content, None))
    if "keypoints" in first:
        entries = tuple(_lists(k, f"[{k}]", one, {"keypoints": "body"}) for k, one in enumerate(known))
        return Document(path, "OpenPifPaf", entries)
    raise InputError(
        path, f"holds a list of objects with {', '.join(list(first)[:4])}; expected people with keypoints"
    )


def _lists(index: int, where: str, one: Any, names: Mapping[str, str], image: str | int | None = None) -> Entry:
    """An entry whose parts are lists under known keys."""
    if not isinstance(one, dict):
        return Entry(index, where, image=image, failure=f"is {kind(one)}; expected an object with keypoint lists")
    found = {part: one[key] for key, part in names.items() if one.get(key) is not None}
    keys = {part: key for key, part in names.items()}
    failure = None if found or any(key in one for key in names) else f"has no list {next(iter(names))}"
    return Entry(index, where, found, image, gender=one, keys=keys, failure=failure)


def _openpose(index: int, where: str, one: Any, size: Size | None) -> Entry | None:
    """A person of OpenPose's files; None for a placeholder of an absent one."""
    if one is None or one == {}:
        return None
    if not isinstance(one, dict):
        return Entry(index, where, failure=f"is {kind(one)}; expected an object with keypoint lists")
    # The names have the ending _2d since version 1.2.
    names = {name if name in one and f"{name}_2d" not in one else f"{name}_2d": part
             for name, part in OPENPOSE_LISTS.items()}  # fmt: skip
    entry = _lists(index, where, one, names)
    if entry.failure is not None:
        problem = "has no keypoint list; expected pose_keypoints_2d with 25, 18 or 17 points"
        return replace(entry, failure=problem)
    return replace(entry, size=size)


def _size(content: Mapping[str, Any]) -> Size | None:
    """The size of the canvas that ControlNet's tools write."""
    for width, height in (("canvas_width", "canvas_height"), ("image_width", "image_height"), ("width", "height")):
        pair = content.get(width), content.get(height)
        if all(_is_side(one) for one in pair):
            return int(pair[0]), int(pair[1])  # type: ignore[arg-type]
    return None


def _meta_names(content: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The names of the points that MMPose writes beside its predictions."""
    meta = content.get("meta_info")
    table = meta.get("keypoint_id2name") if isinstance(meta, dict) else None
    if isinstance(table, list) and all(isinstance(one, str) for one in table) and table:
        return tuple(table)
    if not isinstance(table, dict) or not table:
        return None
    try:
        numbered = {int(number): str(name) for number, name in table.items()}
    except ValueError:
        return None
    return tuple(numbered.get(k, f"point_{k}") for k in range(max(numbered) + 1))


def _instances(path: Path, people: Any, names: tuple[str, ...] | None) -> tuple[Entry, ...]:
    if not isinstance(people, list):
        raise InputError(path, f"is {kind(people)}; expected a list", "instance_info")
    entries: list[Entry] = []
    for k, one in enumerate(people):
        if isinstance(one, dict) and isinstance(one.get("instances"), list):
            for n, person in enumerate(one["instances"]):
                entry = _instance(n, f"[{k}].instances[{n}]", person, names)
                entries.append(replace(entry, image=one.get("frame_id", k)))
        elif one is not None:
            entries.append(_instance(k, f"[{k}]", one, names))
    return tuple(entries)


def _instance(index: int, where: str, one: Any, names: tuple[str, ...] | None) -> Entry:
    entry = _lists(index, where, one, {"keypoints": "body"})
    if "body" not in entry.lists or one.get("keypoint_scores") is None:
        return replace(entry, names=names)
    return replace(entry, names=names, lists={"body": entry.lists["body"], "scores": one["keypoint_scores"]})


def _annotations(path: Path, content: Mapping[str, Any]) -> tuple[Entry, ...]:
    people, images = content["annotations"], content.get("images")
    if not isinstance(people, list):
        raise InputError(path, f"is {kind(people)}; expected a list", "annotations")
    photos = {one["id"]: one for one in images or () if isinstance(one, dict) and "id" in one}
    entries = []
    for k, one in enumerate(people):
        if not isinstance(one, dict) or not one.get("num_keypoints", 1):
            continue
        photo = photos.get(one.get("image_id"), {})
        parts = [one[key] for key in _COCO_PARTS if isinstance(one.get(key), list)]
        joined = [number for part in parts for number in part] if len(parts) in (1, 5) else one.get("keypoints")
        entry = _lists(k, f"annotations[{k}]", {**one, "keypoints": joined}, {"keypoints": "body"})
        image = photo.get("file_name", one.get("image_id"))
        entries.append(replace(entry, image=image, size=_size(photo), labelled=True))
    return tuple(entries)


def _mediapipe(content: Mapping[str, Any]) -> tuple[Entry, ...]:
    found = {part: next((content[name] for name in names if content.get(name)), None)
             for part, names in _MEDIAPIPE_LISTS.items()}  # fmt: skip
    # The newer interface has one list more, around the people.
    several = {part: one if one and isinstance(one[0], list) and not _is_number(next(iter(one[0]), None)) else [one]
               for part, one in found.items() if isinstance(one, list)}  # fmt: skip
    n_people = max((len(one) for one in several.values()), default=0)
    return tuple(
        Entry(
            k,
            f"[{k}]",
            {
                part: [_landmark(point) for point in one[k]]
                for part, one in several.items()
                if len(one) > k and one[k]
            },
            fractions=True,
        )
        for k in range(n_people)
    )


def _landmark(point: Any) -> list[Any]:
    """x, y and confidence: visibility x presence, or 1 where the file has none."""
    if isinstance(point, dict):
        shares = [point[key] for key in ("visibility", "presence") if _is_number(point.get(key))]
        return [point.get("x"), point.get("y"), math.prod(map(float, shares))]
    if isinstance(point, list) and len(point) >= 2:  # x, y, z, visibility, presence
        return [point[0], point[1], math.prod(map(float, point[3:]))]
    return [None, None, None]


def _is_side(value: Any) -> bool:
    return _is_number(value) and 1 <= value <= _LARGEST_SIDE


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _ultralytics(index: int, one: Mapping[str, Any]) -> Entry:
    points = one.get("keypoints")
    if not isinstance(points, dict):
        return Entry(index, f"[{index}]", failure=f"keypoints: is {kind(points)}; expected an object with x and y")
    x, y, scores = (points.get(key) or [] for key in ("x", "y", "visible"))
    if not all(isinstance(one, list) for one in (x, y, scores)):
        return Entry(index, f"[{index}]", failure="keypoints: expected lists x, y and visible")
    if not scores:
        scores = [1.0] * len(x)
    if not len(x) == len(y) == len(scores):
        return Entry(index, f"[{index}]", failure="keypoints: expected as many x as y and visible")
    return Entry(index, f"[{index}]", {"body": [list(point) for point in zip(x, y, scores, strict=True)]})


def _dwpose(path: Path, content: Mapping[str, Any]) -> tuple[Entry, ...]:
    """The dictionary of DWPose: bodies by an index into all points; hands and faces without their owner."""
    bodies = content["bodies"]
    try:
        points = np.asarray(bodies["candidate"], np.float64).reshape(-1, np.shape(bodies["candidate"])[-1])[:, :2]
        subset = np.asarray(bodies.get("subset"), np.float64).reshape(-1, np.shape(bodies.get("subset"))[-1])[:, :18]
        hands = np.asarray(content.get("hands") or [], np.float64).reshape(-1, 21, 2)
        faces = np.asarray(content.get("faces") or [], np.float64).reshape(-1, 68, 2)
    except (TypeError, ValueError, IndexError) as error:
        raise InputError(
            path, "holds arrays of unexpected shape; expected candidate, subset, hands, faces"
        ) from error
    entries = []
    for k, row in enumerate(subset):
        body = [[*points[int(n)], 1.0] if 0 <= n < len(points) else [0.0, 0.0, 0.0] for n in row]
        lists: dict[str, Any] = {"body": _without_negative(body)}
        wrists = {"right": np.array(body[4]), "left": np.array(body[7])}
        for hand in hands[2 * k : 2 * k + 2]:
            # Hands do not come in a fixed order: the nearer wrist decides.
            gaps = {side: np.linalg.norm(hand[0] - wrist[:2]) for side, wrist in wrists.items() if wrist[2] > 0}
            side = min(gaps, key=lambda one: gaps[one]) if gaps else ("right" if "left" in lists else "left")
            if hand.min() >= 0 and side not in lists:
                lists[side] = _without_negative([[*point, 1.0] for point in hand])
        if k < len(faces):
            lists["face"] = _without_negative([[*point, 1.0] for point in faces[k]])
        entries.append(Entry(k, f"bodies[{k}]", lists, size=_size(content), fractions=bool(np.max(points) <= 1.5)))
    return tuple(entries)


def _without_negative(points: list[list[float]]) -> list[list[float]]:
    return [[0.0, 0.0, 0.0] if min(point[:2]) < 0 else [float(number) for number in point] for point in points]


def _yolo(path: Path) -> tuple[Entry, ...]:
    """One line a person: class, box, then two or three numbers a point, and perhaps the confidence of the box."""
    entries: list[Entry] = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        words = line.split()
        if not words:
            continue
        where = f"line {number}"
        try:
            numbers = [float(word) for word in words]
        except ValueError:
            entries.append(Entry(len(entries), where, failure="holds text; expected numbers"))
            continue
        points, width = _yolo_points(numbers[5:])
        if points is None:
            problem = f"has {len(numbers)} numbers; expected 5 and then 2 or 3 for each of 17 points"
            entries.append(Entry(len(entries), where, failure=problem))
            continue
        labels = width == 3 and {point[2] for point in points} <= {0.0, 1.0, 2.0} and any(p[2] == 2 for p in points)
        entries.append(Entry(len(entries), where, {"body": points}, fractions=True, labelled=labels))
    return tuple(entries)


def _yolo_points(numbers: list[float]) -> tuple[list[list[float]] | None, int]:
    from smplifyx.keypoints.layouts import layouts_of_length

    for width in (3, 2):
        for spare in (0, 1):  # save_conf adds a number
            n_points, rest = divmod(len(numbers) - spare, width)
            if rest == 0 and n_points > 5 and layouts_of_length(n_points):
                rows = [numbers[width * k : width * (k + 1)] for k in range(n_points)]
                return [row if width == 3 else [*row, 1.0] for row in rows], width
    return None, 0
