from __future__ import annotations

import numpy as np

from smplifyx.keypoints.draw import LEFT_COLOUR, RIGHT_COLOUR, draw_keypoints

from .conftest import standing_person


def test_drawing_marks_the_points_and_leaves_the_photo() -> None:
    image = np.zeros((260, 200, 3), np.uint8)
    keypoints = np.zeros((135, 3), np.float32)
    keypoints[:25] = standing_person()
    drawn = draw_keypoints(image, keypoints)
    assert not image.any() and drawn.shape == image.shape
    for k, colour in ((4, RIGHT_COLOUR), (7, LEFT_COLOUR)):
        x, y = keypoints[k, :2].round().astype(int)
        assert tuple(drawn[y, x]) == colour
    assert not draw_keypoints(image, keypoints, min_confidence=0.95).any()


def test_strokes_grow_with_the_image() -> None:
    keypoints = np.zeros((135, 3), np.float32)
    keypoints[:25] = standing_person()
    small = draw_keypoints(np.zeros((260, 260, 3), np.uint8), keypoints)
    keypoints[:, :2] *= 10
    large = draw_keypoints(np.zeros((2600, 2600, 3), np.uint8), keypoints)
    assert 0.3 < (large > 0).mean() / (small > 0).mean() < 1.5
