"""What one photo says about one person: keypoints in the canonical layout, image size, labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Observation:
    """The 2D evidence for one person in one image.

    Attributes:
        image_path: the photo.
        keypoint_path: the file that the keypoints were read from.
        stem: the photo's name without its ending; names the output folders.
        person_index: position in the file's list of people; names the output files.
        keypoints: float32 `[135, 3]`, x and y in pixels of the upright image and a confidence from 0 to 1,
            in the layout of `smplifyx.skeleton`; an unseen point is (0, 0, 0).
        image_size: width and height of the upright image, in pixels.
        gender_label: ``male``, ``female`` or ``neutral`` where the keypoint file says so.
        exif_focal_length: the focal length in pixels where the photo's EXIF data tell it.
        warnings: oddities of the input that did not prevent its use.
        side: ``left`` or ``right`` where only that hand of the person is meant; else None.
    """

    image_path: Path
    keypoint_path: Path
    stem: str
    person_index: int
    keypoints: NDArray[np.float32]
    image_size: tuple[int, int]
    gender_label: str | None = None
    exif_focal_length: float | None = None
    warnings: tuple[str, ...] = ()
    side: str | None = None

    @property
    def name(self) -> str:
        """Who it is, for messages."""
        return f"{self.stem}, person {self.person_index}" + (f", {self.side} hand" if self.side else "")


def keypoint_box(keypoints: NDArray[np.float32], min_confidence: float = 0.0) -> NDArray[np.float32] | None:
    """Smallest box around the visible points.

    Args:
        keypoints: `[K, 3]`, x, y, confidence.
        min_confidence: points at or below it do not count.

    Returns:
        `[4]`: left, top, right, bottom in pixels, or None where nothing is visible.
    """
    visible = keypoints[keypoints[:, 2] > min_confidence, :2]
    if len(visible) == 0:
        return None
    return np.concatenate([visible.min(axis=0), visible.max(axis=0)])


def box_diagonal(keypoints: NDArray[np.float32], min_confidence: float = 0.0) -> float:
    """Diagonal in pixels of the box around the visible points of `[K, 3]`; 0 where nothing is visible."""
    box = keypoint_box(keypoints, min_confidence)
    return 0.0 if box is None else float(np.hypot(box[2] - box[0], box[3] - box[1]))
