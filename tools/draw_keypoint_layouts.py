"""Draw a sheet of all keypoint layouts: the points of each on a person of the demo, and derived ones."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from smplifyx.keypoints import draw_keypoints, keypoint_box, read_image, read_keypoints
from smplifyx.keypoints.layouts import Layout, layouts
from smplifyx.skeleton import keypoint_index

DEMO = Path(__file__).parent.parent / "smplifyx" / "data" / "demo"
#: The demo's photo, and the columns and width of a cell of the sheet, pixels.
PHOTO, COLUMNS, CELL = "reaching", 5, 300
CAPTION = 30
PAPER, INK, DERIVED = (245, 243, 240), (50, 50, 50), (60, 60, 230)


def drawing(photo: NDArray[np.uint8], keypoints: NDArray[np.float32], layout: Layout) -> NDArray[np.uint8]:
    """The person in a layout, `[H, W, 3]`; derived points have a red ring."""
    read = layout.to_canonical(layout.from_canonical(keypoints))
    picture = draw_keypoints(photo, read)
    for name in layout.derived:
        x, y, confidence = read[keypoint_index(name)]
        if confidence > 0:
            radius, stroke = (2, 1) if name.startswith("face") else (9, 2)
            cv2.circle(picture, (round(float(x)), round(float(y))), radius, DERIVED, stroke, cv2.LINE_AA)
    return picture


def sheet() -> NDArray[np.uint8]:
    """All layouts, one a cell, in the order of their names."""
    path = DEMO / "images" / f"{PHOTO}.jpg"
    (person, *_) = read_keypoints(DEMO / "keypoints" / f"{PHOTO}_keypoints.json", path)
    photo = read_image(path)
    pale = cv2.addWeighted(photo, 0.55, np.full_like(photo, 255), 0.45, 0)
    box = keypoint_box(person.keypoints)
    assert box is not None
    margin = 0.06 * (box[3] - box[1])
    left, top = (max(0, round(float(low - margin))) for low in box[:2])
    right, bottom = (round(float(high + margin)) for high in box[2:])
    cells = []
    for layout in layouts().values():
        cut = drawing(np.asarray(pale, np.uint8), person.keypoints, layout)[top:bottom, left:right]
        height = round(CELL * cut.shape[0] / cut.shape[1])
        cell = np.full((height + CAPTION, CELL, 3), PAPER, np.uint8)
        cell[CAPTION:] = cv2.resize(cut, (CELL, height), interpolation=cv2.INTER_AREA)
        cv2.putText(cell, layout.name, (6, 21), cv2.FONT_HERSHEY_SIMPLEX, 0.58, INK, 1, cv2.LINE_AA)
        cells.append(cell)
    cells += [np.full_like(cells[0], PAPER)] * (-len(cells) % COLUMNS)
    rows = [np.hstack(cells[k : k + COLUMNS]) for k in range(0, len(cells), COLUMNS)]
    return np.vstack(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path, help="picture to write")
    path = parser.parse_args(arguments).output
    cv2.imwrite(str(path), sheet(), [cv2.IMWRITE_JPEG_QUALITY, 82])


if __name__ == "__main__":
    main()
