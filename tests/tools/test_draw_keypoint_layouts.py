"""The sheet of all layouts."""

import cv2
import numpy as np

from tools.draw_keypoint_layouts import CELL, COLUMNS, DERIVED, main


def test_the_sheet_has_a_cell_for_each_layout_and_rings_of_derived_points(tmp_path):
    path = tmp_path / "sheet.jpg"
    main([str(path)])
    sheet = cv2.imread(str(path)).astype(int)
    assert sheet.shape[1] == COLUMNS * CELL and sheet.shape[0] > 4 * CELL
    first, second = sheet[:600, :CELL], sheet[:600, CELL : 2 * CELL]
    rings = [int((np.abs(cell - np.array(DERIVED)).max(axis=2) < 40).sum()) for cell in (first, second)]
    assert rings[0] > 20 and rings[1] == 0, "BODY_135 lacks the neck, BODY_25 does not"
