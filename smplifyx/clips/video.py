"""Frames of a video as photos, named as OpenPose names their keypoints."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from smplifyx.errors import InputError, UsageError
from smplifyx.files import silent_stderr, write_bytes, write_text
from smplifyx.pipeline.digests import file_stamp

#: Endings of the files in a folder of videos.
VIDEO_ENDINGS = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".mts")
#: JPEG quality of the frames: detectors see no blocks.
_QUALITY = 95
#: Names the video of a folder of frames; written last.
_ORIGIN = "frames.json"
_TEMPORARY, _ABANDONED_SECONDS = ".frames-", 3600.0


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


class FramesMissingError(UsageError):
    """The frames of a video are not there yet, and must not be written."""


def find_frames(video: Path, folder: Path) -> VideoFrames | None:
    """Return the frames of a video that an earlier run wrote; None where they are incomplete or of another video."""
    known = _origin_of(folder)
    if known is None or {key: known.get(key) for key in ("video", "stamp")} != _identity(video):
        return None
    return VideoFrames(folder, int(known["frames"]), float(known["fps"]))


def write_frames(video: Path, folder: Path, scratch: Path) -> VideoFrames:
    """Write the frames of a video as ``NAME_000000000000.jpg``; those of an earlier run are kept.

    They are written to a temporary folder, which is renamed when it is complete: several runs may do so together.

    Args:
        video: the file.
        folder: of the frames.
        scratch: where the temporary folder is made; on the same file system as ``folder``.

    Raises:
        UsageError: there is no such file, or the folder holds files that are not frames of ours.
        InputError: OpenCV cannot read it, or it has no frame.
    """
    if not video.is_file():
        raise UsageError(f"--video: {video} does not exist; expected a file")
    known = find_frames(video, folder)
    if known is not None:
        return known
    foreign = _foreign_file(folder)
    if foreign is not None:
        raise UsageError(f"--video: {folder} holds files of others, {foreign}; expected another --output")
    scratch.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(scratch)
    temporary = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=scratch))
    try:
        _decode(video, temporary)
        known = find_frames(video, folder)  # another run may have been quicker
        if known is None:
            folder.parent.mkdir(parents=True, exist_ok=True)
            temporary.chmod(0o777 & ~_umask())
            old = temporary / "before"
            if folder.is_dir():
                folder.rename(old)
            try:
                temporary.rename(folder)
            except OSError:
                if old.is_dir():
                    old.rename(folder)
                raise
            shutil.rmtree(folder / old.name, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    found = known or find_frames(video, folder)
    if found is None:
        raise InputError(video, f"was changed while its frames were written to {folder}")
    return found


def _decode(video: Path, folder: Path) -> None:
    with silent_stderr():
        capture = cv2.VideoCapture(str(video))
    try:
        if not capture.isOpened():
            raise InputError(video, "cannot be read as a video by OpenCV; expected for example MP4")
        fps = float(capture.get(cv2.CAP_PROP_FPS))
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
    write_text(folder / _ORIGIN, json.dumps(_identity(video) | {"frames": number, "fps": fps}))


def _foreign_file(folder: Path) -> str | None:
    """Name of an entry of a folder that is no frame of the video which the folder names; None without."""
    if not folder.is_dir():
        return None
    try:
        stem = Path(json.loads((folder / _ORIGIN).read_text(encoding="utf-8"))["video"]).stem
    except (OSError, ValueError, KeyError, TypeError):
        stem = None
    for entry in folder.iterdir():
        is_frame = stem is not None and re.fullmatch(re.escape(stem) + r"_\d{12}\.jpg", entry.name)
        if not is_frame and not (stem is not None and entry.name == _ORIGIN):
            return entry.name
    return None


def _identity(video: Path) -> dict[str, Any]:
    return {"video": str(video.absolute()), "stamp": list(file_stamp(video) or ())}


def _remove_abandoned(scratch: Path) -> None:
    """Remove temporary folders of killed runs: running ones write a frame at least every hour."""
    for folder in scratch.glob(f"{_TEMPORARY}*"):
        with contextlib.suppress(FileNotFoundError):  # another run may remove it too
            if time.time() - folder.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def _umask() -> int:
    """The permissions that new files lack; it can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _origin_of(folder: Path) -> dict[str, Any] | None:
    try:
        content = json.loads((folder / _ORIGIN).read_text(encoding="utf-8"))
        is_complete = len(list(folder.glob("*.jpg"))) == int(content["frames"]) and float(content["fps"]) > 0
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return dict(content) if is_complete else None
