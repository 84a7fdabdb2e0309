"""Frames of a video as photos, named as OpenPose names their keypoints."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from smplifyx.errors import InputError, UsageError
from smplifyx.files import silent_stderr, write_bytes, write_text
from smplifyx.pipeline.digests import file_stamp

#: JPEG quality of the frames: detectors see no blocks.
_QUALITY = 95
#: What a folder of frames was made from; written last.
_ORIGIN = "frames.json"


@dataclass(frozen=True)
class VideoFrames:
    """The frames of a video.

    Attributes:
        folder: of the photos.
        n_frames: their number.
        fps: frames per second of the video.
    """

    folder: Path
    n_frames: int
    fps: float


def write_frames(video: Path, folder: Path) -> VideoFrames:
    """Write the frames of a video as ``NAME_000000000000.jpg``; those of an earlier run are kept.

    Raises:
        UsageError: there is no such file.
        InputError: OpenCV cannot read it, or it has no frame.
    """
    if not video.is_file():
        raise UsageError(f"--video: {video} does not exist; expected a file")
    origin = {"video": str(video.absolute()), "stamp": list(file_stamp(video) or ())}
    known = _origin_of(folder)
    if known is not None and {key: known.get(key) for key in origin} == origin:
        return VideoFrames(folder, int(known["frames"]), float(known["fps"]))
    with silent_stderr():
        capture = cv2.VideoCapture(str(video))
    try:
        if not capture.isOpened():
            raise InputError(video, "cannot be read as a video by OpenCV; expected for example MP4")
        fps = float(capture.get(cv2.CAP_PROP_FPS))
        for old in folder.glob("*.jpg"):
            old.unlink()
        number = 0
        while True:
            read, picture = capture.read()
            if not read:
                break
            _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
            write_bytes(folder / f"{video.stem}_{number:012d}.jpg", encoded.tobytes())
            number += 1
    finally:
        capture.release()
    if number == 0:
        raise InputError(video, "has no frame that OpenCV can decode")
    fps = fps if np.isfinite(fps) and fps > 0 else 30.0
    write_text(folder / _ORIGIN, json.dumps(origin | {"frames": number, "fps": fps}))
    return VideoFrames(folder, number, fps)


def _origin_of(folder: Path) -> dict[str, Any] | None:
    try:
        content = json.loads((folder / _ORIGIN).read_text(encoding="utf-8"))
        is_complete = len(list(folder.glob("*.jpg"))) == int(content["frames"]) and float(content["fps"]) > 0
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return dict(content) if is_complete else None
