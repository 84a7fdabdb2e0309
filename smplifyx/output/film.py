"""Videos of a fit: the bodies over the frames, and beside them the bodies from the side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from smplifyx.camera import Camera
from smplifyx.files import atomic_path
from smplifyx.output.pictures import composite, draw_camera_arrow
from smplifyx.output.render import BodyMesh, BodyRenderer

#: The side view is taken from this far, metres: all but orthographic.
_DISTANCE = 100.0
#: Width of the side view as a share of its height, and the share that the people fill.
_WIDTH, _FILLED = 0.75, 0.9
#: Room about the joints for the rest of the bodies, and from the joints of the feet to their soles, metres.
_FLESH, _SOLE = 0.2, 0.07
_BACKGROUND, _GROUND, _LINE = (238, 240, 241), (222, 225, 227), (128, 132, 138)


@dataclass(frozen=True)
class SideStage:
    """A view from the side that stands still: the photo's camera is on the left.

    Attributes:
        rotation: [3, 3] from the camera frame to the frame of this view (x right, y down, z forward).
        middle: [3] the point in the middle of the picture, camera frame, metres.
        camera: a distant camera.
        ground: pixel row under the lowest point.
    """

    rotation: NDArray[np.float64]
    middle: NDArray[np.float64]
    camera: Camera
    ground: int

    @classmethod
    def around(cls, joints: Sequence[NDArray[np.floating]], height: int, up: NDArray[np.float64]) -> SideStage:
        """A stage for all joints of a clip.

        Args:
            joints: arrays [..., 3] in the camera frame, metres.
            height: of the picture, pixels.
            up: [3] the direction up in the camera frame.
        """
        down = -up / np.linalg.norm(up)
        # Away from the camera, level; for a camera that looks straight down, along the picture's upright.
        away = np.array([0.0, 0.0, 1.0]) - down[2] * down
        away = away if np.linalg.norm(away) > 0.1 else np.array([0.0, 1.0, 0.0]) - down[1] * down
        away /= np.linalg.norm(away)
        rotation = np.stack([away, down, np.cross(away, down)])
        points = np.concatenate([np.asarray(one, np.float64).reshape(-1, 3) for one in joints])
        turned = points @ rotation.T
        low, high = turned.min(axis=0) - _FLESH, turned.max(axis=0) + _FLESH
        width = _even(_WIDTH * height)
        scale = _FILLED * min(height / (high - low)[1], width / (high - low)[0])
        camera = Camera(scale * _DISTANCE, (width / 2 - 0.5, height / 2 - 0.5), image_size=(width, height))
        ground = round(height / 2 + scale * (float((high - low)[1]) / 2 - _FLESH + _SOLE))
        return cls(rotation, (low + high) / 2 @ rotation, camera, min(ground, height - 1))

    def picture(self, meshes: Sequence[BodyMesh], renderer: BodyRenderer) -> NDArray[np.uint8]:
        """The bodies, given in the camera frame, from the side, BGR `[H, W, 3]`."""
        width, height = self.camera.size
        background = np.full((height, width, 3), _BACKGROUND, np.uint8)
        background[self.ground :] = _GROUND
        cv2.line(background, (0, self.ground), (width - 1, self.ground), _LINE, 2, cv2.LINE_AA)
        draw_camera_arrow(background)
        if not meshes:
            return background
        offset = np.array([0.0, 0.0, _DISTANCE])
        moved = [replace(one, vertices=(one.vertices - self.middle) @ self.rotation.T + offset) for one in meshes]
        return composite(background, renderer.render(moved, self.camera))


def write_video(pictures: Iterable[NDArray[np.uint8]], path: Path, fps: float) -> int:
    """Write pictures of one size as an MP4 (MPEG-4 part 2), all or nothing.

    Args:
        pictures: BGR `[H, W, 3]`; of odd sizes the last row or column is left out.
        path: the file.
        fps: frames per second.

    Returns:
        The number of frames that can be read back from the file; 0 where OpenCV cannot write it.
    """
    with atomic_path(path) as temporary:
        writer = None
        for picture in pictures:
            height, width = (side - side % 2 for side in picture.shape[:2])
            if writer is None:
                writer = cv2.VideoWriter(str(temporary), cv2.VideoWriter.fourcc(*"mp4v"), fps, (width, height))
            writer.write(np.ascontiguousarray(picture[:height, :width]))
        if writer is not None:
            writer.release()
        temporary.touch()
    return n_frames_of(path)


def n_frames_of(path: Path) -> int:
    """Number of frames that OpenCV decodes from a video."""
    capture = cv2.VideoCapture(str(path))
    count = 0
    while capture.grab():
        count += 1
    capture.release()
    return count


def side_by_side(picture: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Two pictures beside each other; the first is brought to the height of the second."""
    height = other.shape[0]
    width = _even(picture.shape[1] * height / picture.shape[0])
    if picture.shape[:2] != (height, width):
        picture = np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return np.concatenate([picture, other], axis=1)


def _even(length: float) -> int:
    return max(2, 2 * round(length / 2))
