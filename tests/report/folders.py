"""Output folders with results, photos and pictures, to report on."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from smplifyx.files import write_bytes
from smplifyx.output import OutputLayout, SummaryRow, append_summary
from smplifyx.result import FitResult
from tests.export.people import fitted

#: Characters that end tags, attributes, strings, scripts and addresses.
HOSTILE = """<script><img src=x onerror="hacked=1">'`${hacked=1}&#?%41.."""


def picture(shade: int = 120, size: tuple[int, int] = (480, 640)) -> bytes:
    """A JPEG of one colour."""
    return cv2.imencode(".jpg", np.full((*size, 3), shade, np.uint8))[1].tobytes()


def person(seed: int = 0, **changes: object) -> FitResult:
    """A person whose keypoints lie in the photo."""
    result = fitted("smplx", seed, **({"flags": ()} | changes))
    rng = np.random.default_rng(seed)
    result.projected_keypoints_2d = rng.uniform((200, 100), (400, 420), (135, 2)).astype(np.float32)
    result.keypoints_2d[:, :2] = result.projected_keypoints_2d + 3
    return result


def add_person(root: Path, stem: str, number: int, result: FitResult, with_pictures: bool = True) -> SummaryRow:
    """Write a person as a run does, with a photo in ``root/photos``; returns the row, which is in the table."""
    layout = OutputLayout(root)
    photo = root / "photos" / f"{stem}.jpg"
    write_bytes(photo, picture())
    result.image_path = str(photo)
    result.save(layout.result_path(stem, number))
    if with_pictures:
        write_bytes(layout.overlay_path(stem, number), picture(60))
        write_bytes(layout.side_view_path(stem, number), picture(200, (300, 180)))
    row = SummaryRow.of_result(result, stem, number)
    append_summary(layout.summary_path, [row])
    return row
