"""All people in a photo: body, hands and face in OpenPose's layout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smplifyx.detect.anchors import AnchorDetector
from smplifyx.detect.body import BodyNetwork, BodyPoints, body_crop
from smplifyx.detect.crops import ByteArray, Crop, FloatArray, Photo
from smplifyx.detect.faces import FaceNetwork
from smplifyx.detect.hands import HandNetwork
from smplifyx.detect.movenet import MoveNet, Seen
from smplifyx.detect.openpose import body_as_openpose, calibrated, hand_as_openpose
from smplifyx.detect.people import Person, crop_of, inside, join, points_of, same_body, size_of

#: BODY_25 from COCO's 17 points; neck and middle of the hips are means of two.
_BODY_25_FROM_COCO = {
    0: (0,), 1: (5, 6), 2: (6,), 3: (8,), 4: (10,), 5: (5,), 6: (7,), 7: (9,), 8: (11, 12), 9: (12,), 10: (14,),
    11: (16,), 12: (11,), 13: (13,), 14: (15,), 15: (2,), 16: (1,), 17: (4,), 18: (3,),
}  # fmt: skip
#: The same from BlazePose's 33: toes and heels too; it has no small toes.
_FEET_FROM_BODY = {19: 31, 21: 29, 22: 32, 24: 30}
_WORLD_FROM_BODY = {
    0: (0,), 1: (11, 12), 2: (12,), 3: (14,), 4: (16,), 5: (11,), 6: (13,), 7: (15,), 8: (23, 24), 9: (24,),
    10: (26,), 11: (28,), 12: (23,), 13: (25,), 14: (27,), 15: (5,), 16: (2,), 17: (8,), 18: (7,), 19: (31,),
    21: (29,), 22: (32,), 24: (30,),
}  # fmt: skip
_PASSES = 3
_MIN_FIRST, _MIN_BODY = 0.2, 0.5
#: Where a photo does not hold one person, tiles of this share of its longer side are searched too, for people who
#: are small; smaller ones than this many pixels are left.
_TILE, _MIN_SIZE, _MIN_TILE_POINTS, _MIN_TILE_SCORE = 0.6, 45.0, 8, 0.3
#: Where all people reach over this share of the photo's longer side, there are hardly any small ones beside them.
_CLOSE = 0.2
#: Two crops show one body if their centres are closer than this share of the smaller, and their sides alike.
_SAME_CENTER, _SAME_SIDE = 0.25, 1.5


@dataclass(frozen=True)
class DetectedPerson:
    """One person in OpenPose's layout; pixels and confidence, 0 for points that are not seen.

    Attributes:
        score: how sure the detector is, 0..1.
        body: [25, 3] BODY_25.
        left_hand: [21, 3].
        right_hand: [21, 3].
        face: [70, 3].
        world: [25, 4] metres from the middle of the hips in the camera's axes, and confidence.
    """

    score: float
    body: FloatArray
    left_hand: FloatArray
    right_hand: FloatArray
    face: FloatArray
    world: FloatArray


class Detector:
    """Keypoints from photos.

    Args:
        variant: ``heavy`` or ``full`` body network, more accurate or faster.
        threads: processor threads.

    Raises:
        UsageError: the runtime is not installed.
        InputError: a network file is damaged.
    """

    def __init__(self, variant: str = "heavy", threads: int = 1) -> None:
        self._movenet = MoveNet(threads=threads)
        self._finder = AnchorDetector("pose_detection", [8, 16, 32, 32, 32], 4, (-1.0, 1.0), threads=threads)
        self._body = BodyNetwork(variant, threads)
        self._hands, self._face = HandNetwork(threads), FaceNetwork(threads)

    def __call__(self, image: ByteArray) -> list[DetectedPerson]:
        """People of a photo, the largest first.

        Args:
            image: [H, W, 3] RGB, upright.
        """
        photo = Photo(image)
        width, height = photo.size
        whole = Crop((width / 2, height / 2), float(max(width, height)))
        seen = self._seen(photo, whole)
        bodies: list[BodyPoints] = []
        for crop in [crop for one in seen if (crop := crop_of(one)) is not None]:
            self._place(photo, crop, whole.side, bodies)
        for found in self._finder(photo, whole):
            crop = body_crop(found.points[0], found.points[1])
            if not any(_alike(crop, body.crop) for body in bodies):
                self._place(photo, crop, whole.side, bodies)
        people = [self._complete(photo, person) for person in join(bodies, seen)]
        return sorted(people, key=lambda one: -_size(one.body))

    def _seen(self, photo: Photo, whole: Crop) -> list[Seen]:
        """People of the whole photo, then those of its tiles who are not among them."""
        seen = self._movenet(photo, whole)
        sizes = [size_of(one.points, one.confidence, 0.2) for one in seen]
        if len(seen) == 1 or (seen and min(sizes) > _CLOSE * whole.side):
            return seen
        for tile in _tiles(photo.size):
            for one in self._movenet(photo, tile):
                small = size_of(one.points, one.confidence, 0.2) < _MIN_SIZE
                vague = one.score < _MIN_TILE_SCORE or (one.confidence > 0.3).sum() < _MIN_TILE_POINTS
                if small or vague or not inside(one, tile, photo.size):
                    continue
                if not any(same_body(points_of(one), points_of(other)) for other in seen):
                    seen.append(one)
        return seen

    def _place(self, photo: Photo, crop: Crop, longest: float, bodies: list[BodyPoints]) -> None:
        """Add the body of a crop, looked at again and again in the crop that its own points give."""
        for number in range(_PASSES):
            body = self._body(photo, crop)
            if body.score < (_MIN_FIRST if number + 1 < _PASSES else _MIN_BODY):
                return
            crop = body.crop
            if not 8.0 < crop.side < 4.0 * longest:
                return
        bodies.append(body)

    def _complete(self, photo: Photo, person: Person) -> DetectedPerson:
        """Hands and face of a person, and all points in OpenPose's layout."""
        body, world = np.zeros((25, 3)), np.zeros((25, 4))
        for number, parts in _BODY_25_FROM_COCO.items():
            body[number] = _mean(person.coco, parts)
        hands, face = {}, None
        if person.body is not None:
            rows = np.column_stack([person.body.points, person.body.confidence])
            for number, part in _FEET_FROM_BODY.items():
                body[number] = rows[part]
            metres = np.column_stack([person.body.world, person.body.confidence])
            for number, parts in _WORLD_FROM_BODY.items():
                world[number] = _mean(metres, parts)
            hands, face = self._hands(photo, person.body), self._face(photo, person.body)
        body[:, 2], world[:, 3] = calibrated(body[:, 2]), calibrated(world[:, 3])
        lists: dict[str, FloatArray] = {side: np.zeros((21, 3)) for side in ("left", "right")}
        for side, hand in hands.items():
            lists[side] = hand_as_openpose(np.column_stack([hand.points, np.full(21, hand.score)]))
        points = np.zeros((70, 3)) if face is None else np.column_stack([face.points, face.confidence])
        return DetectedPerson(person.score, body_as_openpose(body), lists["left"], lists["right"], points, world)


def _tiles(size: tuple[int, int]) -> list[Crop]:
    """Overlapping squares that cover a photo of (width, height) pixels."""
    side = _TILE * max(size)
    xs, ys = ([side / 2, length - side / 2] if length > side else [length / 2] for length in size)
    return [Crop((x, y), side) for y in ys for x in xs]


def _alike(first: Crop, second: Crop) -> bool:
    apart = np.hypot(first.center[0] - second.center[0], first.center[1] - second.center[1])
    sides = sorted((first.side, second.side))
    return bool(apart < _SAME_CENTER * sides[0] and sides[1] < _SAME_SIDE * sides[0])


def _mean(rows: FloatArray, parts: tuple[int, ...]) -> FloatArray:
    """Mean of some rows, with the smallest of their confidences in the last column."""
    some = rows[list(parts)]
    return np.append(some[:, :-1].mean(0), some[:, -1].min())


def _size(points: FloatArray) -> float:
    good = points[:, 2] > 0
    return float(np.ptp(points[good, :2], axis=0).max()) if good.any() else 0.0
