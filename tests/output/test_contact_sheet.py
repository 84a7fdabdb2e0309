from __future__ import annotations

import numpy as np
import pytest

from smplifyx.output.contact_sheet import SheetEntry, contact_sheet


def _entry(color: int, keypoints: np.ndarray | None = None) -> SheetEntry:
    photo = np.full((400, 600, 3), color, np.uint8)
    points = np.zeros((135, 3)) if keypoints is None else keypoints
    return SheetEntry(photo, points, photo[::2, ::2], np.full((300, 80, 3), color, np.uint8), f"person {color}")


def test_sheet_is_a_grid_in_reading_order() -> None:
    sheet = contact_sheet([_entry(c) for c in (10, 60, 110)], people_across=2, cell=(90, 120))
    assert sheet.shape == (2 * (24 + 120 + 8), 2 * (3 * 98 + 8), 3)
    for number, color in enumerate((10, 60, 110)):
        row, left = divmod(number, 2)
        for cell in range(3):
            assert (sheet[row * 152 + 84, left * 302 + 8 + cell * 98 + 45] == color).all()
    assert (sheet[152:, 302:] == 255).all()


def test_photo_and_overlay_are_cropped_to_the_person() -> None:
    keypoints = np.zeros((135, 3))
    keypoints[:2] = [[500, 300, 1], [520, 340, 1]]
    entry = _entry(20, keypoints)
    entry.overlay[150:170, 250:260] = 250  # the same place in the half-sized overlay
    sheet = contact_sheet([entry], people_across=1, cell=(90, 120))
    assert (sheet[24 + 60, 8 + 98 + 45] == 250).all()


def test_people_outside_the_photo_do_not_break_the_sheet() -> None:
    keypoints = np.zeros((135, 3))
    keypoints[:2] = [[900, 900, 1], [920, 940, 1]]
    inside = np.zeros((135, 3))
    assert contact_sheet([_entry(20, keypoints)]).shape == contact_sheet([_entry(20, inside)]).shape


def test_empty_sheet_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        contact_sheet([])
