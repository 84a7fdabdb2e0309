"""Many fits on one picture: photo with keypoints, overlay and side view of each person, with captions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from smplifyx.errors import InputError, reason
from smplifyx.keypoints.draw import draw_keypoints
from smplifyx.keypoints.images import read_image
from smplifyx.output.layout import OutputLayout, person_name
from smplifyx.output.pictures import save_picture
from smplifyx.output.summary import SummaryRow, read_summary
from smplifyx.packs import exists, read_bytes
from smplifyx.result import load_result

_GAP, _CAPTION_HEIGHT = 8, 24
_PAPER, _CELL, _INK = (255, 255, 255), (238, 240, 241), (50, 50, 50)
#: Margin about the keypoints in a cell, as a share of the longer side of their box.
_CROP_MARGIN = 0.35
#: The drawing leaves out the same keypoints.
_MIN_CONFIDENCE = 0.1


@dataclass(frozen=True)
class SheetEntry:
    """One person of a contact sheet.

    Attributes:
        photo: BGR `[H, W, 3]` uint8.
        keypoints_2d: (x, y, confidence) in the photo `[135, 3]`.
        overlay: BGR `[h, w, 3]`, the photo at any size with the body on it.
        side_view: BGR.
        caption: one line; only ASCII is drawn properly.
    """

    photo: np.ndarray
    keypoints_2d: np.ndarray
    overlay: np.ndarray
    side_view: np.ndarray
    caption: str


def contact_sheet(
    entries: Sequence[SheetEntry], people_across: int = 2, cell: tuple[int, int] = (300, 400)
) -> np.ndarray:
    """A grid BGR `[H, W, 3]` uint8 with three pictures a person; photo and overlay are cropped to the person.

    Args:
        entries: the people, in reading order.
        people_across: people in a row.
        cell: width and height of each picture, pixels.

    Raises:
        ValueError: there are no people.
    """
    if not entries:
        raise ValueError("a contact sheet needs at least one person")
    blocks = [_block(entry, cell) for entry in entries]
    blank = np.full_like(blocks[0], 255)
    blocks += [blank] * (-len(blocks) % people_across)
    rows = [np.hstack(blocks[start : start + people_across]) for start in range(0, len(blocks), people_across)]
    return np.vstack(rows)


@dataclass(frozen=True)
class SheetOptions:
    """Layout of contact sheets: people on a sheet and in a row, width and height of a picture in pixels."""

    people: int = 8
    people_across: int = 2
    cell: tuple[int, int] = (300, 400)


def write_contact_sheets(
    results_dir: str | Path, output_dir: str | Path, left_out: Callable[[InputError], None], options: SheetOptions
) -> Iterator[Path]:
    """Write ``sheet_000.png`` and so on for the people of a results folder; yield each file when it is written.

    Arguments and errors as for :func:`sheet_entries`.
    """
    entries = sheet_entries(results_dir, left_out)
    n_sheets = 0
    while people := list(islice(entries, options.people)):
        path = Path(output_dir) / f"sheet_{n_sheets:03d}.png"
        save_picture(contact_sheet(people, options.people_across, options.cell), path)
        yield path
        n_sheets += 1


def sheet_entries(results_dir: str | Path, left_out: Callable[[InputError], None]) -> Iterator[SheetEntry]:
    """Read the people of a results folder, in the order of its summary.

    Args:
        results_dir: output folder of ``smplifyx fit``.
        left_out: called with the reason for each person whose result or pictures are missing.

    Raises:
        InputError: the folder has no readable summary.
    """
    layout = OutputLayout.found_in(Path(results_dir))
    for row in read_summary(layout.summary_path):
        try:
            entry = _read_entry(layout, row)
        except InputError as error:
            left_out(error)
        else:
            yield entry


def _read_entry(layout: OutputLayout, row: SummaryRow) -> SheetEntry:
    person = row.stem, row.person, row.side or None
    result = load_result(layout.result_path(*person))
    figures = f"{row.reprojection_error_px:.1f} px, {row.n_keypoints} keypoints, f {result.focal_length[0]:.0f}"
    return SheetEntry(
        photo=read_image(result.image_path),
        keypoints_2d=result.keypoints_2d,
        overlay=_read_picture(_overlay_path(layout, row)),
        side_view=_read_picture(layout.side_view_path(*person)),
        caption=f"{row.stem} / {person_name(row.person, row.side or None)}: {figures} {' '.join(row.flags)}",
    )


def _overlay_path(layout: OutputLayout, row: SummaryRow) -> Path:
    """The picture of the person, or that of all people of the photo."""
    alone = layout.overlay_path(row.stem, row.person, row.side or None)
    together = layout.group_overlay_path(row.stem)
    return together if exists(together) and not exists(alone) else alone


def _read_picture(path: Path) -> np.ndarray:
    """BGR uint8 of a picture, by itself or packed; raises InputError."""
    try:
        picture = cv2.imdecode(np.frombuffer(read_bytes(path), np.uint8), cv2.IMREAD_COLOR)
    except (OSError, cv2.error) as error:
        raise InputError(path, f"cannot be read: {reason(error)}") from error
    if picture is None:
        raise InputError(path, "cannot be decoded as an image")
    return np.asarray(picture)


def _block(entry: SheetEntry, cell: tuple[int, int]) -> np.ndarray:
    """Three cells side by side under a caption, with a gap all around."""
    box = _crop_box(entry)
    photo = draw_keypoints(entry.photo, entry.keypoints_2d)
    scale = entry.overlay.shape[1] / entry.photo.shape[1]
    pictures = (_crop(photo, box), _crop(entry.overlay, box * scale), entry.side_view)
    width, height = cell
    block = np.full((_CAPTION_HEIGHT + height + _GAP, 3 * (width + _GAP) + _GAP, 3), _PAPER, np.uint8)
    for number, picture in enumerate(pictures):
        left = _GAP + number * (width + _GAP)
        block[_CAPTION_HEIGHT : _CAPTION_HEIGHT + height, left : left + width] = _fitted(picture, cell)
    cv2.putText(block, entry.caption, (_GAP, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.45, _INK, 1, cv2.LINE_AA)
    return block


def _crop_box(entry: SheetEntry) -> np.ndarray:
    """(left, top, right, bottom) about the person in the photo; all of the photo without keypoints."""
    height, width = entry.photo.shape[:2]
    seen = entry.keypoints_2d[entry.keypoints_2d[:, 2] > _MIN_CONFIDENCE, :2]
    if not len(seen):
        return np.array([0.0, 0.0, width, height])
    low, high = seen.min(axis=0), seen.max(axis=0)
    margin = _CROP_MARGIN * float((high - low).max()) + 4.0
    box = np.concatenate([low - margin, high + margin])
    return np.clip(box, 0, [width, height, width, height])


def _crop(picture: np.ndarray, box: np.ndarray) -> np.ndarray:
    left, top, right, bottom = np.rint(box).astype(int)
    cropped = picture[top : max(bottom, top + 1), left : max(right, left + 1)]
    return cropped if cropped.size else picture


def _fitted(picture: np.ndarray, cell: tuple[int, int]) -> np.ndarray:
    """The picture as large as the cell allows, in its middle."""
    height, width = picture.shape[:2]
    scale = min(cell[0] / width, cell[1] / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    fitted = np.full((cell[1], cell[0], 3), _CELL, np.uint8)
    left, top = (cell[0] - size[0]) // 2, (cell[1] - size[1]) // 2
    fitted[top : top + size[1], left : left + size[0]] = small
    return fitted
