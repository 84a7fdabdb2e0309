import numpy as np

from smplifyx.detect.confidence import calibrated
from smplifyx.skeleton import BODY_KEYPOINT_NAMES


def test_confidence_rises_with_the_networks_own_and_unseen_points_stay_unseen():
    raw = np.linspace(0.0, 1.0, 50)[:, None] * np.ones(25)
    found = np.stack([calibrated(row) for row in raw])
    toes = [name.endswith("small_toe") for name in BODY_KEYPOINT_NAMES]
    assert (np.diff(found, axis=0) >= 0).all()
    assert (np.diff(found, axis=0)[:, ~np.array(toes)].sum(0) > 0.1).all()
    assert (found[0] == 0).all() and found.max() <= 1.0


def test_hips_count_less_than_knees_and_means_less_than_what_they_are_means_of():
    found = dict(zip(BODY_KEYPOINT_NAMES, calibrated(np.ones(25)), strict=True))
    assert found["left_hip"] < found["left_knee"]
    assert found["mid_hip"] < found["left_hip"] and found["neck"] < found["left_shoulder"]
    assert all(found[name] == found[name.replace("left", "right")] for name in found if name.startswith("left"))
